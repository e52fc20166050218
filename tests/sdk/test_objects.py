"""PUT, GET, HEAD and DELETE Object."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest
from qcloud_cos import CosS3Client, CosServiceError

from harness import (
    Answer,
    Server,
    body_of,
    bucket_host,
    crc64,
    list_keys,
    md5_hex,
    quoted_md5,
    read_answer,
    read_interim,
    unique_bucket,
)

MIB = 1 << 20


def content_md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


# --- round trips ---------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 3 * MIB + 17])
def test_round_trip_by_size(client: CosS3Client, bucket: str, size: int) -> None:
    """Bytes, length, ETag and CRC64 survive at sizes around every likely boundary."""
    data = random.Random(size).randbytes(size)
    put = client.put_object(Bucket=bucket, Key="k", Body=data)
    head = client.head_object(Bucket=bucket, Key="k")
    got = client.get_object(Bucket=bucket, Key="k")
    assert body_of(got) == data
    assert put["Content-Length"] == "0"
    assert int(head["Content-Length"]) == int(got["Content-Length"]) == size
    for answer in (put, head, got):
        assert answer["ETag"] == quoted_md5(data)
        assert answer["x-cos-hash-crc64ecma"] == str(crc64(data))


@pytest.mark.parametrize(
    ("text", "checksum"),
    [
        ("", 0),
        ("123456789", 11051210869376104954),
        ("[Object Content]", 16749565679157681890),
        ("[Object Content Version 2]", 11596229263574363878),
        ("exampleobject", 14316141774525398218),
        ("test", 18020588380933092773),
    ],
)
def test_crc64_published_vectors(client: CosS3Client, bucket: str, text: str, checksum: int) -> None:
    """The service's own published checksums, and the one computed here."""
    put = client.put_object(Bucket=bucket, Key="k", Body=text.encode())
    assert int(put["x-cos-hash-crc64ecma"]) == checksum == crc64(text.encode())


def test_twenty_mebibytes_streamed_from_a_file(client: CosS3Client, bucket: str) -> None:
    data = random.Random(20).randbytes(20 * MIB)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        put = client.put_object(Bucket=bucket, Key="big", Body=file, EnableMD5=True)
    assert put["ETag"] == quoted_md5(data)
    assert put["x-cos-hash-crc64ecma"] == str(crc64(data))
    digest = hashlib.md5()
    length = 0
    for chunk in client.get_object(Bucket=bucket, Key="big")["Body"].get_stream(64 * 1024):
        digest.update(chunk)
        length += len(chunk)
    assert (length, digest.hexdigest()) == (len(data), md5_hex(data))


@pytest.mark.parametrize("sizes", [[], [1], [70_000, 1, 0, 130_000], [MIB] * 5], ids=["empty", "1", "odd", "5MiB"])
def test_chunked_upload_without_a_length(client: CosS3Client, bucket: str, sizes: list[int]) -> None:
    """An iterator has no length: the SDK sends Transfer-Encoding: chunked, and signs it."""
    pieces = [random.Random(number).randbytes(size) for number, size in enumerate(sizes)]

    def body() -> Iterator[bytes]:
        yield from (piece for piece in pieces if piece)

    put = client.put_object(Bucket=bucket, Key="chunked", Body=body())
    data = b"".join(pieces)
    assert put["ETag"] == quoted_md5(data)
    assert body_of(client.get_object(Bucket=bucket, Key="chunked")) == data


def test_the_last_put_wins(client: CosS3Client, bucket: str) -> None:
    for number in range(5):
        data = b"%d" % number * (number * 40_000 + 1)
        client.put_object(Bucket=bucket, Key="k", Body=data, Metadata={"x-cos-meta-number": str(number)})
        got = client.get_object(Bucket=bucket, Key="k")
        assert body_of(got) == data
        assert got["x-cos-meta-number"] == str(number)
    assert [entry["Key"] for entry in client.list_objects(Bucket=bucket)["Contents"]] == ["k"]


def test_concurrent_puts_leave_one_whole_object(server: Server, client: CosS3Client, bucket: str) -> None:
    """Bytes, ETag and metadata of the survivor all come from the same put."""
    bodies = [bytes([number]) * (100_000 + number) for number in range(8)]

    def put(number: int) -> int:
        headers = {"x-cos-meta-number": str(number)}
        return server.send("PUT", "/k", bucket=bucket, headers=headers, body=bodies[number]).status

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(put, range(8))) == [200] * 8
    got = client.get_object(Bucket=bucket, Key="k")
    winner = bodies[int(got["x-cos-meta-number"])]
    assert body_of(got) == winner
    assert got["ETag"] == quoted_md5(winner)


