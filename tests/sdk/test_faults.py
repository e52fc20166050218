"""What the disk can do to us: a failed write, a flipped byte; and what must not grow with an object."""

from __future__ import annotations

import hashlib
import random
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import SECRET_KEY, Server, bucket_host, unique_bucket
from program import KEYS, Cosine, serve_arguments

CHUNK = 128 << 10


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def start(data: Path) -> Cosine:
    return Cosine(*serve_arguments(data), cwd=data.parent, env=KEYS, secret_key=SECRET_KEY)


@pytest.fixture
def cosine(data: Path) -> Iterator[Cosine]:
    with start(data) as cosine:
        yield cosine


def only_blob(data: Path) -> Path:
    """The file of the one blob there is."""
    (blob,) = [path for path in (data / "blobs").glob("??/*") if path.is_file()]
    return blob


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x10]))


def test_a_damaged_chunk_is_never_served(cosine: Server, data: Path) -> None:
    """Damage that shows at once is a 500; damage further on breaks the answer off before it leaves."""
    bucket = unique_bucket()
    body = random.Random(7).randbytes(16 * CHUNK)
    cosine.send("PUT", "/", bucket=bucket).expect(200)
    cosine.send("PUT", "/k", bucket=bucket, body=body).expect(200)
    blob = only_blob(data)

    flip(blob, 12 * CHUNK + 5)
    with cosine.connect() as sock:
        sock.sendall(cosine.head_bytes("GET", "/k", host=bucket_host(bucket)))
        sock.settimeout(20)
        answer = b"".join(iter(lambda: sock.recv(1 << 20), b""))
    head, _, got = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert f"Content-Length: {len(body)}".encode() in head
    assert len(got) <= 12 * CHUNK, "the damaged chunk, or one behind it, left"
    assert body.startswith(got)
    intact = {"Range": f"bytes=0-{CHUNK - 1}"}
    assert cosine.send("GET", "/k", bucket=bucket, headers=intact).expect(206).body == body[:CHUNK]

    flip(blob, 3)
    cosine.send("GET", "/k", bucket=bucket).expect(500, "InternalError")


def test_a_failed_sync_stops_writes_until_the_next_start(data: Path) -> None:
    """Nobody knows what is on the disk then: no write is acknowledged, reads go on, nothing is lost."""
    bucket = unique_bucket()
    with start(data) as cosine:
        cosine.send("PUT", "/", bucket=bucket).expect(200)
        cosine.send("PUT", "/kept", bucket=bucket, body=b"kept").expect(200)
        unlimited = resource.prlimit(cosine.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        cosine.send("PUT", "/lost", bucket=bucket, body=b"lost").expect(503, "ServiceUnavailable")
        resource.prlimit(cosine.process.pid, resource.RLIMIT_FSIZE, unlimited)
        cosine.send("PUT", "/late", bucket=bucket, body=b"late").expect(503, "ServiceUnavailable")
        cosine.send("DELETE", "/kept", bucket=bucket).expect(503, "ServiceUnavailable")
        assert cosine.send("GET", "/kept", bucket=bucket).expect(200).body == b"kept"
    with start(data) as cosine:
        assert cosine.send("GET", "/kept", bucket=bucket).expect(200).body == b"kept"
        cosine.send("GET", "/late", bucket=bucket).expect(404, "NoSuchKey")
        cosine.send("PUT", "/late", bucket=bucket, body=b"late").expect(200)
        assert cosine.send("GET", "/late", bucket=bucket).expect(200).body == b"late"


def test_memory_does_not_depend_on_the_size(cosine: Server) -> None:
    """An object of 300 MB goes in and out in far less memory."""
    bucket = unique_bucket()
    piece = random.Random(9).randbytes(1 << 20)
    cosine.send("PUT", "/", bucket=bucket).expect(200)
    before = cosine.peak_memory()
    cosine.send("PUT", "/k", bucket=bucket, body=(piece for _ in range(300))).expect(200)
    copy = {"x-cos-copy-source": f"/{bucket}/k"}
    cosine.send("PUT", "/copy", bucket=bucket, headers=copy).expect(200)
    got = hashlib.md5(cosine.send("GET", "/copy", bucket=bucket).expect(200).body).hexdigest()
    assert got == hashlib.md5(piece * 300).hexdigest()
    assert cosine.peak_memory() - before < 48 << 20
