"""TLS: with a certificate, only TLS is served, to HTTP/1.1 and HTTP/2 alike."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest
import requests
from qcloud_cos import CosClientError, CosS3Client

from harness import (
    IO_TIMEOUT,
    REGION,
    SECRET_KEY,
    STOP_DEADLINE,
    body_of,
    quoted_md5,
    read_answer,
    unique_bucket,
)
from program import (
    FREE_PORT,
    KEYS,
    PROMPT,
    Cosine,
    environment,
    listed_buckets,
    run_cosine,
    run_snippet,
    shell,
)

# Large enough for many TLS records and several HTTP/2 windows.
LARGE = random.Random(1).randbytes(5_000_003)


@dataclass(frozen=True)
class Pair:
    """A certificate that signed itself, and its key."""

    cert: Path
    key: Path

    @property
    def settings(self) -> dict[str, str]:
        return {**KEYS, "COSINE_TLS_CERT": str(self.cert), "COSINE_TLS_KEY": str(self.key)}


def openssl(*arguments: str) -> None:
    ran = subprocess.run(
        ["openssl", *arguments],
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STOP_DEADLINE,
    )
    assert ran.returncode == 0, ran.stderr


def make_pair(directory: Path, kind: str = "ec") -> Pair:
    """A pair for localhost and 127.0.0.1, with a key in one of the forms that openssl writes."""
    made = Pair(directory / f"{kind}-cert.pem", directory / f"{kind}-key.pem")
    algorithm = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"] if kind.startswith("ec") else ["rsa:2048"]
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    request = ["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", names]
    openssl(*request, "-newkey", *algorithm, "-keyout", str(made.key), "-out", str(made.cert))
    if kind.endswith("-traditional"):
        whole = directory / "pkcs8.pem"
        made.key.rename(whole)
        openssl("pkey", "-traditional", "-in", str(whole), "-out", str(made.key))
    return made


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory, pair: Pair) -> Iterator[Cosine]:
    """A server that speaks TLS."""
    cwd = tmp_path_factory.mktemp("secure")
    with Cosine("serve", *FREE_PORT, cwd=cwd, env=pair.settings, secret_key=SECRET_KEY) as cosine:
        yield cosine


def secure_client(cosine: Cosine, verify: str | bool) -> CosS3Client:
    return cosine.client(Scheme="https", VerifySSL=verify)


@pytest.fixture
def tls_bucket(secure: Cosine, pair: Pair) -> str:
    name = unique_bucket()
    secure_client(secure, str(pair.cert)).create_bucket(Bucket=name)
    return name


# --- the SDK and what the banner says --------------------------------------------------------


def test_the_banner_says_https(secure: Cosine) -> None:
    assert secure.banner[0] == f"cosine is ready: https://127.0.0.1:{secure.port}"
    assert f"https://127.0.0.1:{secure.port}/" in secure.curl
    assert "Scheme='https'" in secure.python


@pytest.mark.parametrize("command", ["serve", "dev"])
def test_the_printed_lines_run(tmp_path: Path, pair: Pair, command: str) -> None:
    """Pasted as they are, for a client that trusts the certificate."""
    env = {**pair.settings, "REQUESTS_CA_BUNDLE": str(pair.cert), "CURL_CA_BUNDLE": str(pair.cert)}
    with Cosine(command, *FREE_PORT, cwd=tmp_path, env=env) as cosine:
        assert cosine.scheme == "https"
        assert run_snippet(cosine, tmp_path, env) == "b'hello'\n"
        assert len(listed_buckets(shell(cosine.curl, tmp_path, env))) == 1


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
@pytest.mark.parametrize("verified", [True, False])
def test_the_sdk(secure: Cosine, pair: Pair, verified: bool) -> None:
    """Put, copy and get, verifying the certificate by name or not at all."""
    client = secure_client(secure, str(pair.cert) if verified else False)
    name = unique_bucket()
    client.create_bucket(Bucket=name)
    assert client.put_object(Bucket=name, Key="k", Body=LARGE, EnableMD5=True)["ETag"] == quoted_md5(LARGE)
    source = {"Bucket": name, "Key": "k", "Region": REGION}
    assert client.copy_object(Bucket=name, Key="copy", CopySource=source)["ETag"] == quoted_md5(LARGE)
    assert body_of(client.get_object(Bucket=name, Key="copy")) == LARGE
    assert name in [entry["Name"] for entry in client.list_buckets()["Buckets"]["Bucket"]]


def test_the_sdk_does_not_trust_a_stranger(secure: Cosine, tmp_path: Path) -> None:
    """What the server shows is its certificate: a client that trusts another one refuses it."""
    stranger = make_pair(tmp_path)
    with pytest.raises(CosClientError) as caught:
        secure_client(secure, str(stranger.cert)).list_buckets()
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value)


@pytest.mark.parametrize("kind", ["ec-traditional", "rsa", "rsa-traditional"])
def test_every_form_of_key(tmp_path: Path, kind: str) -> None:
    """SEC1, PKCS#8 and PKCS#1 in PEM, as openssl writes them."""
    made = make_pair(tmp_path, kind)
    with Cosine("dev", *FREE_PORT, cwd=tmp_path, env=made.settings, secret_key=SECRET_KEY) as cosine:
        assert "Buckets" in secure_client(cosine, str(made.cert)).list_buckets()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_versions_and_protocols(secure: Cosine, pair: Pair, version: ssl.TLSVersion) -> None:
    """TLS 1.2 and 1.3; ``h2`` or ``http/1.1`` as the client likes it."""
    for offered, chosen in [(["h2", "http/1.1"], "h2"), (["http/1.1"], "http/1.1"), ([], None)]:
        context = ssl.create_default_context(cafile=str(pair.cert))
        context.minimum_version = context.maximum_version = version
        if offered:
            context.set_alpn_protocols(offered)
        with secure.connect() as sock, context.wrap_socket(sock, server_hostname="localhost") as secured:
            assert secured.selected_alpn_protocol() == chosen