@pytest.mark.parametrize("change", ["overwrite", "delete"])
def test_a_reader_keeps_the_object_it_opened(server: Server, client: CosS3Client, bucket: str, change: str) -> None:
    """A GET that has begun ends with the bytes it began with."""
    old = random.Random(1).randbytes(24 * MIB)
    client.put_object(Bucket=bucket, Key="k", Body=old)
    stream = client.get_object(Bucket=bucket, Key="k")["Body"].get_raw_stream()
    start = stream.read(100_000)
    if change == "overwrite":
        server.client().put_object(Bucket=bucket, Key="k", Body=b"new")
    else:
        server.client().delete_object(Bucket=bucket, Key="k")
    assert md5_hex(start + stream.read()) == md5_hex(old)


def test_delete(client: CosS3Client, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    client.delete_object(Bucket=bucket, Key="k")
    with pytest.raises(CosServiceError) as caught:
        client.get_object(Bucket=bucket, Key="k")
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (404, "NoSuchKey")


def test_deleting_what_is_not_there(server: Server, bucket: str) -> None:
    """204 with no body, like any other delete."""
    answer = server.send("DELETE", "/never-was", bucket=bucket).expect(204)
    assert answer.body == b""


def test_head_of_a_missing_key(server: Server, client: CosS3Client, bucket: str) -> None:
    """404 with no body but with a request id; the SDK calls it NoSuchResource."""
    answer = server.send("HEAD", "/missing", bucket=bucket).expect(404)
    assert answer.body == b"" and answer.headers["x-cos-request-id"]
    with pytest.raises(CosServiceError) as caught:
        client.head_object(Bucket=bucket, Key="missing")
    assert caught.value.get_error_code() == "NoSuchResource"


# --- headers -------------------------------------------------------------------

SYSTEM_HEADERS = {
    "CacheControl": "max-age=86400, private",
    "ContentDisposition": 'attachment; filename="a b.txt"',
    "ContentEncoding": "identity",
    "ContentLanguage": "zh-CN",
    "ContentType": "text/html; charset=utf-8",
    "Expires": "Thu, 01 Jan 2037 00:00:00 GMT",
}
SYSTEM_NAMES = {
    "CacheControl": "Cache-Control",
    "ContentDisposition": "Content-Disposition",
    "ContentEncoding": "Content-Encoding",
    "ContentLanguage": "Content-Language",
    "ContentType": "Content-Type",
    "Expires": "Expires",
}


def test_system_headers_round_trip(client: CosS3Client, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="k", Body=b"<p>", **SYSTEM_HEADERS)
    for answer in (client.head_object(Bucket=bucket, Key="k"), client.get_object(Bucket=bucket, Key="k")):
        assert {name: answer.get(SYSTEM_NAMES[name]) for name in SYSTEM_HEADERS} == SYSTEM_HEADERS


def test_the_default_content_type(client: CosS3Client, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="no-extension", Body=b"x")
    head = client.head_object(Bucket=bucket, Key="no-extension")
    assert head["Content-Type"] == "application/octet-stream"
    for name in ("Cache-Control", "Content-Disposition", "Content-Encoding", "Expires"):
        assert name not in head


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-cos-meta-author", "someone"),
        ("x-cos-meta-with-dashes-2", "under_scores are for values"),
        ("x-cos-meta-punctuation", "!#$%&'()*+,-./:;<=>?@[]^`{|}~\"\\"),
        ("x-cos-meta-encoded", "%E8%85%BE+%20"),
        ("x-cos-meta-utf8", "腾讯云→"),
        ("x-cos-meta-long", "v" * 1900),
    ],
    ids=lambda text: text[:24] if text.startswith("x-cos") else "",
)
def test_user_metadata_round_trip(server: Server, bucket: str, name: str, value: str) -> None:
    """Values come back byte for byte."""
    server.send("PUT", "/k", bucket=bucket, headers={name: value}, body=b"x").expect(200)
    for method in ("HEAD", "GET"):
        got = server.send(method, "/k", bucket=bucket).expect(200).headers[name]
        assert got.encode("latin-1") == value.encode("utf-8")


