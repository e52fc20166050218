"""The server under test, the clients that talk to it, and a sender for exact bytes.

The SDK and ``requests`` both tidy up what they are given (dot segments, empty
headers, missing lengths). A store must be right for clients that do not, so
``Server.send`` writes the request line and the headers exactly as told.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
import os
import queue
import re
import select
import signal
import socket
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, unquote, urlsplit
from xml.etree import ElementTree

import requests
from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_auth import CosS3Auth

APPID = "1250000000"
SECRET_ID = "AKIDcosineTestSuite0123456789abcdef"
SECRET_KEY = "cosineTestSuiteSecretKey01234567"
REGION = "ap-guangzhou"
OTHER_REGION = "ap-shanghai"

START_DEADLINE = 20.0
STOP_DEADLINE = 30.0
IO_TIMEOUT = 60.0

_READY = re.compile(r"^cosine is ready: http://127\.0\.0\.1:(\d+)\s*$")


def bucket_host(bucket: str, region: str = REGION) -> str:
    """The virtual host of a bucket, as every COS client builds it."""
    return f"{bucket}.cos.{region}.myqcloud.com"


def unique_bucket() -> str:
    """A bucket name that no other test has used."""
    return f"t{uuid.uuid4().hex[:12]}-{APPID}"


def encode_path(path: str) -> str:
    """Percent-encode a decoded path; ``/`` stays, dot segments stay."""
    return quote(path.encode("utf-8"), safe="/-_.~")


def _encode(value: str | bytes) -> str:
    raw = value if isinstance(value, bytes) else str(value).encode("utf-8")
    return quote(raw, safe="-_.~")


def authorization(
    method: str,
    path: str,
    *,
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str | bytes] | None = None,
    key_time: str | None = None,
    secret_id: str = SECRET_ID,
    secret_key: str = SECRET_KEY,
) -> str:
    """The q-sign-algorithm=sha1 signature, written from its description.

    Independent of the SDK, because the SDK chooses the clock and the lists.
    """
    if key_time is None:
        now = int(time.time())
        key_time = f"{now - 60};{now + 3600}"
    signed_params = sorted((_encode(k).lower(), _encode(v)) for k, v in (params or {}).items())
    signed_headers = sorted((_encode(k).lower(), _encode(v)) for k, v in (headers or {}).items())
    http_string = "\n".join(
        [
            method.lower(),
            path,
            "&".join(f"{k}={v}" for k, v in signed_params),
            "&".join(f"{k}={v}" for k, v in signed_headers),
            "",
        ]
    )
    digest = hashlib.sha1(http_string.encode("utf-8")).hexdigest()

    def mac(key: str, message: str) -> str:
        return hmac.new(key.encode(), message.encode(), hashlib.sha1).hexdigest()

    signature = mac(mac(secret_key, key_time), f"sha1\n{key_time}\n{digest}\n")
    return "&".join(
        [
            "q-sign-algorithm=sha1",
            f"q-ak={secret_id}",
            f"q-sign-time={key_time}",
            f"q-key-time={key_time}",
            "q-header-list=" + ";".join(k for k, _ in signed_headers),
            "q-url-param-list=" + ";".join(k for k, _ in signed_params),
            f"q-signature={signature}",
        ]
    )


@dataclass(frozen=True)
class Answer:
    """One HTTP response, body read to its end."""

    status: int
    headers: Message
    body: bytes

    @property
    def xml(self) -> ElementTree.Element:
        return ElementTree.fromstring(self.body)

    @property
    def code(self) -> str:
        """``Code`` of an error document; fails when the body is not one."""
        root = self.xml
        assert root.tag == "Error", self.body
        return root.findtext("Code") or ""

    def expect(self, status: int, *codes: str) -> Answer:
        """Assert the status and, for an error, that the code is one of ``codes``."""
        assert self.status == status, f"wanted {status} {codes}, got {self.status}: {self.body[:2000]!r}"
        if codes:
            assert self.code in codes, f"wanted one of {codes}, got {self.body[:2000]!r}"
        return self


def _pump(sock: socket.socket, pieces: Iterable[bytes]) -> None:
    """Send, but stop as soon as the server answers or hangs up.

    A server that refuses an upload early need not read the rest of it.
    """
    for piece in pieces:
        view = memoryview(piece)
        while view:
            readable, writable, _ = select.select([sock], [sock], [], IO_TIMEOUT)
            if readable:
                return
            if not writable:
                raise TimeoutError("the server neither reads nor answers")
            try:
                view = view[sock.send(view, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                return


def _chunk_encode(pieces: Iterable[bytes]) -> Iterable[bytes]:
    for piece in pieces:
        if piece:
            yield b"%x\r\n" % len(piece) + piece + b"\r\n"
    yield b"0\r\n\r\n"


def read_answer(sock: socket.socket, method: str = "GET") -> Answer:
    """Parse one response from a socket."""
    response = http.client.HTTPResponse(sock, method=method)
    try:
        response.begin()
        body = response.read()
        return Answer(response.status, response.headers, body)
    finally:
        response.close()


def read_interim(sock: socket.socket) -> None:
    """Read ``100 Continue``, which proves that the server is handling the request."""
    interim = b""
    while not interim.endswith(b"\r\n\r\n"):
        piece = sock.recv(1)
        assert piece, interim
        interim += piece
    assert interim.startswith(b"HTTP/1.1 100 "), interim


@dataclass(frozen=True)
class Who:
    """Somebody's keys, and the token that goes with temporary ones."""

    secret_id: str
    secret_key: str
    token: str | None = None
    uin: int = 0
    appid: int = int(APPID)

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> Who:
        """From what ``cosine admin`` prints."""
        return cls(made["secret_id"], made["secret_key"], None, made.get("uin", 0), made.get("appid", int(APPID)))

    def options(self) -> dict[str, object]:
        """For an SDK configuration."""
        options: dict[str, object] = {"SecretId": self.secret_id, "SecretKey": self.secret_key}
        return {**options, "Token": self.token} if self.token else options


