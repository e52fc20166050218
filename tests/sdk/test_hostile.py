"""Hostile clients and overload: what they get, and that others do not notice."""

from __future__ import annotations

import hashlib
import random
import resource
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from qcloud_cos import CosServiceError

from harness import SECRET_KEY, Server, body_of, bucket_host, read_answer, read_interim, unique_bucket
from hostile import (
    ACK,
    GOAWAY,
    PING,
    PREFACE,
    SETTINGS,
    eventually,
    frame,
    half_a_greeting,
    half_an_http2_head,
    http2_get,
    open_sockets,
    seconds_until_the_end,
    small_reader,
)
from program import FREE_PORT, KEYS, Cosine
from test_tls import make_pair

MIB = 1 << 20
# The short limit of a test; what is not its subject keeps its default.
SHORT = 1.0
# A loaded machine may be this much later than it should.
LATE = 10.0
LARGE = random.Random(3).randbytes(24 * MIB)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Cosine]]:
    """Starts ``cosine serve`` with some settings; at the end of the test it must stop as it should."""
    with ExitStack() as running:

        def start(**settings: object) -> Cosine:
            env = {f"COSINE_{name.upper()}": str(value) for name, value in settings.items()}
            cosine = Cosine("serve", *FREE_PORT, cwd=tmp_path, env={**KEYS, **env}, secret_key=SECRET_KEY)
            return running.enter_context(cosine)

        yield start


def public_bucket(cosine: Server, **objects: bytes) -> str:
    """A bucket that everyone may read, with some objects."""
    bucket = unique_bucket()
    cosine.send("PUT", bucket=bucket, headers={"x-cos-acl": "public-read"}).expect(200)
    for key, body in objects.items():
        cosine.send("PUT", "/" + key, bucket=bucket, body=body).expect(200)
    return bucket


def get_head(bucket: str, key: str) -> bytes:
    return f"GET /{key} HTTP/1.1\r\nHost: {bucket_host(bucket)}\r\n\r\n".encode()


def never_read(cosine: Server, bucket: str, key: str) -> socket.socket:
    """Asks for an object and takes no more than its first byte: the answer is on its way, and holds
    what it holds."""
    sock = small_reader(cosine)
    sock.sendall(get_head(bucket, key))
    assert sock.recv(12) == b"HTTP/1.1 200"
    return sock


def what_is_left(sock: socket.socket) -> bytes:
    """What comes until the end of the connection, whichever end it is."""
    received = b""
    try:
        while piece := sock.recv(MIB):
            received += piece
    except ConnectionResetError:
        pass
    return received


def begin_upload(cosine: Server, bucket: str, key: str = "k", length: int = 100 * MIB) -> socket.socket:
    """Sends the head of an upload; the answer 100 says that its body is awaited."""
    sock = cosine.connect()
    headers = {"Content-Length": str(length), "Expect": "100-continue"}
    sock.sendall(cosine.head_bytes("PUT", f"/{key}", host=bucket_host(bucket), headers=headers))
    read_interim(sock)
    return sock


# --- a connection without a request --------------------------------------------------------

BEGINNINGS = {
    "silence": b"",
    "half a request line": b"GET /",
    "half a head": b"GET / HTTP/1.1\r\nHost: h\r\n",
    "the start of the preface": PREFACE[:16],
    "the preface": PREFACE,
    "no HTTP/2 request": PREFACE + frame(SETTINGS),
    "half an HTTP/2 head": half_an_http2_head("h"),
}
DRIPS = {
    "a head": b"GET / HTTP/1.1\r\n" + b"x-a: b\r\n" * 100,
    "the preface": PREFACE + bytes(1000),
    "pings": PREFACE + frame(SETTINGS) + frame(PING, payload=bytes(8)) * 100,
}


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_a_head_that_does_not_come(start: Callable[..., Cosine], beginning: str) -> None:
    cosine = start(header_time=SHORT)
    with cosine.connect() as sock:
        sock.sendall(BEGINNINGS[beginning])
        assert seconds_until_the_end(sock, SHORT + LATE) > SHORT / 2


@pytest.mark.parametrize("drip", DRIPS)
def test_a_head_that_comes_byte_by_byte(start: Callable[..., Cosine], drip: str) -> None:
    """The time is for the whole of it, whatever moves meanwhile."""
    cosine = start(header_time=SHORT)
    with cosine.connect() as sock:
        assert seconds_until_the_end(sock, SHORT + LATE, DRIPS[drip]) > SHORT / 2