def test_c69_user_metadata_over_two_kilobytes(server: Server, bucket: str) -> None:
    """More than 2 KB in total is refused, and nothing is stored."""
    headers = {f"x-cos-meta-part{number}": "v" * 600 for number in range(4)}
    answer = server.send("PUT", "/k", bucket=bucket, headers=headers, body=b"x")
    answer.expect(400, "KeyTooLong", "MetadataTooLarge")
    server.send("GET", "/k", bucket=bucket).expect(404, "NoSuchKey")


def test_c69_an_underscore_in_a_metadata_name(server: Server, bucket: str) -> None:
    """C69."""
    answer = server.send("PUT", "/k", bucket=bucket, headers={"x-cos-meta-a_b": "v"}, body=b"x")
    answer.expect(400, "InvalidArgument")
    server.send("GET", "/k", bucket=bucket).expect(404, "NoSuchKey")


RESPONSE_OVERRIDES = {
    "ResponseContentType": ("Content-Type", "text/plain; charset=utf-8"),
    "ResponseContentLanguage": ("Content-Language", "en-GB"),
    "ResponseExpires": ("Expires", "Fri, 01 Jan 2038 00:00:00 GMT"),
    "ResponseCacheControl": ("Cache-Control", "no-cache"),
    "ResponseContentDisposition": ("Content-Disposition", 'inline; filename="t+e x.txt"'),
    "ResponseContentEncoding": ("Content-Encoding", "x-none"),
}


@pytest.mark.parametrize("ranged", [False, True], ids=["whole", "range"])
@pytest.mark.parametrize("option", RESPONSE_OVERRIDES)
def test_response_overrides(client: CosS3Client, bucket: str, option: str, ranged: bool) -> None:
    """One header of the answer changes, for this answer only."""
    client.put_object(Bucket=bucket, Key="k", Body=b"hello", **SYSTEM_HEADERS)
    name, value = RESPONSE_OVERRIDES[option]
    extra = {"Range": "bytes=1-2"} if ranged else {}
    got = client.get_object(Bucket=bucket, Key="k", **{option: value}, **extra)
    assert got[name] == value
    assert body_of(got) == (b"el" if ranged else b"hello")
    stored = {SYSTEM_NAMES[key]: text for key, text in SYSTEM_HEADERS.items() if SYSTEM_NAMES[key] != name}
    assert {key: got.get(key) for key in stored} == stored
    assert client.head_object(Bucket=bucket, Key="k")[name] != value


def test_headers_of_every_answer(server: Server, client: CosS3Client, bucket: str) -> None:
    """Server, Date, request id; the id carries the time of the request."""
    put = client.put_object(Bucket=bucket, Key="k", Body=b"x")
    answers = [
        put,
        client.head_object(Bucket=bucket, Key="k"),
        client.get_object(Bucket=bucket, Key="k"),
        client.head_bucket(Bucket=bucket),
        client.delete_object(Bucket=bucket, Key="k"),
        server.send("GET", "/k", bucket=bucket).expect(404).headers,
    ]
    ids = set()
    for answer in answers:
        assert answer["Server"] == "tencent-cos"
        fields = base64.b64decode(answer["x-cos-request-id"], validate=True).decode()
        assert re.fullmatch(r"[0-9a-f]{8}(_[0-9a-f]+){3}", fields)
        date = parsedate_to_datetime(answer["Date"])
        assert abs(int(fields[:8], 16) - date.timestamp()) <= 2
        ids.add(answer["x-cos-request-id"])
    assert len(ids) == len(answers)


def test_header_names_are_spelt_as_documented(server: Server, bucket: str) -> None:
    """SDK answers are plain dicts and cosfs searches the text ``ETag: "``: case counts."""
    put = server.send("PUT", "/k", bucket=bucket, body=b"x").expect(200)
    assert {"ETag", "Content-Length", "Date", "Server"} <= set(put.headers.keys())
    head = server.send("HEAD", "/k", bucket=bucket).expect(200)
    wanted = {"ETag", "Content-Length", "Content-Type", "Last-Modified", "Accept-Ranges", "Date", "Server"}
    assert wanted | {"x-cos-request-id", "x-cos-hash-crc64ecma"} <= set(head.headers.keys())
    part = server.send("GET", "/k", bucket=bucket, headers={"Range": "bytes=0-0"}).expect(206)
    assert "Content-Range" in part.headers.keys()


def test_headers_of_a_read(client: CosS3Client, bucket: str) -> None:
    """Accept-Ranges is there; the class header is not, since STANDARD is silent."""
    client.put_object(Bucket=bucket, Key="k", Body=b"x", StorageClass="STANDARD")
    for answer in (client.head_object(Bucket=bucket, Key="k"), client.get_object(Bucket=bucket, Key="k")):
        assert answer["Accept-Ranges"] == "bytes"
        assert "x-cos-storage-class" not in answer
        assert "x-cos-version-id" not in answer
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", answer["Last-Modified"])