# --- curl ------------------------------------------------------------------------------------

CURL = "curl -sSk --fail-with-body -w '%{http_version}\\n'"


@pytest.mark.parametrize(
    ("option", "version", "etag_line"), [("--http2", "2", "etag: "), ("--http1.1", "1.1", "ETag: ")]
)
def test_curl(secure: Cosine, tls_bucket: str, tmp_path: Path, option: str, version: str, etag_line: str) -> None:
    """Put, copy and get; HTTP/2 has its header names in small letters, HTTP/1.1 as COS spells them."""
    (tmp_path / "body").write_bytes(LARGE)
    url = f"https://{secure.address}/{tls_bucket}"
    script = f"""
        auth() {{ method=$1; key=$2; shift 2
            echo "Authorization: $("$COSINE" sign "$method" "/{tls_bucket}/$key" "$@")"; }}
        source='x-cos-copy-source: /{tls_bucket}/k'
        {CURL} {option} -T body -D put-headers -H "$(auth PUT k)" {url}/k
        {CURL} {option} -X PUT -o result -H "$(auth PUT copy --header "$source")" -H "$source" {url}/copy
        {CURL} {option} -D get-headers -o got -H "$(auth GET copy)" {url}/copy
        {CURL} {option} -I -o head-headers -H "$(auth HEAD copy)" {url}/copy
    """
    assert shell(script, tmp_path, KEYS).split() == [version] * 4
    assert (tmp_path / "got").read_bytes() == LARGE
    assert ElementTree.fromstring((tmp_path / "result").read_bytes()).findtext("ETag") == quoted_md5(LARGE)
    for name in ("put-headers", "get-headers", "head-headers"):
        lines = (tmp_path / name).read_text().splitlines()
        assert any(line.startswith(f"HTTP/{version} 200") for line in lines), lines
        assert etag_line + quoted_md5(LARGE) in lines, lines
        assert sum(line.lower().startswith("x-cos-request-id: ") for line in lines) == 1


