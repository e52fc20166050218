"""APPEND Object: what it answers, what it refuses, and what is read of a growing object. Ids such as C40 are
statements of the checklist of PUT Object - Copy."""

from __future__ import annotations

import http.client
import json
import random
import socket
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import crcmod
import pytest
from qcloud_cos import CosS3Client, CosServiceError

from harness import (
    IO_TIMEOUT,
    REGION,
    SECRET_KEY,
    Answer,
    Server,
    body_of,
    bucket_host,
    list_keys,
    md5_hex,
    quoted_md5,
    unique_bucket,
)
from program import KEYS, Cosine, run_cosine, serve_arguments

CONTENT = b"[Object Content]"
NEXT = "x-cos-next-append-position"

# CRC-64/XZ in C, and of a second half given that of the first.
crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)


def append(
    server: Server,
    bucket: str,
    position: object,
    data: bytes = CONTENT,
    headers: dict[str, str] | None = None,
    key: str = "k",
    auth: str | None = "sdk",
) -> Answer:
    query = {"append": ""} if position is None else {"append": "", "position": str(position)}
    return server.send("POST", "/" + key, bucket=bucket, query=query, headers=headers, body=data, auth=auth)


def get(server: Server, bucket: str, key: str = "k", **headers: str) -> Answer:
    return server.send("GET", "/" + key, bucket=bucket, headers=headers)


def head(server: Server, bucket: str, key: str = "k") -> Answer:
    return server.send("HEAD", "/" + key, bucket=bucket).expect(200)


def copy(server: Server, bucket: str, key: str = "copy", source: str = "k", **headers: str) -> Answer:
    fields = {"x-cos-copy-source": f"{bucket_host(bucket)}/{source}", **headers}
    return server.send("PUT", "/" + key, bucket=bucket, headers=fields)


def assert_normal(server: Server, bucket: str, key: str, data: bytes) -> None:
    """These bytes, in an object that cannot be appended to, wherever one tries."""
    answer = get(server, bucket, key).expect(200)
    assert answer.body == data
    assert answer.headers["x-cos-hash-crc64ecma"] == str(crc64(data))
    assert answer.headers.get("x-cos-object-type", "normal") == "normal"
    for position in [0, len(data)]:
        append(server, bucket, position, b"more", key=key).expect(409, "ObjectNotAppendable")
    assert get(server, bucket, key).body == data


def assert_appendable(server: Server, bucket: str, data: bytes, key: str = "k") -> None:
    """These bytes, as GET, HEAD, the list and a refused append say."""
    got = get(server, bucket, key).expect(200)
    assert got.body == data
    for answer in [got, head(server, bucket, key)]:
        assert answer.headers["x-cos-object-type"] == "appendable"
        assert answer.headers["Content-Length"] == str(len(data))
        assert answer.headers["x-cos-hash-crc64ecma"] == str(crc64(data))
        assert answer.headers["ETag"] == got.headers["ETag"]
    listed = server.send("GET", bucket=bucket, query={"prefix": key, "max-keys": "1"}).expect(200).xml
    entry = (listed.findtext("Contents/Key"), listed.findtext("Contents/Size"), listed.findtext("Contents/ETag"))
    assert entry == (key, str(len(data)), got.headers["ETag"])
    refused = append(server, bucket, len(data) + 1, b"no", key=key).expect(409, "AppendPositionErr")
    assert refused.headers[NEXT] == str(len(data))


# --- a growing object against a model -------------------------------------------------------


def check_ranges(server: Server, bucket: str, key: str, data: bytes, rng: random.Random, count: int) -> None:
    """Random ranges, in the three forms of a Range."""
    for _ in range(count if data else 0):
        first = rng.randrange(len(data))
        last = min(len(data), first + rng.choice([1, 100, 70_000, len(data)])) - 1
        expected, value = rng.choice(
            [
                (data[first : last + 1], f"bytes={first}-{last}"),
                (data[first:], f"bytes={first}-"),
                (data[first:], f"bytes=-{len(data) - first}"),
            ]
        )
        answer = get(server, bucket, key, Range=value).expect(206)
        assert answer.body == expected, value
        start = len(data) - len(expected) if value.endswith("-") or "=-" in value else first
        assert answer.headers["Content-Range"] == f"bytes {start}-{start + len(expected) - 1}/{len(data)}"
        assert answer.headers["x-cos-hash-crc64ecma"] == str(crc64(data))