# --- Content-MD5 ---------------------------------------------------------------


def test_a_right_content_md5(client: CosS3Client, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="k", Body=b"hello", EnableMD5=True)
    assert body_of(client.get_object(Bucket=bucket, Key="k")) == b"hello"


@pytest.mark.parametrize("existing", [False, True], ids=["new", "overwrite"])
@pytest.mark.parametrize("size", [5, 200_000, 3 * MIB])
def test_a_wrong_content_md5(client: CosS3Client, bucket: str, existing: bool, size: int) -> None:
    """400 BadDigest, and the key is as it was before."""
    if existing:
        client.put_object(Bucket=bucket, Key="k", Body=b"before")
    with pytest.raises(CosServiceError) as caught:
        client.put_object(Bucket=bucket, Key="k", Body=b"x" * size, ContentMD5=content_md5(b"another"))
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (400, "BadDigest")
    assert client.object_exists(bucket, "k") == existing
    if existing:
        assert body_of(client.get_object(Bucket=bucket, Key="k")) == b"before"


@pytest.mark.parametrize(
    "value",
    ["x", "not base64 at all!!!", "aGVsbG8=", md5_hex(b"hello"), content_md5(b"hello")[:-2]],
    ids=["short", "garbage", "not-16-bytes", "hex", "no-padding"],
)
def test_a_malformed_content_md5(server: Server, bucket: str, value: str) -> None:
    """400 InvalidDigest, and nothing is stored."""
    answer = server.send("PUT", "/k", bucket=bucket, headers={"Content-MD5": value}, body=b"hello")
    answer.expect(400, "InvalidDigest")
    server.send("GET", "/k", bucket=bucket).expect(404, "NoSuchKey")


# --- ranges --------------------------------------------------------------------

TEN = b"0123456789"


@pytest.mark.parametrize(
    ("header", "content_range", "expected"),
    [
        ("bytes=0-0", "bytes 0-0/10", b"0"),
        ("bytes=0-9", "bytes 0-9/10", TEN),
        ("bytes=2-4", "bytes 2-4/10", b"234"),
        ("bytes=9-", "bytes 9-9/10", b"9"),
        ("bytes=0-", "bytes 0-9/10", TEN),
        ("bytes=7-99999", "bytes 7-9/10", b"789"),
        ("bytes=-3", "bytes 7-9/10", b"789"),
        ("bytes=-10", "bytes 0-9/10", TEN),
        ("bytes=-99999", "bytes 0-9/10", TEN),
    ],
)
def test_ranges(client: CosS3Client, bucket: str, header: str, content_range: str, expected: bytes) -> None:
    """206 with the slice; ETag and CRC64 stay those of the whole object."""
    client.put_object(Bucket=bucket, Key="k", Body=TEN)
    got = client.get_object(Bucket=bucket, Key="k", Range=header)
    assert got["Content-Range"] == content_range
    assert got["Content-Length"] == str(len(expected))
    assert body_of(got) == expected
    assert got["ETag"] == quoted_md5(TEN)
    assert got["x-cos-hash-crc64ecma"] == str(crc64(TEN))


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-20", "bytes=99999-100000"])
def test_ranges_that_miss(client: CosS3Client, bucket: str, header: str) -> None:
    client.put_object(Bucket=bucket, Key="k", Body=TEN)
    with pytest.raises(CosServiceError) as caught:
        client.get_object(Bucket=bucket, Key="k", Range=header)
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (416, "InvalidRange")


@pytest.mark.parametrize(
    "header",
    ["bytes=5-2", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "0-1", "bytes=0-1,3-4", "bytes=1-2x"],
)
def test_malformed_ranges_are_ignored(server: Server, bucket: str, header: str) -> None:
    """The whole object with 200; several ranges count as malformed."""
    server.send("PUT", "/k", bucket=bucket, body=TEN).expect(200)
    answer = server.send("GET", "/k", bucket=bucket, headers={"Range": header}).expect(200)
    assert answer.body == TEN
    assert "Content-Range" not in answer.headers


def test_any_range_of_an_empty_object(client: CosS3Client, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="k", Body=b"")
    with pytest.raises(CosServiceError) as caught:
        client.get_object(Bucket=bucket, Key="k", Range="bytes=0-")
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (416, "InvalidRange")