def test_errors_over_http_2(secure: Cosine, tls_bucket: str, tmp_path: Path) -> None:
    """The same documents: a missing key, and a signature for something else."""
    url = f"https://{secure.address}/{tls_bucket}/missing"
    script = f"""
        ask() {{
            curl -sSk --http2 -w '\\n%{{http_version}} %{{http_code}}\\n' \\
                -H "Authorization: $("$COSINE" sign GET "/{tls_bucket}/$1")" {url}
        }}
        ask missing
        ask other
    """
    printed = shell(script, tmp_path, KEYS)
    assert printed.count("<Error>") == 2
    assert "<Code>NoSuchKey</Code>" in printed and "\n2 404\n" in printed
    assert "<Code>SignatureDoesNotMatch</Code>" in printed and "\n2 403\n" in printed


def test_many_streams_of_one_connection(secure: Cosine, pair: Pair, tmp_path: Path) -> None:
    """Downloads that share an HTTP/2 connection do not mix."""
    client, name = secure_client(secure, str(pair.cert)), unique_bucket()
    client.create_bucket(Bucket=name, ACL="public-read")
    bodies = {f"k{number}": random.Random(number).randbytes(300_000 + number) for number in range(20)}
    for key, body in bodies.items():
        client.put_object(Bucket=name, Key=key, Body=body)
    downloads = " ".join(f"-o {key} https://{secure.address}/{name}/{key}" for key in bodies)
    report = "-w '%{http_version} %{num_connects}\\n'"
    printed = shell(f"curl -sSk --fail --http2 --parallel {report} {downloads}", tmp_path)
    assert {key: (tmp_path / key).read_bytes() for key in bodies} == bodies
    versions, connections = zip(*(line.split() for line in printed.splitlines()), strict=True)
    assert set(versions) == {"2"}
    assert sum(map(int, connections)) == 1


# --- clients that do not speak TLS -----------------------------------------------------------


def drain(sock: socket.socket) -> bytes:
    """Everything until the server hangs up, which it must."""
    received = b""
    try:
        while piece := sock.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return received


def test_plain_http_gets_no_answer(secure: Cosine, tls_bucket: str, pair: Pair) -> None:
    """The connection ends without a word of HTTP; the next client is served as ever."""
    client = secure_client(secure, str(pair.cert))
    client.put_object(Bucket=tls_bucket, Key="k", Body=b"x")
    plain = secure.head_bytes("PUT", "/k", host=secure.address, headers={"Content-Length": "3"}) + b"bad"
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for words in [plain, preface, b"\r\n\r\n", bytes(1000), random.Random(2).randbytes(100_000)]:
        with secure.connect() as sock:
            try:
                sock.sendall(words)
                sock.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            assert b"HTTP" not in drain(sock)
        assert body_of(client.get_object(Bucket=tls_bucket, Key="k")) == b"x"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{secure.address}/", timeout=IO_TIMEOUT, proxies={"http": ""})
    assert body_of(client.get_object(Bucket=tls_bucket, Key="k")) == b"x"
    assert "panicked" not in secure.log()