class Server:
    """One ``cosine serve`` process on a data directory."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self._log = tempfile.TemporaryFile()
        environment = {
            **os.environ,
            "COSINE_SECRET_ID": SECRET_ID,
            "COSINE_SECRET_KEY": SECRET_KEY,
            "COSINE_APPID": APPID,
            "COSINE_REGIONS": f"{REGION},{OTHER_REGION}",
            # Else /proc shows what it has open to root alone.
            "COSINE_CORE_FILES": "true",
        }
        binary = os.environ.get("COSINE_BIN")
        assert binary, "set COSINE_BIN to the path of the cosine binary"
        self.process = subprocess.Popen(
            [str(Path(binary).resolve()), "serve", "--data", str(data), "--listen", "127.0.0.1:0", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            text=True,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._drain, args=(lines,), daemon=True)
        self._reader.start()
        self.port = self._wait_until_ready(lines)

    def _drain(self, lines: queue.Queue[str | None]) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            lines.put(line)
        lines.put(None)

    def _wait_until_ready(self, lines: queue.Queue[str | None]) -> int:
        deadline = time.monotonic() + START_DEADLINE
        while (left := deadline - time.monotonic()) > 0:
            try:
                line = lines.get(timeout=left)
            except queue.Empty:
                break
            if line is None:
                status = self.process.wait(STOP_DEADLINE)
                raise AssertionError(f"cosine ended with {status} before it was ready:\n{self.log()}")
            if match := _READY.match(line):
                return int(match.group(1))
        self.kill()
        raise AssertionError(f"cosine was not ready in {START_DEADLINE} s:\n{self.log()}")

    def log(self) -> str:
        """What the server has written to its standard error."""
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        self.process.kill()
        self.process.wait(STOP_DEADLINE)
        self._reader.join(STOP_DEADLINE)

    def stop(self) -> None:
        """SIGTERM: the server must end by itself, with status 0 and without a panic."""
        assert self.process.poll() is None, f"cosine died with {self.process.returncode}:\n{self.log()}"
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"cosine ignored SIGTERM for {STOP_DEADLINE} s:\n{self.log()}") from None
        self._reader.join(STOP_DEADLINE)
        assert status == 0, f"cosine ended with {status} on SIGTERM:\n{self.log()}"
        assert "panicked" not in self.log(), self.log()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def peak_memory(self) -> int:
        """Peak resident bytes of the process so far."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        match = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert match, status
        return int(match.group(1)) * 1024

    # --- administration --------------------------------------------------

    def try_admin(self, *arguments: object, who: Who | None = None) -> subprocess.CompletedProcess[str]:
        """``cosine admin ...`` with these keys, or with the root credential."""
        keys = who or Who(SECRET_ID, SECRET_KEY)
        environment = {**os.environ, "COSINE_SECRET_ID": keys.secret_id, "COSINE_SECRET_KEY": keys.secret_key}
        command = [str(Path(os.environ["COSINE_BIN"]).resolve()), "admin", *map(str, arguments)]
        command += ["--endpoint", f"http://{self.address}", "--json"]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=IO_TIMEOUT)

    def admin(self, *arguments: object, who: Who | None = None) -> dict[str, Any]:
        """The same, which must succeed; returns the JSON that it prints."""
        done = self.try_admin(*arguments, who=who)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    # --- SDK clients -----------------------------------------------------

    def config(self, **options: object) -> CosConfig:
        """An SDK configuration with this server's credentials and no address."""
        settings: dict[str, object] = {
            "Region": REGION,
            "SecretId": SECRET_ID,
            "SecretKey": SECRET_KEY,
            "Scheme": "http",
            "Timeout": IO_TIMEOUT,
        }
        if options.get("Anonymous"):
            del settings["SecretId"], settings["SecretKey"]
        settings.update(options)
        return CosConfig(**settings)

    def client(self, region: str = REGION, **options: object) -> CosS3Client:
        """IP mode: connects to loopback, keeps the real host names."""
        address = {"IP": "127.0.0.1", "Port": self.port, "ServiceDomain": self.address}
        return sdk_client(self.config(Region=region, **address, **options))

    def domain_client(self, domain: str | None = None) -> CosS3Client:
        """Domain mode: the bucket is not in the host, so keys are ``<bucket>/<key>``."""
        domain = domain or self.address
        return sdk_client(self.config(Domain=domain, ServiceDomain=self.address))

    def proxy_client(self, region: str = REGION, **options: object) -> CosS3Client:
        """Proxy mode: real host names in absolute-form request targets."""
        proxies = {"http": f"http://{self.address}"}
        return sdk_client(self.config(Region=region, Proxies=proxies, **options))

    def url_client(self, region: str = REGION, **options: object) -> CosS3Client:
        """A client that only makes URLs with real host names and never connects."""
        return sdk_client(self.config(Region=region, **options))

    # --- exact requests --------------------------------------------------

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=IO_TIMEOUT)

    def head_bytes(
        self,
        method: str,
        path: str,
        *,
        host: str | None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        auth: str | None = "sdk",
        who: Who | None = None,
        target: str | None = None,
    ) -> bytes:
        """Request line and headers, signed by the SDK's signer.

        ``path`` is the decoded path, which is what gets signed. ``target``
        replaces the encoded request target. ``auth`` is ``"sdk"``, a complete
        Authorization value, or None for no header at all.
        """
        query = dict(query or {})
        fields: dict[str, str | bytes] = {} if host is None else {"Host": host}
        fields.update(headers or {})
        if auth == "sdk":
            request = SimpleNamespace(method=method, url=f"http://{host}/", headers=fields)
            options = who.options() if who else {}
            if who and who.token:
                fields["x-cos-security-token"] = who.token
            CosS3Auth(self.config(**options), key=path, params=query)(request)
        elif auth is not None:
            fields["Authorization"] = auth
        if target is None:
            target = encode_path(path)
            if query:
                target += "?" + "&".join(f"{_encode(k)}={_encode(v)}" for k, v in query.items())
        lines = [f"{method} {target} HTTP/1.1".encode("ascii")]
        for name, value in fields.items():
            lines.append(name.encode("ascii") + b": " + (value if isinstance(value, bytes) else value.encode("utf-8")))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def send(
        self,
        method: str,
        path: str = "/",
        *,
        bucket: str | None = None,
        region: str = REGION,
        host: str | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str | bytes] | None = None,
        body: bytes | Iterable[bytes] = b"",
        auth: str | None = "sdk",
        who: Who | None = None,
        target: str | None = None,
        length: bool = True,
    ) -> Answer:
        """One request on a connection of its own; nothing is normalised.

        A body that is not ``bytes`` goes out chunked. ``length=False`` leaves
        the Content-Length header out.
        """
        if host is None:
            host = bucket_host(bucket, region) if bucket else self.address
        fields = dict(headers or {})
        pieces: Iterable[bytes]
        if isinstance(body, bytes):
            if length and method in ("PUT", "POST") and "Content-Length" not in fields:
                fields["Content-Length"] = str(len(body))
            pieces = [body]
        else:
            fields["Transfer-Encoding"] = "chunked"
            pieces = _chunk_encode(body)
        head = self.head_bytes(method, path, host=host, query=query, headers=fields, auth=auth, who=who, target=target)
        with self.connect() as sock:
            sock.sendall(head)
            _pump(sock, pieces)
            return read_answer(sock, method)

    def open_url(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str | bytes] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Use a presigned URL exactly as it is, without resolving its host name."""
        parts = urlsplit(url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        return self.send(
            method, unquote(parts.path), host=parts.netloc, headers=headers, body=body, auth=None, target=target
        )


def sdk_client(config: CosConfig) -> CosS3Client:
    """A client with a pool of its own, no retries and no proxy from the environment."""
    session = requests.Session()
    session.trust_env = False
    return CosS3Client(config, retry=0, session=session)


def body_of(response: dict) -> bytes:
    """All the bytes of an SDK ``get_object`` answer, as they came."""
    return response["Body"].get_raw_stream().read()


def list_keys(server: Server, bucket: str, region: str = REGION) -> list[str]:
    """Every key of a bucket, by paging with exact requests."""
    keys: list[str] = []
    marker = ""
    while True:
        query = {"encoding-type": "url", "marker": marker}
        page = server.send("GET", bucket=bucket, region=region, query=query).expect(200).xml
        keys += [unquote(element.text or "") for element in page.iterfind("Contents/Key")]
        if page.findtext("IsTruncated") != "true":
            return keys
        marker = unquote(page.findtext("NextMarker") or "")
        assert marker, "a truncated page must name the next marker"


def _crc64_table() -> list[int]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0xC96C5795D7870F42 if value & 1 else 0)
        table.append(value)
    return table


_CRC64 = _crc64_table()


def crc64(data: bytes) -> int:
    """CRC-64/XZ, bit by the book."""
    value = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        value = _CRC64[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFFFFFFFFFF


def md5_hex(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def quoted_md5(data: bytes) -> str:
    return f'"{md5_hex(data)}"'