def test_random_ranges_of_a_large_object(client: CosS3Client, bucket: str) -> None:
    """Slices that begin and end anywhere, across every internal boundary."""
    choose = random.Random(4)
    data = choose.randbytes(5 * MIB + 321)
    client.put_object(Bucket=bucket, Key="k", Body=data)
    edges = [0, 1, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 4 * MIB, len(data) - 1]
    for _ in range(60):
        first = choose.choice(edges) if choose.random() < 0.5 else choose.randrange(len(data))
        last = min(len(data) - 1, first + choose.choice([0, 1, 65535, 65536, MIB, 3 * MIB]))
        got = client.get_object(Bucket=bucket, Key="k", Range=f"bytes={first}-{last}")
        assert got["Content-Range"] == f"bytes {first}-{last}/{len(data)}"
        assert body_of(got) == data[first : last + 1]


# --- conditions ----------------------------------------------------------------

LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"
ETAG = quoted_md5(b"conditions")
OTHER_ETAG = quoted_md5(b"something else")
SAME = "the object's own Last-Modified"


@pytest.fixture(scope="module")
def conditional(server: Server, module_buckets: Callable[..., str]) -> tuple[str, str]:
    """A bucket with one object ``k``, and that object's Last-Modified."""
    name = module_buckets()
    server.send("PUT", "/k", bucket=name, body=b"conditions").expect(200)
    return name, server.send("HEAD", "/k", bucket=name).expect(200).headers["Last-Modified"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-Match": ETAG}, 200),
        ({"If-Match": ETAG.strip('"')}, 200),
        ({"If-Match": f"{OTHER_ETAG}, {ETAG}"}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": OTHER_ETAG}, 412),
        ({"If-None-Match": OTHER_ETAG}, 200),
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": ETAG.strip('"')}, 304),
        ({"If-None-Match": f"{OTHER_ETAG}, {ETAG}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-Modified-Since": LONG_AGO}, 200),
        ({"If-Modified-Since": SAME}, 304),
        ({"If-Unmodified-Since": SAME}, 200),
        ({"If-Unmodified-Since": LONG_AGO}, 412),
        ({"If-Match": ETAG, "If-Unmodified-Since": LONG_AGO}, 200),
        ({"If-Match": OTHER_ETAG, "If-Unmodified-Since": SAME}, 412),
        ({"If-None-Match": ETAG, "If-Modified-Since": LONG_AGO}, 304),
        ({"If-None-Match": OTHER_ETAG, "If-Modified-Since": SAME}, 200),
        ({"If-Match": ETAG, "If-None-Match": ETAG}, 304),
        ({"If-Match": OTHER_ETAG, "If-None-Match": ETAG}, 412),
        ({"If-Modified-Since": "yesterday"}, 400),
        ({"If-Unmodified-Since": "2020-01-01T00:00:00Z"}, 400),
    ],
    ids=lambda case: " + ".join(f"{k}: {v[:40]}" for k, v in case.items()) if isinstance(case, dict) else str(case),
)
def test_conditions(
    server: Server, conditional: tuple[str, str], method: str, headers: dict[str, str], status: int
) -> None:
    """304 and 412 as documented; RFC 9110 decides pairs; a malformed date is 400."""
    name, modified = conditional
    headers = {key: modified if value == SAME else value for key, value in headers.items()}
    answer = server.send(method, "/k", bucket=name, headers=headers).expect(status)
    assert answer.headers["x-cos-request-id"]
    if status == 304:
        assert answer.body == b""
    elif method == "GET" and status == 412:
        assert answer.code == "PreconditionFailed"
    elif method == "GET" and status == 400:
        assert answer.code == "InvalidArgument"
    elif method == "GET":
        assert answer.body == b"conditions"


def test_conditions_come_before_the_range(server: Server, conditional: tuple[str, str]) -> None:
    name, _ = conditional
    missing = {"If-Match": OTHER_ETAG, "Range": "bytes=1000-"}
    server.send("GET", "/k", bucket=name, headers=missing).expect(412, "PreconditionFailed")


# --- x-cos-forbid-overwrite ------------------------------------------------------


def put_guarded(server: Server, bucket: str, value: str, body: bytes) -> Answer:
    return server.send("PUT", "/k", bucket=bucket, headers={"x-cos-forbid-overwrite": value}, body=body)


