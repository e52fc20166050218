"""A Transit engine, as far as Cosine asks it: HTTP, tokens, keys, associated data, and faults on demand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

TOKEN = "s.0123456789"


class Vault:
    """Seals with a stream of HMACs, which is enough to tell right from wrong."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.fault: tuple[int, str] | None = None
        self.held = 0
        self.namespace = ""
        self.latest_version = 1
        self._free = threading.Event()
        self._free.set()
        self._count = threading.Lock()
        vault = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                vault.answer(self, {})

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                vault.answer(self, json.loads(self.rfile.read(length) or b"{}"))

        class Listener(ThreadingHTTPServer):
            # Many connect at once: beyond it, they try again after seconds.
            request_queue_size = 256

        self.server = Listener(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.let_go()
        self.server.shutdown()
        self.server.server_close()

    def hold(self) -> None:
        """From now on, nothing is answered."""
        self._free.clear()

    def let_go(self) -> None:
        self._free.set()

    def add(self, name: str) -> None:
        self.keys[name] = os.urandom(32)

    def answer(self, request: BaseHTTPRequestHandler, body: dict[str, str]) -> None:
        if not self._free.is_set():
            with self._count:
                self.held += 1
            self._free.wait()
        status, document = self.judge(request, body)
        text = json.dumps(document).encode()
        try:
            request.send_response(status)
            request.send_header("Content-Type", "application/json")
            request.send_header("Content-Length", str(len(text)))
            request.end_headers()
            request.wfile.write(text)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it went away meanwhile

    def judge(self, request: BaseHTTPRequestHandler, body: dict[str, str]) -> tuple[int, dict[str, Any]]:
        def error(status: int, what: str) -> tuple[int, dict[str, Any]]:
            return status, {"errors": [what]}

        if request.headers.get("X-Vault-Token") != TOKEN or request.headers.get("X-Vault-Namespace", "") != self.namespace:
            return error(403, "permission denied")
        _, version, mount, verb, name = request.path.split("/")
        assert (version, mount) == ("v1", "transit")
        self.asked.append((verb, name))
        if self.fault:
            return error(*self.fault)
        if verb == "keys":
            data = {"name": name, "type": "aes256-gcm96", "latest_version": self.latest_version}
            return (200, {"data": data}) if name in self.keys else (404, {"errors": []})
        if name not in self.keys:
            return error(400, "encryption key not found")
        key, label = self.keys[name], base64.b64decode(body["associated_data"])
        if verb == "encrypt":
            plain, nonce = base64.b64decode(body["plaintext"]), os.urandom(16)
            sealed = bytes(a ^ b for a, b in zip(plain, self.stream(key, nonce), strict=True))
            tag = hmac.digest(key, nonce + sealed + label, "sha256")
            text = base64.b64encode(nonce + tag + sealed).decode()
            return 200, {"data": {"ciphertext": f"vault:v{self.latest_version}:{text}"}}
        whole = base64.b64decode(body["ciphertext"].split(":")[2])
        nonce, tag, sealed = whole[:16], whole[16:48], whole[48:]
        if not hmac.compare_digest(tag, hmac.digest(key, nonce + sealed + label, "sha256")):
            return error(400, "cipher: message authentication failed")
        plain = bytes(a ^ b for a, b in zip(sealed, self.stream(key, nonce), strict=True))
        return 200, {"data": {"plaintext": base64.b64encode(plain).decode()}}

    @staticmethod
    def stream(key: bytes, nonce: bytes) -> bytes:
        return hashlib.sha256(key + nonce).digest()


def settled(condition: Any, seconds: float = 20.0) -> None:
    """Waits until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it does not come to pass"
        time.sleep(0.01)
