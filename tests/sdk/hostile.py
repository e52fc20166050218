"""Clients that mean no good, or have a very slow link: what they send, and how they are told off."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

from harness import Server

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY = 0, 1, 4, 6, 7
ACK, END_STREAM, END_HEADERS = 1, 1, 4
INITIAL_WINDOW_SIZE = 4


def frame(kind: int, flags: int = 0, payload: bytes = b"", stream: int = 0) -> bytes:
    """An HTTP/2 frame."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def header_block(path: str, authority: str) -> bytes:
    """A GET in HPACK: indexed method and scheme, literal path and authority."""

    def literal(index: int, text: str) -> bytes:
        assert len(text) < 127
        return bytes([index, len(text)]) + text.encode()

    return b"\x82\x86" + literal(0x04, path) + literal(0x01, authority)


def http2_get(path: str, authority: str, *, window: int = 65_535) -> bytes:
    """A connection's first words, with one request."""
    settings = frame(SETTINGS, payload=INITIAL_WINDOW_SIZE.to_bytes(2, "big") + window.to_bytes(4, "big"))
    request = frame(HEADERS, END_HEADERS | END_STREAM, header_block(path, authority), stream=1)
    return PREFACE + settings + request


def half_an_http2_head(authority: str) -> bytes:
    """A head that says that there is more of it."""
    return PREFACE + frame(SETTINGS) + frame(HEADERS, END_STREAM, header_block("/", authority), stream=1)


def half_a_greeting() -> bytes:
    """The first half of a TLS handshake's first message."""
    outgoing = ssl.MemoryBIO()
    try:
        ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        pass
    hello = outgoing.read()
    return hello[: len(hello) // 2]


def seconds_until_the_end(sock: socket.socket, within: float, drip: bytes = b"") -> float:
    """How long it takes until the server hangs up. ``drip`` is sent meanwhile, a byte at a time."""
    started = time.monotonic()
    sock.settimeout(0.1)
    while (elapsed := time.monotonic() - started) < within:
        try:
            if drip:
                sock.sendall(drip[:1])
                drip = drip[1:]
            if not sock.recv(65536):
                return elapsed
        except TimeoutError:
            pass
        except OSError:
            return elapsed
    raise AssertionError(f"still connected after {within} s")


def eventually(what: str, holds: Callable[[], bool], within: float = 15.0) -> None:
    """Waits until something holds."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"not in {within} s: {what}"
        time.sleep(0.05)


def open_sockets(server: Server) -> int:
    """How many sockets the server has open."""
    count = 0
    for entry in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            count += os.readlink(entry).startswith("socket:")
        except FileNotFoundError:
            pass
    return count


def small_reader(server: Server) -> socket.socket:
    """A connection with a small receive buffer: what is not read stays with the server."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    sock.settimeout(60)
    sock.connect(("127.0.0.1", server.port))
    return sock