@pytest.mark.parametrize("then", [b"", b"GET / HTT"], ids=["nothing", "half a head"])
def test_a_second_head_that_does_not_come(start: Callable[..., Cosine], then: bytes) -> None:
    cosine = start(header_time=SHORT)
    bucket = public_bucket(cosine, k=b"x")
    with cosine.connect() as sock:
        sock.sendall(get_head(bucket, "k"))
        read_answer(sock).expect(200)
        sock.sendall(then)
        assert seconds_until_the_end(sock, SHORT + LATE) > SHORT / 2


def test_an_idle_http2_connection(start: Callable[..., Cosine]) -> None:
    """It is closed after its last answer, with a word, and pings do not keep it."""
    cosine = start(header_time=SHORT)
    bucket = public_bucket(cosine, k=b"for all")
    received = b""
    started = time.monotonic()
    with cosine.connect() as sock:
        sock.settimeout(0.1)
        sock.sendall(http2_get(f"/{bucket}/k", cosine.address))
        while time.monotonic() < started + SHORT + LATE:
            try:
                sock.sendall(frame(PING, payload=bytes(8)))
                piece = sock.recv(65536)
                if not piece:
                    break
                received += piece
            except TimeoutError:
                pass
            except OSError:
                break
        else:
            raise AssertionError("still connected")
    assert time.monotonic() - started > SHORT / 2
    assert b"for all" in received
    assert frame(GOAWAY)[3:4] + bytes(5) in received


@pytest.mark.parametrize("how", ["silence", "half a greeting", "a whole handshake"])
def test_a_handshake_that_stops(start: Callable[..., Cosine], tmp_path: Path, how: str) -> None:
    pair = make_pair(tmp_path)
    cosine = start(header_time=SHORT, tls_cert=pair.cert, tls_key=pair.key)
    with cosine.connect() as sock:
        if how == "half a greeting":
            sock.sendall(half_a_greeting())
        elif how == "a whole handshake":
            context = ssl.create_default_context(cafile=str(pair.cert))
            sock = context.wrap_socket(sock, server_hostname="localhost")
        assert seconds_until_the_end(sock, SHORT + LATE) > SHORT / 2


# --- bodies that stop -----------------------------------------------------------------------


def test_an_upload_that_stops(start: Callable[..., Cosine]) -> None:
    cosine = start(stall_time=SHORT)
    bucket = public_bucket(cosine)
    with begin_upload(cosine, bucket) as sock:
        sock.sendall(b"some of it")
        started = time.monotonic()
        read_answer(sock).expect(400, "RequestTimeout")
        assert SHORT / 2 < time.monotonic() - started < SHORT + LATE


def test_an_upload_may_be_slow(start: Callable[..., Cosine]) -> None:
    """It moves, so it may take longer than any limit."""
    cosine = start(stall_time=SHORT, header_time=SHORT)
    bucket = public_bucket(cosine)
    body = b"slowly"
    with begin_upload(cosine, bucket, length=len(body)) as sock:
        for byte in body:
            time.sleep(SHORT / 2)
            sock.sendall(bytes([byte]))
        read_answer(sock, "PUT").expect(200)
    assert cosine.send("GET", "/k", bucket=bucket).expect(200).body == body


def test_a_download_that_nobody_reads(start: Callable[..., Cosine]) -> None:
    """It holds little, and is dropped; what was sent is the front of the object."""
    cosine = start(stall_time=SHORT)
    bucket = public_bucket(cosine, k=LARGE)
    sockets, memory = open_sockets(cosine), cosine.peak_memory()
    with ExitStack() as connections:
        held = [connections.enter_context(never_read(cosine, bucket, "k")) for _ in range(16)]
        eventually("all are dropped", lambda: open_sockets(cosine) <= sockets, SHORT + LATE)
        assert cosine.peak_memory() - memory < 16 * 3 * MIB
        assert len(what_is_left(held[0])) < len(LARGE) / 2


def test_a_download_may_be_slow(start: Callable[..., Cosine]) -> None:
    """A client that takes some of it now and then is served to the end."""
    cosine = start(stall_time=SHORT, header_time=SHORT)
    bucket = public_bucket(cosine, k=LARGE)
    with small_reader(cosine) as sock:
        sock.sendall(get_head(bucket, "k"))
        received = b""
        for _ in range(30):
            time.sleep(SHORT / 10)
            received += sock.recv(64 << 10)
        while len(received) < len(LARGE):
            piece = sock.recv(MIB)
            assert piece, "cut off"
            received += piece
        assert received.endswith(LARGE[-1000:])