def test_forbid_overwrite(server: Server, bucket: str) -> None:
    """``true`` writes a new key once and then answers 409; ``false`` overwrites."""
    put_guarded(server, bucket, "true", b"first").expect(200)
    put_guarded(server, bucket, "true", b"second").expect(409, "FileAlreadyExists")
    assert server.send("GET", "/k", bucket=bucket).body == b"first"
    put_guarded(server, bucket, "false", b"third").expect(200)
    assert server.send("GET", "/k", bucket=bucket).body == b"third"
    server.send("DELETE", "/k", bucket=bucket).expect(204)
    put_guarded(server, bucket, "true", b"fourth").expect(200)


@pytest.mark.parametrize("size", [10, 300_000])
def test_forbid_overwrite_has_one_winner(server: Server, bucket: str, size: int) -> None:
    """Eight guarded puts at once: one 200, seven 409, and the winner's bytes."""
    barrier = threading.Barrier(8)

    def put(number: int) -> int:
        barrier.wait(30)
        return put_guarded(server, bucket, "true", bytes([number]) * size).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(put, range(8)))
    assert sorted(statuses) == [200] + [409] * 7
    assert server.send("GET", "/k", bucket=bucket).body == bytes([statuses.index(200)]) * size


# --- the connection --------------------------------------------------------------


def test_expect_100_continue(server: Server, bucket: str) -> None:
    """The server says 100 before the body is sent, then 200."""
    host = bucket_host(bucket)
    headers = {"Content-Length": "5", "Expect": "100-continue"}
    with server.connect() as sock:
        sock.sendall(server.head_bytes("PUT", "/k", host=host, headers=headers))
        read_interim(sock)
        sock.sendall(b"hello")
        read_answer(sock, "PUT").expect(200)
    assert server.send("GET", "/k", bucket=bucket).body == b"hello"


def test_expect_100_continue_when_refused(server: Server) -> None:
    """A request that is refused gets its error without having to send the body."""
    host = bucket_host(unique_bucket())
    headers = {"Content-Length": "1000000", "Expect": "100-continue"}
    with server.connect() as sock:
        sock.sendall(server.head_bytes("PUT", "/k", host=host, headers=headers))
        read_answer(sock, "PUT").expect(404, "NoSuchBucket")


def test_many_requests_on_one_connection(server: Server, bucket: str) -> None:
    """Keep-alive, with errors in between, keeps its framing."""
    host = bucket_host(bucket)
    with server.connect() as sock:
        for number in range(30):
            data = b"x" * (number * 1000)
            sock.sendall(server.head_bytes("PUT", "/k", host=host, headers={"Content-Length": str(len(data))}) + data)
            read_answer(sock, "PUT").expect(200)
            sock.sendall(server.head_bytes("GET", "/k", host=host))
            assert read_answer(sock).expect(200).body == data
            sock.sendall(server.head_bytes("GET", "/missing", host=host))
            read_answer(sock).expect(404, "NoSuchKey")
            sock.sendall(server.head_bytes("HEAD", "/k", host=host))
            assert read_answer(sock, "HEAD").headers["Content-Length"] == str(len(data))


def test_neither_length_nor_chunks(server: Server, bucket: str) -> None:
    """411 MissingContentLength, and nothing is stored."""
    server.send("PUT", "/k", bucket=bucket, length=False).expect(411, "MissingContentLength")
    assert list_keys(server, bucket) == []


def test_if_range(server: Server, bucket: str) -> None:
    """A range of another object than the one a client has begun to read is no help: it gets the whole."""
    server.send("PUT", "/k", bucket=bucket, body=b"0123456789").expect(200)
    head = server.send("HEAD", "/k", bucket=bucket).expect(200).headers
    for value, status in [
        (head["ETag"], 206),
        (head["Last-Modified"], 206),
        ('"other"', 200),
        ("Fri, 10 Apr 2020 18:20:30 GMT", 200),
    ]:
        headers = {"Range": "bytes=2-3", "If-Range": value}
        answer = server.send("GET", "/k", bucket=bucket, headers=headers).expect(status)
        assert answer.body == (b"23" if status == 206 else b"0123456789"), value


def test_304_names_the_object(server: Server, bucket: str) -> None:
    server.send("PUT", "/k", bucket=bucket, body=b"x").expect(200)
    head = server.send("HEAD", "/k", bucket=bucket).expect(200).headers
    answer = server.send("GET", "/k", bucket=bucket, headers={"If-None-Match": head["ETag"]}).expect(304)
    assert (answer.headers["ETag"], answer.headers["Last-Modified"]) == (head["ETag"], head["Last-Modified"])