def test_a_handshake_that_breaks_off(secure: Cosine, tls_bucket: str, pair: Pair) -> None:
    """Half a greeting, then nothing: neither that client nor many like it keep others waiting."""
    client = secure_client(secure, str(pair.cert))
    outgoing = ssl.MemoryBIO()
    greeting = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        greeting.do_handshake()
    hello = outgoing.read()
    with ExitStack() as connections:
        for _ in range(100):
            sock = connections.enter_context(secure.connect())
            sock.sendall(hello[: len(hello) // 2])
        client.put_object(Bucket=tls_bucket, Key="k", Body=b"x")
        assert body_of(client.get_object(Bucket=tls_bucket, Key="k")) == b"x"
    assert body_of(client.get_object(Bucket=tls_bucket, Key="k")) == b"x"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_end_does_not_wait_for_silence(tmp_path: Path, pair: Pair, number: signal.Signals) -> None:
    """A client that never began its handshake has no request under way."""
    with Cosine("dev", *FREE_PORT, cwd=tmp_path, env=pair.settings, secret_key=SECRET_KEY) as cosine:
        with cosine.connect():
            # Connections are accepted in their order: once this is answered, the silent one is in.
            secure_client(cosine, str(pair.cert)).list_buckets()
            cosine.process.send_signal(number)
            try:
                status = cosine.process.wait(PROMPT)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"still there {PROMPT} s after {number.name}") from None
        assert status == 0, cosine.log()


SETTINGS, PING, GOAWAY, ACK = 4, 6, 7, 1


def frame(kind: int, flags: int = 0, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame of the connection itself."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + bytes(4) + payload


def frames_until_the_end(sock: socket.socket) -> Iterator[int]:
    """The kinds of the frames that come, acknowledged where they must be."""
    stream = sock.makefile("rb")
    while len(head := stream.read(9)) == 9:
        payload, kind, flags = stream.read(int.from_bytes(head[:3], "big")), head[3], head[4]
        if kind in (SETTINGS, PING) and not flags & ACK:
            sock.sendall(frame(kind, ACK, payload if kind == PING else b""))
        yield kind


@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_the_end_does_not_wait_for_idle_clients(tmp_path: Path, pair: Pair, protocol: str) -> None:
    """A connection that is kept alive is closed; over HTTP/2 it is said beforehand."""
    context = ssl.create_default_context(cafile=str(pair.cert))
    context.set_alpn_protocols([protocol])
    with Cosine("dev", *FREE_PORT, cwd=tmp_path, env=pair.settings, secret_key=SECRET_KEY) as cosine:
        with context.wrap_socket(cosine.connect(), server_hostname="localhost") as idle:
            idle.settimeout(PROMPT)
            if protocol == "h2":
                idle.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS))
                coming = frames_until_the_end(idle)
                assert next(coming) == SETTINGS
                cosine.process.send_signal(signal.SIGTERM)
                assert GOAWAY in list(coming)
            else:
                idle.sendall(cosine.head_bytes("GET", "/", host=cosine.address))
                read_answer(idle).expect(200)
                cosine.process.send_signal(signal.SIGTERM)
                assert drain(idle) == b""
            try:
                status = cosine.process.wait(PROMPT)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"still there {PROMPT} s after the connection ended") from None
        assert status == 0, cosine.log()


# --- files that cannot be used ---------------------------------------------------------------


def break_pair(how: str, made: Pair, directory: Path) -> Pair:
    """A copy of a pair with something wrong."""
    cert, key = (Path(shutil.copy(path, directory / path.name)) for path in (made.cert, made.key))
    match how:
        case "no certificate":
            cert.unlink()
        case "no key":
            key.unlink()
        case "empty certificate":
            cert.write_bytes(b"")
        case "empty key":
            key.write_bytes(b"")
        case "certificate is not PEM":
            cert.write_text("hello\n")
        case "key is not PEM":
            key.write_text("hello\n")
        case "certificate is torn":
            cert.write_bytes(cert.read_bytes()[:200])
        case "key is torn":
            key.write_bytes(key.read_bytes()[:100])
        case "certificate holds no certificate":
            lines = cert.read_text().splitlines()
            cert.write_text("\n".join([lines[0], "aGVsbG8=", lines[-1]]) + "\n")
        case "key of another":
            (directory / "other").mkdir()
            shutil.copy(make_pair(directory / "other").key, key)
        case "swapped":
            return Pair(key, cert)
        case "a directory":
            cert.unlink()
            cert.mkdir()
    return Pair(cert, key)


@pytest.mark.parametrize("command", ["serve", "dev"])
@pytest.mark.parametrize(
    "how",
    [
        "no certificate",
        "no key",
        "empty certificate",
        "empty key",
        "certificate is not PEM",
        "key is not PEM",
        "certificate is torn",
        "key is torn",
        "certificate holds no certificate",
        "key of another",
        "swapped",
        "a directory",
    ],
)
def test_a_pair_that_cannot_be_used(tmp_path: Path, pair: Pair, how: str, command: str) -> None:
    """No start without TLS where TLS was asked for: a message, and a status that is not 0."""
    broken = break_pair(how, pair, tmp_path)
    ran = run_cosine(command, *FREE_PORT, cwd=tmp_path, env=broken.settings)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("cosine: cannot ") and "panicked" not in ran.stderr
    for path, is_missing in [(broken.cert, how == "no certificate"), (broken.key, how == "no key")]:
        assert not is_missing or str(path) in ran.stderr