def test_an_http2_download_without_a_window(start: Callable[..., Cosine]) -> None:
    """The socket takes everything, and pings are answered; the answer is not taken all the same."""
    cosine = start(stall_time=SHORT)
    bucket = public_bucket(cosine, k=LARGE)
    with cosine.connect() as sock:
        sock.sendall(http2_get(f"/{bucket}/k", cosine.address, window=0))
        pings = frame(SETTINGS, ACK) + frame(PING, payload=bytes(8)) * 1000
        assert seconds_until_the_end(sock, SHORT + LATE, pings) > SHORT / 2


# --- too many, too much ---------------------------------------------------------------------


def test_one_connection_too_many(start: Callable[..., Cosine]) -> None:
    """It is told so at once, those that are open are served, and room comes back."""
    cosine = start(connections_max=20)
    bucket = public_bucket(cosine, k=b"x")
    with ExitStack() as connections:
        for _ in range(20):
            # One that served an earlier request may still be ending.
            eventually("served", lambda: is_served(cosine, bucket, connections))
        refused = connections.enter_context(cosine.connect())
        for _ in range(200):
            with cosine.connect() as sock:
                seconds_until_the_end(sock, LATE)
        read_answer(refused).expect(503, "SlowDown")
    eventually("room", lambda: cosine.send("GET", "/k", bucket=bucket).status == 200)


def is_served(cosine: Server, bucket: str, connections: ExitStack) -> bool:
    """Opens a connection, and keeps it open if it is served."""
    with ExitStack() as attempt:
        sock = attempt.enter_context(cosine.connect())
        sock.sendall(get_head(bucket, "k"))
        if read_answer(sock).status != 200:
            return False
        connections.push(attempt.pop_all())
        return True


def test_too_much_memory_is_a_503_and_passes(start: Callable[..., Cosine]) -> None:
    """What is small is served even then."""
    cosine = start(memory_max="4MiB")
    bucket = public_bucket(cosine, large=LARGE, small=b"x")
    client = cosine.client()
    with ExitStack() as connections:
        # Each holds 1.5 MiB.
        for _ in range(2):
            connections.enter_context(never_read(cosine, bucket, "large"))
        for attempt in [
            lambda: client.get_object(Bucket=bucket, Key="large"),
            lambda: client.put_object(Bucket=bucket, Key="new", Body=LARGE),
        ]:
            with pytest.raises(CosServiceError) as refused:
                attempt()
            assert (refused.value.get_status_code(), refused.value.get_error_code()) == (503, "SlowDown")
        client.put_object(Bucket=bucket, Key="new", Body=b"small")
        assert body_of(client.get_object(Bucket=bucket, Key="small")) == b"x"
        cosine.send("GET", "/large", bucket=bucket).expect(503, "SlowDown")
    eventually("memory comes back", lambda: cosine.send("GET", "/large", bucket=bucket).status == 200)
    client.put_object(Bucket=bucket, Key="new", Body=LARGE)
    assert body_of(client.get_object(Bucket=bucket, Key="new")) == LARGE


def test_one_request_too_many(start: Callable[..., Cosine]) -> None:
    cosine = start(requests_max=2)
    bucket = public_bucket(cosine, large=LARGE, small=b"x")
    with ExitStack() as connections:
        for _ in range(2):
            connections.enter_context(never_read(cosine, bucket, "large"))
        cosine.send("GET", "/small", bucket=bucket).expect(503, "SlowDown")
        # Who may not do it is told so, and not that there is no room.
        cosine.send("PUT", "/small", bucket=bucket, auth="q-sign-algorithm=sha1").expect(403)
    eventually("room", lambda: cosine.send("GET", "/small", bucket=bucket).status == 200)


# --- many -----------------------------------------------------------------------------------