def check_store(data: Path) -> None:
    """The stopped store is sound, to the last byte."""
    ran = run_cosine("fsck", "--data", str(data), "--deep", "--json", cwd=data.parent)
    found = json.loads(ran.stdout)
    assert ran.returncode == 0 and found["sound"] and found["findings"] == [], ran


@pytest.mark.parametrize("seed", [1, 2])
def test_sixty_appends(tmp_path: Path, seed: int) -> None:
    """Of 0 to 300 KB each, through a restart, with copies taken on the way that must never change."""
    rng = random.Random(seed)
    data = tmp_path / "data"
    bucket = unique_bucket()
    model = b""
    copies: dict[str, bytes] = {}
    etags: list[str] = []

    def start() -> Cosine:
        return Cosine(*serve_arguments(data), cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY)

    for half in range(2):
        with start() as cosine:
            if half == 0:
                cosine.client().create_bucket(Bucket=bucket)
            for number in range(30 * half, 30 * half + 30):
                piece = rng.randbytes(rng.choice([0, 1, 17, 4096, 65_536, 65_537, rng.randrange(300_001)]))
                for wrong in {0, len(model) // 2, len(model) + 1, len(model) + len(piece)} - {len(model)}:
                    refused = append(cosine, bucket, wrong, piece).expect(409, "AppendPositionErr")
                    assert refused.headers[NEXT] == str(len(model))
                answer = append(cosine, bucket, len(model), piece).expect(200)
                before, model = model, model + piece
                assert answer.body == b""
                assert answer.headers[NEXT] == str(len(model))
                assert answer.headers["x-cos-content-sha1"] == md5_hex(piece)
                assert answer.headers["x-cos-hash-crc64ecma"] == str(crc64(piece, crc64(before)))
                assert answer.headers["ETag"] not in etags
                etags.append(answer.headers["ETag"])
                assert head(cosine, bucket).headers["ETag"] == etags[-1]
                check_ranges(cosine, bucket, "k", model, rng, 3)
                if number % 6 == 2:
                    key = f"copy{number % 12}"
                    copy(cosine, bucket, key).expect(200)
                    copies[key] = model
                if number % 10 == 9:
                    key = rng.choice(sorted(copies))
                    check_ranges(cosine, bucket, key, copies[key], rng, 3)
            assert_appendable(cosine, bucket, model)
            for key, content in copies.items():
                assert_normal(cosine, bucket, key, content)
        check_store(data)

    with start() as cosine:
        assert_appendable(cosine, bucket, model)
        cosine.send("DELETE", "/k", bucket=bucket).expect(204)
        get(cosine, bucket).expect(404, "NoSuchKey")
        for key, content in copies.items():
            assert_normal(cosine, bucket, key, content)
    check_store(data)


@pytest.mark.parametrize("size", [0, 3, 1_000_000])
def test_the_answers(server: Server, client: CosS3Client, bucket: str, size: int) -> None:
    """Through the SDK: the first ETag is the MD5, x-cos-content-sha1 is the MD5 of what was just sent."""
    first = random.Random(size).randbytes(size)
    answer = client.append_object(Bucket=bucket, Key="k", Position=0, Data=first)
    assert answer["ETag"] == quoted_md5(first)
    assert answer["x-cos-content-sha1"] == md5_hex(first)
    assert answer["x-cos-hash-crc64ecma"] == str(crc64(first))
    assert answer[NEXT] == str(size)
    assert_appendable(server, bucket, first)
    answer = client.append_object(Bucket=bucket, Key="k", Position=size, Data=CONTENT)
    assert answer["ETag"] != quoted_md5(first)
    assert answer["x-cos-content-sha1"] == md5_hex(CONTENT)
    assert answer["x-cos-hash-crc64ecma"] == str(crc64(first + CONTENT))
    assert answer[NEXT] == str(size + len(CONTENT))
    assert body_of(client.get_object(Bucket=bucket, Key="k")) == first + CONTENT
    assert_appendable(server, bucket, first + CONTENT)
    with pytest.raises(CosServiceError) as refused:
        client.append_object(Bucket=bucket, Key="k", Position=size, Data=CONTENT)
    assert (refused.value.get_status_code(), refused.value.get_error_code()) == (409, "AppendPositionErr")


def test_many_who_append(server: Server, bucket: str) -> None:
    """Each position goes to exactly one of them, and nobody's bytes are lost, doubled or torn."""
    writers, records = 6, 8

    def run(writer: int) -> list[tuple[int, bytes]]:
        rng = random.Random(writer)
        written: list[tuple[int, bytes]] = []
        position = 0
        for _ in range(records):
            piece = rng.randbytes(rng.choice([10, 3000, 70_000]))
            # Whoever is refused is so because another one got through.
            for _ in range(writers * records + 1):
                answer = append(server, bucket, position, piece)
                if answer.status == 200:
                    assert answer.headers[NEXT] == str(position + len(piece))
                    written.append((position, piece))
                    position += len(piece)
                    break
                answer.expect(409, "AppendPositionErr")
                further = int(answer.headers[NEXT])
                assert further > position
                position = further
            else:
                raise AssertionError("refused more often than others were not")
        return written

    with ThreadPoolExecutor(writers) as pool:
        results = list(pool.map(run, range(writers)))
    pieces = sorted(entry for result in results for entry in result)
    assert len(pieces) == writers * records
    assert b"".join(piece for _, piece in pieces) == get(server, bucket).body
    ends = [position + len(piece) for position, piece in pieces]
    assert [position for position, _ in pieces] == [0, *ends[:-1]]
    assert_appendable(server, bucket, b"".join(piece for _, piece in pieces))


def test_copies_while_it_grows(server: Server, bucket: str) -> None:
    """Each is the object as it was after one of the appends, never between two; a GET likewise."""
    rng = random.Random(9)
    pieces = [rng.randbytes(rng.choice([1, 5000, 66_000])) for _ in range(25)]
    states = [b"".join(pieces[:count]) for count in range(1, len(pieces) + 1)]
    append(server, bucket, 0, pieces[0]).expect(200)

    def grow() -> None:
        for state, piece in zip(states, pieces[1:], strict=False):
            append(server, bucket, len(state), piece).expect(200)

    def take(number: int) -> None:
        copy(server, bucket, f"copy{number}").expect(200)
        answer = get(server, bucket).expect(200)
        assert answer.body in states
        assert answer.headers["x-cos-hash-crc64ecma"] == str(crc64(answer.body))

    with ThreadPoolExecutor(4) as pool:
        growing = pool.submit(grow)
        list(pool.map(take, range(20)))
        growing.result()
    for number in range(20):
        answer = get(server, bucket, f"copy{number}").expect(200)
        assert answer.body in states
        assert answer.headers["x-cos-hash-crc64ecma"] == str(crc64(answer.body))
    assert_appendable(server, bucket, states[-1])


def append_until_it_dies(cosine: Cosine, bucket: str, model: bytearray, rng: random.Random, enough: Event) -> bytes:
    """Adds what is acknowledged to the model, and says so after 15 pieces; the piece that no answer came for."""
    for number in range(100_000):
        piece = rng.randbytes(rng.choice([1, 3000, 66_000]))
        try:
            answer = append(cosine, bucket, len(model), piece)
        except (OSError, http.client.HTTPException):
            return piece
        answer.expect(200)
        model += piece
        if number == 14:
            enough.set()
    raise AssertionError("it did not die")


def test_sigkill_while_it_grows(tmp_path: Path) -> None:
    """What was acknowledged is there; of the append under way, all or nothing."""
    data = tmp_path / "data"
    bucket = unique_bucket()
    model, rng = bytearray(), random.Random(5)
    for round_number in range(4):
        cosine = Cosine(*serve_arguments(data), cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY)
        try:
            if round_number == 0:
                cosine.client().create_bucket(Bucket=bucket)
            enough = Event()
            with ThreadPoolExecutor(1) as pool:
                growing = pool.submit(append_until_it_dies, cosine, bucket, model, rng, enough)
                assert enough.wait(IO_TIMEOUT)
                cosine.kill()
                under_way = growing.result()
        finally:
            cosine.kill()
        check_store(data)
        with Cosine(*serve_arguments(data), cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY) as again:
            if head(again, bucket).headers["Content-Length"] != str(len(model)):
                model += under_way
            assert_appendable(again, bucket, bytes(model))


# --- headers ------------------------------------------------------------------------------


def test_the_headers_of_the_first_append_stick(server: Server, bucket: str) -> None:
    first = {
        "Cache-Control": "max-age=1",
        "Content-Type": "text/x-log",
        "Content-Disposition": "inline",
        "x-cos-meta-a": "1",
        "x-cos-storage-class": "STANDARD_IA",
        "x-cos-acl": "public-read",
    }
    later = {
        "Cache-Control": "no-store",
        "Content-Type": "text/plain",
        "Expires": "Thu, 01 Jan 2037 00:00:00 GMT",
        "x-cos-meta-a": "2",
        "x-cos-meta-b": "2",
        "x-cos-storage-class": "STANDARD",
        "x-cos-acl": "private",
    }
    append(server, bucket, 0, b"one", first).expect(200)
    append(server, bucket, 3, b"two", later).expect(200)
    answer = server.send("GET", "/k", bucket=bucket, auth=None).expect(200)
    assert answer.body == b"onetwo"
    for name, value in first.items():
        if name != "x-cos-acl":
            assert answer.headers[name] == value
    assert "Expires" not in answer.headers and "x-cos-meta-b" not in answer.headers

    append(server, bucket, 0, b"one", key="bare").expect(200)
    append(server, bucket, 3, b"two", later, key="bare").expect(200)
    server.send("GET", "/bare", bucket=bucket, auth=None).expect(403, "AccessDenied")
    append(server, bucket, 6, b"six", {**later, "x-cos-storage-class": "STANDARD_IA"}, key="bare").expect(200)
    answer = get(server, bucket, "bare").expect(200)
    assert answer.body == b"onetwosix"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    for name in later:
        assert name == "Content-Type" or name not in answer.headers


@pytest.mark.parametrize("az", ["", "MAZ"])
def test_classes(server: Server, make_bucket: Callable[..., str], az: str) -> None:
    """What tiers itself and what is archived is not appended to, and is not made by trying."""
    bucket = make_bucket(BucketAZConfig=az)
    prefix = "MAZ_" if az else ""
    for storage_class in ["INTELLIGENT_TIERING", "ARCHIVE", "DEEP_ARCHIVE", "archive", "COLD"]:
        headers = {"x-cos-storage-class": prefix + storage_class}
        append(server, bucket, 0, headers=headers).expect(400, "InvalidArgument")
    assert list_keys(server, bucket) == []
    for storage_class in ["STANDARD", "STANDARD_IA"]:
        headers = {"x-cos-storage-class": prefix + storage_class}
        append(server, bucket, 0, headers=headers, key=storage_class).expect(200)
        append(server, bucket, len(CONTENT), key=storage_class).expect(200)
        named = head(server, bucket, storage_class).headers.get("x-cos-storage-class", "STANDARD")
        assert named == prefix + storage_class
        assert_appendable(server, bucket, CONTENT * 2, storage_class)


# --- what is refused ------------------------------------------------------------------------


@pytest.mark.parametrize("position", [None, "", "-1", "-16", "1.5", "16.0", "abc", "0x10", "16a", " 16", "1" * 40])
@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
def test_a_bad_position(server: Server, bucket: str, position: str | None, existing: bool) -> None:
    """400 InvalidArgument, of a missing one too; nothing is appended or made."""
    if existing:
        append(server, bucket, 0).expect(200)
    append(server, bucket, position, b"more").expect(400, "InvalidArgument")
    if existing:
        assert_appendable(server, bucket, CONTENT)
    else:
        assert list_keys(server, bucket) == []


def test_another_position(server: Server, bucket: str) -> None:
    """409 with the real length; of an object that is not there it is 0."""
    for position in [1, 16, 10**12]:
        answer = append(server, bucket, position).expect(409, "AppendPositionErr")
        assert answer.headers[NEXT] == "0"
    get(server, bucket).expect(404, "NoSuchKey")
    append(server, bucket, 0).expect(200)
    for position in [0, 1, 15, 17, 10**12]:
        answer = append(server, bucket, position).expect(409, "AppendPositionErr")
        assert answer.headers[NEXT] == "16"
    assert_appendable(server, bucket, CONTENT)
    append(server, unique_bucket(), 0).expect(404, "NoSuchBucket")


def test_what_was_not_made_by_appending(server: Server, client: CosS3Client, bucket: str) -> None:
    """Put, copied, archived, put in parts, or made a link: 409, at any position."""
    server.send("PUT", "/put", bucket=bucket, body=CONTENT).expect(200)
    server.send("PUT", "/empty", bucket=bucket).expect(200)
    copy(server, bucket, "copied", "put").expect(200)
    upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = client.upload_part(Bucket=bucket, Key="parts", Body=CONTENT, PartNumber=1, UploadId=upload)
    parts = {"Part": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    for key, data in {"put": CONTENT, "empty": b"", "copied": CONTENT, "parts": CONTENT}.items():
        assert_normal(server, bucket, key, data)
    append(server, bucket, 0).expect(200)
    client.put_symlink(Bucket=bucket, SymlinkName="link", SymlinkTarget="k")
    archived = {"x-cos-storage-class": "ARCHIVE"}
    server.send("PUT", "/archived", bucket=bucket, headers=archived, body=CONTENT).expect(200)
    for key in ["link", "archived"]:
        for position in [0, 1, len(CONTENT)]:
            append(server, bucket, position, key=key).expect(409, "ObjectNotAppendable")
    assert_appendable(server, bucket, CONTENT)


def test_put_over_it_makes_it_normal(server: Server, bucket: str) -> None:
    """And deleting it lets it begin again, with nothing of what it was."""
    append(server, bucket, 0, headers={"x-cos-meta-a": "1"}).expect(200)
    append(server, bucket, len(CONTENT)).expect(200)
    server.send("PUT", "/k", bucket=bucket, body=b"put").expect(200)
    assert_normal(server, bucket, "k", b"put")
    server.send("DELETE", "/k", bucket=bucket).expect(204)
    append(server, bucket, len(CONTENT) * 2).expect(409, "AppendPositionErr")
    answer = append(server, bucket, 0, b"again").expect(200)
    assert (answer.headers["ETag"], answer.headers[NEXT]) == (quoted_md5(b"again"), "5")
    assert_appendable(server, bucket, b"again")
    assert "x-cos-meta-a" not in head(server, bucket).headers


def test_a_body_that_is_not_what_it_says(server: Server, bucket: str) -> None:
    """No length, another MD5, or cut off: nothing is appended, and the position stays good."""
    append(server, bucket, 0).expect(200)
    query = {"append": "", "position": str(len(CONTENT))}
    refused = server.send("POST", "/k", bucket=bucket, query=query, length=False)
    refused.expect(411, "MissingContentLength")
    md5 = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    append(server, bucket, len(CONTENT), b"more", md5).expect(400, "BadDigest")
    append(server, bucket, len(CONTENT), b"more", {"Content-MD5": "AAAA"}).expect(400, "InvalidDigest")
    for sent in [0, 1, 300_000]:
        with server.connect() as sock:
            fields = {"Content-Length": "500000"}
            sock.sendall(
                server.head_bytes("POST", "/k", host=bucket_host(bucket), query=query, headers=fields) + b"x" * sent
            )
            # A reset, so that the server sees at once that no more will come.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert_appendable(server, bucket, CONTENT)
    append(server, bucket, len(CONTENT), b"more").expect(200)
    assert_appendable(server, bucket, CONTENT + b"more")


def test_who_may_append(server: Server, bucket: str) -> None:
    append(server, bucket, 0, auth=None).expect(403, "AccessDenied")
    assert list_keys(server, bucket) == []
    append(server, bucket, 0, headers={"x-cos-acl": "public-read"}).expect(200)
    append(server, bucket, len(CONTENT), auth=None).expect(403, "AccessDenied")
    assert_appendable(server, bucket, CONTENT)


@pytest.fixture
def versions(server: Server, bucket: str) -> Callable[[str], None]:
    """Sets the versioning of ``bucket``."""

    def set_status(status: str) -> None:
        body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>".encode()
        server.send("PUT", bucket=bucket, query={"versioning": ""}, body=body).expect(200)

    return set_status


def test_a_bucket_that_keeps_versions(server: Server, bucket: str, versions: Callable[[str], None]) -> None:
    """Enabled or Suspended: 409 InvalidBucketState, of a new object and of one that was there; it stays."""
    append(server, bucket, 0).expect(200)
    for status in ["Enabled", "Suspended"]:
        versions(status)
        append(server, bucket, len(CONTENT)).expect(409, "InvalidBucketState")
        append(server, bucket, 0, key="new").expect(409, "InvalidBucketState")
        assert list_keys(server, bucket) == ["k"]
        answer = get(server, bucket).expect(200)
        assert (answer.body, answer.headers["x-cos-object-type"]) == (CONTENT, "appendable")
    versions("Enabled")
    server.send("PUT", "/k", bucket=bucket, body=b"put").expect(200)
    answer = get(server, bucket).expect(200)
    assert (answer.body, answer.headers.get("x-cos-object-type", "normal")) == (b"put", "normal")
    answer = server.send("GET", "/k", bucket=bucket, query={"versionId": "null"}).expect(200)
    assert (answer.body, answer.headers["x-cos-object-type"]) == (CONTENT, "appendable")


# --- copies -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 10, 200_000])
def test_c40_c80_a_copy_of_what_is_appended_to(server: Server, client: CosS3Client, bucket: str, size: int) -> None:
    """A normal object with all the bytes and the metadata; what is appended later is not in it."""
    pieces = [random.Random(number).randbytes(size) for number in range(3)]
    for number, piece in enumerate(pieces):
        append(server, bucket, number * size, piece, {"x-cos-meta-a": "1"}).expect(200)
    whole = b"".join(pieces)
    answer = copy(server, bucket).expect(200)
    assert answer.xml.findtext("CRC64") == str(crc64(whole))
    assert answer.xml.findtext("ETag") == head(server, bucket, "copy").headers["ETag"]
    assert head(server, bucket, "copy").headers["x-cos-meta-a"] == "1"
    assert_normal(server, bucket, "copy", whole)

    upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    source = {"Bucket": bucket, "Key": "k", "Region": REGION}
    part = client.upload_part_copy(Bucket=bucket, Key="parts", PartNumber=1, UploadId=upload, CopySource=source)
    parts = {"Part": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)

    append(server, bucket, len(whole), CONTENT).expect(200)
    assert_appendable(server, bucket, whole + CONTENT)
    assert_normal(server, bucket, "copy", whole)
    assert_normal(server, bucket, "parts", whole)
    stale = {"x-cos-copy-source-If-Match": answer.xml.findtext("ETag") or ""}
    copy(server, bucket, "stale", **stale).expect(412, "PreconditionFailed")
    server.send("DELETE", "/k", bucket=bucket).expect(204)
    assert_normal(server, bucket, "copy", whole)
    assert_normal(server, bucket, "parts", whole)


def test_c80_onto_itself(server: Server, bucket: str) -> None:
    """With Replaced it is normal from then on; another object that is appended to becomes normal as well."""
    append(server, bucket, 0, b"one").expect(200)
    append(server, bucket, 3, b"two").expect(200)
    append(server, bucket, 0, b"other", key="other").expect(200)
    copy(server, bucket, "other").expect(200)
    assert_normal(server, bucket, "other", b"onetwo")
    copy(server, bucket, "k", **{"x-cos-metadata-directive": "Replaced"}).expect(200)
    assert_normal(server, bucket, "k", b"onetwo")