@pytest.fixture
def many_files() -> Iterator[None]:
    """This process may have as many sockets as the machine allows."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("many_files")
def test_idle_connections_hold_little(start: Callable[..., Cosine]) -> None:
    """What a connection needs for a request it gives up while there is none."""
    count = 2000
    cosine = start()
    bucket = public_bucket(cosine, k=b"x")
    memory = cosine.peak_memory()
    with ExitStack() as connections:
        idle = [connections.enter_context(cosine.connect()) for _ in range(count)]
        # Twice: a connection that has given everything up is as good as new.
        for _ in range(2):
            for sock in idle:
                sock.sendall(get_head(bucket, "k"))
                assert read_answer(sock).expect(200).body == b"x"
        assert cosine.peak_memory() - memory < count * (20 << 10)


@pytest.mark.usefixtures("many_files")
def test_a_thousand_trickling_uploads_beside_a_normal_client(start: Callable[..., Cosine]) -> None:
    """Neither the memory that there is for bodies nor anything else is theirs."""
    cosine = start(memory_max="96MiB")
    bucket = public_bucket(cosine)
    client = cosine.client()
    memory = cosine.peak_memory()
    with ExitStack() as connections:
        tricklers = [connections.enter_context(begin_upload(cosine, bucket, "slow")) for _ in range(1000)]
        slowest = 0.0
        for number in range(5):
            second = time.monotonic() + 1
            for sock in tricklers:
                sock.sendall(b"x")
            while time.monotonic() < second:
                started = time.monotonic()
                client.put_object(Bucket=bucket, Key="k", Body=LARGE[: 2 * MIB])
                assert body_of(client.get_object(Bucket=bucket, Key="k")) == LARGE[: 2 * MIB], number
                slowest = max(slowest, time.monotonic() - started)
        assert slowest < 5.0
    assert cosine.peak_memory() - memory < 96 * MIB


def test_an_upload_in_tiny_pieces_holds_what_it_sent(start: Callable[..., Cosine]) -> None:
    """A piece of a byte is kept in dozens of them; a block has room for half a million."""
    cosine = start()
    bucket = public_bucket(cosine)
    body = random.Random(5).randbytes(250_000)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    memory = cosine.peak_memory()
    with ExitStack() as connections:
        uploads = []
        for number in range(4):
            sock = connections.enter_context(cosine.connect())
            host, headers = bucket_host(bucket), {"Transfer-Encoding": "chunked"}
            sock.sendall(cosine.head_bytes("PUT", f"/{number}", host=host, headers=headers))
            # All but the end: that comes when all of them are there.
            sock.sendall(chunks[:-5])
            uploads.append(sock)
        for sock in uploads:
            sock.sendall(chunks[-5:])
            answer = read_answer(sock, "PUT").expect(200)
            assert answer.headers["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert cosine.peak_memory() - memory < 16 * MIB


# --- the end --------------------------------------------------------------------------------


def attach_all(cosine: Cosine, bucket: str, connections: ExitStack) -> None:
    """One client of every kind, some of them several times."""
    for words in [*BEGINNINGS.values(), http2_get(f"/{bucket}/k", cosine.address, window=0)]:
        sock = connections.enter_context(cosine.connect())
        sock.sendall(words)
    for _ in range(3):
        connections.enter_context(never_read(cosine, bucket, "k"))
        connections.enter_context(begin_upload(cosine, bucket)).sendall(b"some")
    kept = connections.enter_context(cosine.connect())
    kept.sendall(get_head(bucket, "small"))
    read_answer(kept).expect(200)


def end_within(cosine: Cosine, seconds: float) -> float:
    cosine.process.send_signal(signal.SIGTERM)
    started = time.monotonic()
    try:
        status = cosine.process.wait(seconds)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"still there {seconds} s after SIGTERM") from None
    assert status == 0, cosine.log()
    assert "panicked" not in cosine.log()
    return time.monotonic() - started


def test_the_end_comes_in_time_with_all_of_them_attached(start: Callable[..., Cosine]) -> None:
    """Requests under way have the drain time, and no more; the rest has less."""
    drain = 2.0
    cosine = start(drain_time=drain)
    bucket = public_bucket(cosine, k=LARGE, small=b"x")
    digest = hashlib.md5(LARGE).hexdigest()
    with ExitStack() as connections:
        attach_all(cosine, bucket, connections)
        # Under way when the signal comes, and finished after it.
        last = begin_upload(cosine, bucket, "last", len(LARGE))
        cosine.process.send_signal(signal.SIGTERM)
        last.sendall(LARGE)
        assert read_answer(last, "PUT").expect(200).headers["ETag"] == f'"{digest}"'
        assert end_within(cosine, drain + LATE) > drain / 4


def test_the_end_does_not_wait_for_those_without_a_request(start: Callable[..., Cosine], tmp_path: Path) -> None:
    """Half a handshake or half a head is no request."""
    pair = make_pair(tmp_path)
    cosine = start(drain_time=60, tls_cert=pair.cert, tls_key=pair.key)
    context = ssl.create_default_context(cafile=str(pair.cert))
    with ExitStack() as connections:
        connections.enter_context(cosine.connect()).sendall(half_a_greeting())
        for words in BEGINNINGS.values():
            sock = connections.enter_context(cosine.connect())
            connections.enter_context(context.wrap_socket(sock, server_hostname="localhost")).sendall(words)
        end_within(cosine, LATE)
