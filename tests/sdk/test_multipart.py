"""Multipart uploads: initiate, upload parts, complete, abort, list. What a copied part is: ``test_part_copy.py``."""

from __future__ import annotations

import hashlib
import io
import random
import re
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape

import crcmod
import pytest
from qcloud_cos import CosClientError, CosS3Client, CosServiceError

from harness import (
    APPID,
    SECRET_KEY,
    Answer,
    Server,
    body_of,
    bucket_host,
    list_keys,
    md5_hex,
    quoted_md5,
    read_answer,
    unique_bucket,
)
from program import KEYS, Cosine, run_cosine, serve_arguments
from test_gc import admin, collect, wait_for

MIB = 1 << 20
# CRC-64/XZ as the SDK computes it: of megabytes, and in no time.
fast_crc64 = crcmod.mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=0xFFFFFFFFFFFFFFFF, rev=True)

# The smallest part that need not be the last, twice; and one that must be the last.
FIRST = random.Random(1).randbytes(MIB)
SECOND = random.Random(2).randbytes(MIB)
LAST = b"the last part"


def multipart_etag(*etags: str) -> str:
    """The ETag of an object of parts with these ETags, in quotes."""
    digests = b"".join(bytes.fromhex(etag.strip('"')) for etag in etags)
    return f'"{md5_hex(digests)}-{len(etags)}"'


def etag_of(*bodies: bytes) -> str:
    """The ETag of an object of these parts, in quotes."""
    return multipart_etag(*(md5_hex(body) for body in bodies))


def part_list(parts: Mapping[int, str] | list[tuple[int, str]]) -> bytes:
    """The body of Complete."""
    items = parts.items() if isinstance(parts, Mapping) else parts
    nodes = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>" for number, etag in items
    )
    return f"<CompleteMultipartUpload>{nodes}</CompleteMultipartUpload>".encode()


@dataclass(frozen=True)
class Upload:
    """An upload under way, by exact requests."""

    server: Server
    bucket: str
    id: str
    key: str = "k"

    def send(self, method: str, query: Mapping[str, str] | None = None, **options: object) -> Answer:
        query = {**(query or {}), "uploadId": self.id}
        return self.server.send(method, "/" + self.key, bucket=self.bucket, query=query, **options)

    def put(self, number: int | str, body: bytes, **headers: str) -> Answer:
        return self.send("PUT", {"partNumber": str(number)}, body=body, headers=headers)

    def must_put(self, number: int, body: bytes) -> str:
        """Stores a part; its ETag, in quotes."""
        return self.put(number, body).expect(200).headers["ETag"]

    def copy(self, number: int | str, source: str, bounds: str | None = None, **options: object) -> Answer:
        """Upload Part - Copy."""
        headers = {"x-cos-copy-source": source, **dict(options.pop("headers", {}))}
        if bounds is not None:
            headers["x-cos-copy-source-range"] = bounds
        return self.send("PUT", {"partNumber": str(number)}, headers=headers, **options)

    def complete(self, parts: Mapping[int, str] | list[tuple[int, str]] | bytes, **headers: str) -> Answer:
        body = parts if isinstance(parts, bytes) else part_list(parts)
        return self.send("POST", body=body, headers=headers)

    def abort(self) -> Answer:
        return self.send("DELETE")

    def parts(self) -> dict[int, str]:
        """Number and ETag of every part, by one List Parts."""
        listed = self.send("GET").expect(200).xml
        return {int(part.findtext("PartNumber") or 0): part.findtext("ETag") or "" for part in listed.iterfind("Part")}


def initiate(server: Server, bucket: str, key: str = "k", **options: object) -> Upload:
    """Begins an upload; ``headers`` and such are those of ``Server.send``."""
    answer = server.send("POST", "/" + key, bucket=bucket, query={"uploads": ""}, **options).expect(200)
    # Not every key goes into XML, and this document has no other encoding.
    found = re.search(rb"<UploadId>(.*?)</UploadId>", answer.body)
    assert found, answer.body
    return Upload(server, bucket, found.group(1).decode(), key)


def uploads_in(server: Server, bucket: str) -> list[Upload]:
    """All uploads under way, of up to a thousand."""
    listed = server.send("GET", bucket=bucket, query={"uploads": ""}).expect(200).xml
    return [
        Upload(server, bucket, entry.findtext("UploadId") or "", entry.findtext("Key") or "")
        for entry in listed.iterfind("Upload")
    ]


def make_object(server: Server, bucket: str, key: str, bodies: list[bytes]) -> bytes:
    """A multipart object of these parts; its bytes."""
    upload = initiate(server, bucket, key)
    upload.complete({number: upload.must_put(number, body) for number, body in enumerate(bodies, 1)}).expect(200)
    return b"".join(bodies)


def get(server: Server, bucket: str, key: str = "k", bounds: str | None = None) -> Answer:
    headers = {} if bounds is None else {"Range": bounds}
    return server.send("GET", "/" + key, bucket=bucket, headers=headers)


def read_ranges(server: Server, bucket: str, key: str, model: bytes, borders: list[int], rng: random.Random) -> None:
    """Random ranges, most of them over a border between parts, are what the model has there."""
    for _ in range(20):
        border = rng.choice(borders)
        first = min(len(model) - 1, max(0, border - rng.choice([0, 1, 2, 100, 70_000])))
        last = min(len(model) - 1, max(first, border + rng.choice([-1, 0, 1, 100, 70_000, 2 * MIB])))
        got = get(server, bucket, key, f"bytes={first}-{last}").expect(206)
        assert got.body == model[first : last + 1], (key, first, last)
        assert got.headers["Content-Range"] == f"bytes {first}-{last}/{len(model)}"


def at_once(count: int, work: Callable[[int], Answer]) -> list[Answer]:
    """The answers of so many threads that begin together."""
    barrier = threading.Barrier(count)

    def run(number: int) -> Answer:
        barrier.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def together(*works: Callable[[], Answer]) -> list[Answer]:
    """The answers to different requests that begin together."""
    return at_once(len(works), lambda number: works[number]())


@pytest.fixture
def upload(server: Server, bucket: str) -> Upload:
    """An upload to ``k`` in a fresh bucket."""
    return initiate(server, bucket)


# --- initiate -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["k", "a b/c+d&e", "例/腾讯云.jpg", "a//./..", "%41"])
def test_initiate(server: Server, bucket: str, key: str) -> None:
    """The answer, with an id as clients know them; there is no object yet."""
    answer = server.send("POST", "/" + key, bucket=bucket, query={"uploads": ""}).expect(200)
    assert answer.headers["Content-Type"] == "application/xml"
    root = answer.xml
    assert root.tag == "InitiateMultipartUploadResult"
    assert [node.tag for node in root] == ["Bucket", "Key", "UploadId"]
    assert (root.findtext("Bucket"), root.findtext("Key")) == (bucket, key)
    assert re.fullmatch(r"\d{10}[0-9a-f]{64}", root.findtext("UploadId") or "")
    assert list_keys(server, bucket) == []
    upload = Upload(server, bucket, root.findtext("UploadId") or "", key)
    upload.complete({1: upload.must_put(1, LAST)}).expect(200)
    assert list_keys(server, bucket) == [key]
    assert get(server, bucket, key).body == LAST


def test_ids_are_never_the_same(server: Server, bucket: str) -> None:
    """One key may have many uploads."""
    made = [initiate(server, bucket).id for _ in range(20)]
    assert len(set(made)) == 20
    assert [upload.id for upload in uploads_in(server, bucket)] == sorted(made)


@pytest.mark.parametrize(
    ("headers", "body", "code"),
    [
        ({}, b"x", "UnexpectedContent"),
        ({"x-cos-storage-class": "BOGUS"}, b"", "InvalidArgument"),
        ({"x-cos-acl": "public-read-write"}, b"", "InvalidArgument"),
        ({"x-cos-meta-a_b": "v"}, b"", "InvalidArgument"),
        ({"x-cos-meta-a": "v" * 2049}, b"", "KeyTooLong"),
        ({"x-cos-tagging": "cos:a=1"}, b"", "InvalidTag"),
    ],
    ids=["body", "class", "acl", "metadata-name", "metadata-size", "tags"],
)
def test_initiate_refused(server: Server, bucket: str, headers: dict[str, str], body: bytes, code: str) -> None:
    """400, and no upload begins."""
    answer = server.send("POST", "/k", bucket=bucket, query={"uploads": ""}, headers=headers, body=body)
    answer.expect(400, code)
    assert uploads_in(server, bucket) == []


def test_without_a_bucket(server: Server) -> None:
    name = unique_bucket()
    server.send("POST", "/k", bucket=name, query={"uploads": ""}).expect(404, "NoSuchBucket")
    server.send("GET", bucket=name, query={"uploads": ""}).expect(404, "NoSuchBucket")
    upload = Upload(server, name, "1700000000" + "0" * 64)
    for answer in [upload.put(1, b"x"), upload.complete({1: md5_hex(b"x")}), upload.send("GET"), upload.abort()]:
        answer.expect(404, "NoSuchBucket")


# --- what becomes of it -------------------------------------------------------------------


def test_a_random_object(server: Server, client: CosS3Client, bucket: str) -> None:
    """Parts of random sizes, sent in any order: whole, in ranges over their borders, ETag, checksum, list."""
    rng = random.Random(2026)
    sizes = [rng.randrange(MIB, MIB + 400_000) for _ in range(4)] + [rng.randrange(1, 300_000)]
    numbers = sorted(rng.sample(range(1, 10_001), len(sizes)))
    bodies = dict(zip(numbers, map(rng.randbytes, sizes), strict=True))
    upload = initiate(server, bucket, "dir/random")
    etags: dict[int, str] = {}
    for number in rng.sample(numbers, len(numbers)):
        answer = upload.put(number, bodies[number]).expect(200)
        assert answer.headers["ETag"] == quoted_md5(bodies[number])
        assert answer.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(bodies[number]))
        assert answer.body == b""
        etags[number] = answer.headers["ETag"]
    assert get(server, bucket, "dir/random").status == 404
    assert list_keys(server, bucket) == []

    completed = upload.complete(dict(sorted(etags.items()))).expect(200)
    model = b"".join(bodies[number] for number in numbers)
    etag, checksum = etag_of(*(bodies[number] for number in numbers)), str(fast_crc64(model))
    assert completed.xml.findtext("ETag") == etag
    assert completed.headers["x-cos-hash-crc64ecma"] == checksum
    for method in ["GET", "HEAD"]:
        got = server.send(method, "/dir/random", bucket=bucket).expect(200)
        assert (got.headers["ETag"], got.headers["x-cos-hash-crc64ecma"]) == (etag, checksum)
        assert got.headers["Content-Length"] == str(len(model))
    assert get(server, bucket, "dir/random").body == model
    borders = [sum(sizes[:count]) for count in range(len(sizes) + 1)]
    read_ranges(server, bucket, "dir/random", model, borders, rng)
    [entry] = client.list_objects(Bucket=bucket)["Contents"]
    assert (entry["Key"], entry["ETag"], entry["Size"]) == ("dir/random", etag, str(len(model)))
    for name, status in [("If-None-Match", 304), ("If-Match", 200)]:
        assert server.send("HEAD", "/dir/random", bucket=bucket, headers={name: etag}).status == status


@pytest.mark.parametrize("bodies", [[b""], [b"x"], [FIRST], [FIRST, b""], [FIRST, SECOND, LAST]], ids=len)
def test_the_sizes_of_parts(server: Server, bucket: str, bodies: list[bytes]) -> None:
    """1 MiB is enough for a part, and the last may have any size, none at all too."""
    model = make_object(server, bucket, "k", bodies)
    got = get(server, bucket).expect(200)
    assert got.body == model
    assert got.headers["ETag"] == etag_of(*bodies)
    assert got.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(model))


def test_the_answer_to_complete(server: Server, upload: Upload) -> None:
    """Chunked XML; Location is host and path, without a scheme."""
    answer = upload.complete({1: upload.must_put(1, LAST)}).expect(200)
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in answer.headers
    assert "x-cos-version-id" not in answer.headers
    root = answer.xml
    assert root.tag == "CompleteMultipartUploadResult"
    assert [(node.tag, node.text) for node in root] == [
        ("Location", f"{bucket_host(upload.bucket)}/k"),
        ("Bucket", upload.bucket),
        ("Key", "k"),
        ("ETag", etag_of(LAST)),
    ]
    assert answer.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(LAST))


@pytest.mark.parametrize("form", ['"{}"', "{}", "&quot;{}&quot;", ' "{}" ', '<![CDATA["{}"]]>'])
def test_how_a_part_may_be_named(server: Server, upload: Upload, form: str) -> None:
    """ETags quoted, bare or escaped; in a document with a namespace, indented, with unknown nodes."""
    upload.must_put(3, LAST)
    etag = form.format(md5_hex(LAST))
    body = (
        '<?xml version="1.0" encoding="utf-8"?>\n<CompleteMultipartUpload xmlns="http://x.test/">\n  <Part>\n'
        f"    <ETag>{etag}</ETag>\n    <PartNumber>\n3 </PartNumber>\n    <Size>13</Size>\n  </Part>\n"
        "</CompleteMultipartUpload>\n"
    )
    upload.complete(body.encode()).expect(200)
    assert get(server, upload.bucket).body == LAST


def test_everything_but_the_bytes_comes_from_initiate(server: Server, client: CosS3Client, bucket: str) -> None:
    """Metadata, class, ACL and tags; the headers of parts and of Complete add nothing."""
    headers = {
        "Cache-Control": "max-age=1",
        "Content-Disposition": "inline",
        "Content-Encoding": "identity",
        "Content-Language": "zh-CN",
        "Content-Type": "image/jpeg",
        "Expires": "Thu, 01 Jan 2037 00:00:00 GMT",
        "x-cos-meta-from": "initiate",
        "x-cos-storage-class": "STANDARD_IA",
    }
    more = {"x-cos-acl": "public-read", "x-cos-tagging": "a=1&b=2"}
    server.send("PUT", "/k", bucket=bucket, body=b"old", headers={"x-cos-meta-old": "1"}).expect(200)
    upload = initiate(server, bucket, headers={**headers, **more})
    put = upload.put(1, LAST, **{"Content-Type": "text/plain", "Cache-Control": "no-store"}).expect(200)
    upload.complete({1: put.headers["ETag"]}, **{"Content-Type": "text/plain", "Cache-Control": "no-store"}).expect(200)
    got = server.send("GET", "/k", bucket=bucket, auth=None).expect(200)
    assert got.body == LAST
    assert {name: got.headers[name] for name in headers} == headers
    assert "x-cos-meta-old" not in got.headers
    tags = client.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]["Tag"]
    assert [(tag["Key"], tag["Value"]) for tag in tags] == [("a", "1"), ("b", "2")]

    plain = initiate(server, bucket)
    plain.complete({1: plain.must_put(1, b"plain")}).expect(200)
    server.send("GET", "/k", bucket=bucket, auth=None).expect(403, "AccessDenied")
    got = get(server, bucket)
    assert (got.body, got.headers["Content-Type"]) == (b"plain", "application/octet-stream")
    assert "x-cos-storage-class" not in got.headers and "x-cos-tagging-count" not in got.headers


def test_a_key_keeps_its_object_until_complete(server: Server, bucket: str) -> None:
    server.send("PUT", "/k", bucket=bucket, body=b"before").expect(200)
    upload = initiate(server, bucket)
    etag = upload.must_put(1, LAST)
    assert get(server, bucket).body == b"before"
    upload.complete({1: etag}).expect(200)
    assert get(server, bucket).body == LAST
    server.send("DELETE", "/k", bucket=bucket).expect(204)
    get(server, bucket).expect(404, "NoSuchKey")


def test_a_part_again(server: Server, upload: Upload) -> None:
    """The same number overwrites: one part is listed, and the ETag of the first is no part's any more."""
    old, new = upload.must_put(1, b"old"), upload.must_put(1, b"new")
    assert upload.parts() == {1: new}
    upload.complete({1: old}).expect(400, "InvalidPart")
    upload.complete({1: new}).expect(200)
    assert get(server, upload.bucket).body == b"new"


def test_parts_that_are_not_listed(server: Server, upload: Upload) -> None:
    """They are dropped, and so are numbers between."""
    etags = {
        number: upload.must_put(number, body)
        for number, body in [(2, FIRST), (3, b"too small, and dropped"), (5, SECOND), (9, LAST), (10, b"dropped")]
    }
    answer = upload.complete({number: etags[number] for number in (2, 5, 9)}).expect(200)
    assert answer.xml.findtext("ETag") == etag_of(FIRST, SECOND, LAST)
    assert get(server, upload.bucket).body == FIRST + SECOND + LAST
    upload.send("GET").expect(404, "NoSuchUpload")


# --- what Complete refuses ------------------------------------------------------------------

PART_LIST = b"<CompleteMultipartUpload><Part>%s</Part></CompleteMultipartUpload>"
MANY = [(number, "e" * 32) for number in range(1, 10_002)]
BAD_COMPLETES: dict[str, tuple[list[tuple[int, str]] | bytes, str]] = {
    "descending": ([(2, md5_hex(SECOND)), (1, md5_hex(FIRST))], "InvalidPartOrder"),
    "repeated": ([(1, md5_hex(FIRST)), (1, md5_hex(FIRST))], "InvalidPartOrder"),
    "unknown-part": ([(1, md5_hex(FIRST)), (4, md5_hex(LAST))], "InvalidPart"),
    "other-etag": ([(1, md5_hex(FIRST)), (2, md5_hex(FIRST))], "InvalidPart"),
    "no-digest": ([(1, md5_hex(FIRST)), (2, "nonsense")], "InvalidPart"),
    "empty-etag": ([(1, "")], "InvalidPart"),
    "small-first": ([(3, md5_hex(b"small")), (5, md5_hex(LAST))], "EntityTooSmall"),
    "small-between": ([(1, md5_hex(FIRST)), (3, md5_hex(b"small")), (5, md5_hex(LAST))], "EntityTooSmall"),
    "one-byte-less": ([(1, md5_hex(FIRST)), (6, md5_hex(FIRST[1:])), (7, md5_hex(LAST))], "EntityTooSmall"),
    "no-parts": ([], "MalformedXML"),
    "too-many": (MANY, "MalformedXML"),
    "number-0": ([(0, md5_hex(FIRST))], "MalformedXML"),
    "number-10001": ([(10_001, md5_hex(FIRST))], "MalformedXML"),
    "no-body": (b"", "MalformedXML"),
    "no-xml": (b"PartNumber=1", "MalformedXML"),
    "cut-off": (part_list({1: md5_hex(FIRST)})[:-5], "MalformedXML"),
    "other-root": (part_list({1: md5_hex(FIRST)}).replace(b"MultipartUpload>", b"Multipart>"), "MalformedXML"),
    "no-etag": (PART_LIST % b"<PartNumber>1</PartNumber>", "MalformedXML"),
    "no-number": (PART_LIST % b"<ETag>e</ETag>", "MalformedXML"),
}


def test_complete_refused(server: Server, upload: Upload) -> None:
    """400 as the status, never in a 200; the upload stays as it was, and can be completed then."""
    bodies = {1: FIRST, 2: SECOND, 3: b"small", 5: LAST, 6: FIRST[1:], 7: LAST}
    etags = {number: upload.must_put(number, body) for number, body in bodies.items()}
    answers = {name: upload.complete(parts) for name, (parts, _) in BAD_COMPLETES.items()}
    wanted = {name: (400, code) for name, (_, code) in BAD_COMPLETES.items()}
    assert {name: (answer.status, answer.code) for name, answer in answers.items()} == wanted
    get(server, upload.bucket).expect(404, "NoSuchKey")
    assert upload.parts() == etags
    upload.complete({number: etags[number] for number in (1, 2, 5)}).expect(200)
    assert get(server, upload.bucket).body == FIRST + SECOND + LAST


def test_the_longest_list_is_read(upload: Upload) -> None:
    """10000 parts are none too many: what is missed is the part, not the form."""
    upload.complete(MANY[:10_000]).expect(400, "InvalidPart")


def test_the_body_of_complete_is_held_against_its_md5(server: Server, upload: Upload) -> None:
    etag = upload.must_put(1, LAST)
    upload.complete({1: etag}, **{"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}).expect(400, "BadDigest")
    assert upload.parts() == {1: etag}


def test_forbid_overwrite(server: Server, bucket: str) -> None:
    """409 FileAlreadyExists on Complete; the upload stays, and may overwrite if it says so."""
    guarded = {"x-cos-forbid-overwrite": "true"}
    free = initiate(server, bucket)
    free.complete({1: free.must_put(1, b"first")}, **guarded).expect(200)
    upload = initiate(server, bucket)
    etag = upload.must_put(1, LAST)
    upload.complete({1: etag}, **guarded).expect(409, "FileAlreadyExists")
    assert get(server, bucket).body == b"first"
    assert upload.parts() == {1: etag}
    upload.complete({1: etag}, **{"x-cos-forbid-overwrite": "false"}).expect(200)
    assert get(server, bucket).body == LAST


# --- ids and numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["unknown", "malformed", "upper-case", "empty", "long", "completed", "aborted"])
def test_no_such_upload(server: Server, bucket: str, state: str) -> None:
    """404 for every operation, whatever is wrong with the id; a completed object stays."""
    upload = initiate(server, bucket)
    etag = upload.must_put(1, LAST)
    stays = state in ("completed", "aborted")
    if state == "completed":
        upload.complete({1: etag}).expect(200)
    elif state == "aborted":
        upload.abort().expect(204)
    ids = {
        "unknown": "1700000000" + "0" * 64,
        "malformed": "nonsense",
        "upper-case": upload.id.upper(),
        "empty": "",
        "long": upload.id + "0",
    }
    wrong = Upload(server, bucket, upload.id if stays else ids[state])
    assert stays or wrong.id != upload.id
    server.send("PUT", "/source", bucket=bucket, body=b"source").expect(200)
    answers = {
        "put": wrong.put(1, b"new"),
        "copy": wrong.copy(1, f"{bucket_host(bucket)}/source"),
        "complete": wrong.complete({1: etag}),
        "list": wrong.send("GET"),
        "abort": wrong.abort(),
    }
    assert {name: (answer.status, answer.code) for name, answer in answers.items()} == dict.fromkeys(
        answers, (404, "NoSuchUpload")
    )
    assert list_keys(server, bucket) == (["k", "source"] if state == "completed" else ["source"])
    if state == "completed":
        assert get(server, bucket).body == LAST
    elif not stays:
        assert upload.parts() == {1: etag}


@pytest.mark.parametrize("where", ["key", "bucket"])
def test_an_id_goes_with_its_key(server: Server, bucket: str, make_bucket: Callable[..., str], where: str) -> None:
    """404 NoSuchUpload under another key or in another bucket."""
    upload = initiate(server, bucket)
    etag = upload.must_put(1, LAST)
    wrong = Upload(server, bucket, upload.id, "k2") if where == "key" else Upload(server, make_bucket(), upload.id)
    for answer in [wrong.put(1, b"x"), wrong.complete({1: etag}), wrong.send("GET"), wrong.abort()]:
        answer.expect(404, "NoSuchUpload")
    assert upload.parts() == {1: etag}


BAD_NUMBERS = ["0", "-1", "10001", "65537", "18446744073709551617", "", "x", "1.0", "0x1", "1 "]


def test_part_numbers(server: Server, upload: Upload) -> None:
    """1 and 10000 are numbers; 400 InvalidArgument for others and for none."""
    etags = {number: upload.must_put(number, body) for number, body in [(1, FIRST), (10_000, LAST)]}
    answers = {number: upload.put(number, b"x") for number in BAD_NUMBERS}
    assert {number: (answer.status, answer.code) for number, answer in answers.items()} == dict.fromkeys(
        BAD_NUMBERS, (400, "InvalidArgument")
    )
    upload.send("PUT", body=b"x").expect(400, "InvalidArgument")
    assert upload.parts() == etags
    upload.complete(etags).expect(200)
    assert get(server, upload.bucket).body == FIRST + LAST


# --- parts ------------------------------------------------------------------------------------


def test_the_md5_of_a_part(server: Server, upload: Upload) -> None:
    upload.put(1, b"hello", **{"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}).expect(200)
    upload.put(2, b"hullo", **{"Content-MD5": "XUFAKrxLKna5cZ2REBfFkg=="}).expect(400, "BadDigest")
    upload.put(2, b"hello", **{"Content-MD5": "nonsense"}).expect(400, "InvalidDigest")
    assert upload.parts() == {1: quoted_md5(b"hello")}


def test_a_part_in_chunks(server: Server, upload: Upload) -> None:
    answer = upload.send("PUT", {"partNumber": "1"}, body=iter([b"[Object ", b"Content]"])).expect(200)
    assert answer.headers["ETag"] == quoted_md5(b"[Object Content]")
    upload.complete({1: answer.headers["ETag"]}).expect(200)
    assert get(server, upload.bucket).body == b"[Object Content]"


def send_head(upload: Upload, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
    """A part's head, with ``Expect``, and not a byte of the body; no ``100 Continue`` may come."""
    host = bucket_host(upload.bucket)
    fields = {"Expect": "100-continue", **headers}
    with upload.server.connect() as sock:
        sock.sendall(upload.server.head_bytes("PUT", "/k", host=host, query=query, headers=fields))
        begin = sock.recv(12, 2)  # MSG_PEEK
        assert begin.startswith(b"HTTP/1.1 4"), begin
        return read_answer(sock, "PUT")


def test_what_is_refused_need_not_be_sent(server: Server, upload: Upload) -> None:
    """The error comes for the head alone: a wrong id, a wrong number, over 5 GB, no length."""
    right = {"partNumber": "1", "uploadId": upload.id}
    size = {"Content-Length": str(3 * MIB)}
    send_head(upload, {**right, "uploadId": "1" * 74}, size).expect(404, "NoSuchUpload")
    send_head(upload, {**right, "partNumber": "10001"}, size).expect(400, "InvalidArgument")
    send_head(upload, right, {"Content-Length": str((5 << 30) + 1)}).expect(400, "EntityTooLarge")
    server.send("PUT", "/k", bucket=upload.bucket, query=right, length=False).expect(411, "MissingContentLength")
    assert upload.parts() == {}


def test_a_part_that_breaks_off(server: Server, upload: Upload) -> None:
    """It does not take the place of the one that is there."""
    etag = upload.must_put(1, LAST)
    query = {"partNumber": "1", "uploadId": upload.id}
    head = server.head_bytes(
        "PUT", "/k", host=bucket_host(upload.bucket), query=query, headers={"Content-Length": str(MIB)}
    )
    with server.connect() as sock:
        sock.sendall(head + FIRST[:-1])
        sock.shutdown(1)
        assert read_answer(sock, "PUT").status == 400
    assert upload.parts() == {1: etag}


# --- abort ------------------------------------------------------------------------------------


def test_abort(server: Server, bucket: str) -> None:
    """204, then 404; the object of the key, and other uploads to it, stay."""
    server.send("PUT", "/k", bucket=bucket, body=b"before").expect(200)
    other, upload = initiate(server, bucket), initiate(server, bucket)
    etag = other.must_put(1, LAST)
    upload.must_put(1, FIRST)
    answer = upload.abort().expect(204)
    assert answer.body == b""
    upload.abort().expect(404, "NoSuchUpload")
    assert get(server, bucket).body == b"before"
    assert [open.id for open in uploads_in(server, bucket)] == [other.id]
    assert other.parts() == {1: etag}


def test_a_bucket_with_an_upload_is_not_deleted(server: Server, upload: Upload) -> None:
    """409 BucketNotEmpty, with parts or without, until the upload ends."""
    server.send("DELETE", bucket=upload.bucket).expect(409, "BucketNotEmpty")
    upload.must_put(1, LAST)
    server.send("DELETE", bucket=upload.bucket).expect(409, "BucketNotEmpty")
    upload.abort().expect(204)
    server.send("DELETE", bucket=upload.bucket).expect(204)
    server.send("PUT", bucket=upload.bucket).expect(200)
    assert uploads_in(server, upload.bucket) == []


# --- List Parts --------------------------------------------------------------------------------


def test_list_parts(server: Server, bucket: str) -> None:
    """The document: its nodes, their order and forms."""
    upload = initiate(server, bucket, "a b+c/例", headers={"x-cos-storage-class": "STANDARD_IA"})
    empty = upload.send("GET").expect(200).xml
    assert empty.findall("Part") == [] and empty.findtext("IsTruncated") == "false"
    etags = [upload.must_put(number, body) for number, body in [(2, FIRST), (7, LAST)]]
    answer = upload.send("GET").expect(200)
    assert answer.headers["Content-Type"] == "application/xml"
    root = answer.xml
    assert root.tag == "ListPartsResult"
    nodes = [node.tag for node in root]
    assert [tag for tag in nodes if tag != "Part"] == [
        "Bucket", "Key", "UploadId", "Owner", "PartNumberMarker", "Initiator", "StorageClass", "MaxParts",
        "IsTruncated",
    ]  # fmt: skip
    assert nodes.count("Part") == 2
    texts = {name: root.findtext(name) for name in ["Bucket", "Key", "UploadId", "PartNumberMarker", "MaxParts"]}
    assert texts == {
        "Bucket": bucket,
        "Key": "a b+c/例",
        "UploadId": upload.id,
        "PartNumberMarker": "0",
        "MaxParts": "1000",
    }
    assert (root.findtext("Owner/ID"), root.findtext("StorageClass")) == (APPID, "STANDARD_IA")
    assert re.fullmatch(r"qcs::cam::uin/\d+:uin/\d+", root.findtext("Initiator/ID") or "")
    for part, (number, etag, size) in zip(
        root.iterfind("Part"), [("2", etags[0], MIB), ("7", etags[1], len(LAST))], strict=True
    ):
        assert [node.tag for node in part] == ["PartNumber", "LastModified", "ETag", "Size"]
        assert (part.findtext("PartNumber"), part.findtext("ETag"), part.findtext("Size")) == (number, etag, str(size))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", part.findtext("LastModified") or "")

    encoded = upload.send("GET", {"encoding-type": "url"}).expect(200).xml
    assert encoded.findtext("Encoding-type") == "url"
    assert encoded.findtext("Key") == "a%20b%2Bc/" + quote("例")


@pytest.mark.parametrize("max_parts", [1, 2, 3, 5, 6, 1000])
def test_pages_of_parts(client: CosS3Client, upload: Upload, max_parts: int) -> None:
    """Following the marker gives every part once; a marker need not be a part."""
    numbers = [1, 2, 255, 256, 9999, 10_000]
    for number in numbers:
        upload.must_put(number, b"%d" % number)
    found: list[int] = []
    marker = 0
    for _ in numbers:
        page = client.list_parts(
            Bucket=upload.bucket, Key="k", UploadId=upload.id, MaxParts=max_parts, PartNumberMarker=marker
        )
        assert (page["PartNumberMarker"], page["MaxParts"]) == (str(marker), str(max_parts))
        entries = [(int(part["PartNumber"]), part["ETag"], part["Size"]) for part in page["Part"]]
        assert entries == [
            (number, quoted_md5(b"%d" % number), str(len(str(number))))
            for number in [n for n in numbers if n > marker][:max_parts]
        ]
        found += [number for number, *_ in entries]
        if page["IsTruncated"] == "false":
            assert "NextPartNumberMarker" not in page
            break
        marker = int(page["NextPartNumberMarker"])
    assert found == numbers
    behind = upload.send("GET", {"part-number-marker": "300"}).expect(200).xml
    assert [part.findtext("PartNumber") for part in behind.iterfind("Part")] == ["9999", "10000"]


def test_list_parts_refused(server: Server, upload: Upload) -> None:
    """max-parts 0, more than 1000, or no number, another encoding: 400."""
    for value in ["0", "-1", "x", "1.5", "1001"]:
        upload.send("GET", {"max-parts": value}).expect(400, "InvalidArgument")
    upload.send("GET", {"encoding-type": "base64"}).expect(400, "InvalidArgument")
    assert upload.send("GET", {"max-parts": ""}).expect(200).xml.findtext("MaxParts") == "1000"


# --- List Multipart Uploads ---------------------------------------------------------------------

# U+FFFD and U+10000 sort one way by UTF-8 bytes and the other way by UTF-16 units.
OBJECT_KEYS = [
    "a",
    "a/",
    "a/1",
    "a/2",
    "a/b/1",
    "a0",
    "a\x01",
    "b b+c",
    "dir-1/x",
    "dir-2/x",
    "腾讯/云",
    "\ufffd",
    "\U00010000",
]
Entry = tuple[str, str]


def model_page(
    uploads: list[Entry], prefix: str, delimiter: str, marker: Entry, limit: int
) -> tuple[list[Entry], list[str], Entry | None]:
    """The specification of a page: uploads, common prefixes, and where the next one begins."""
    key_marker, id_marker = marker
    entries: dict[tuple[bytes, str], bool] = {}
    for key, upload in uploads:
        rest = key[len(prefix) :]
        rolled = bool(delimiter) and delimiter in rest
        name = prefix + rest.split(delimiter)[0] + delimiter if rolled else key
        entry = (name.encode(), "" if rolled else upload)
        behind = entry[0] > key_marker.encode() or (
            entry[0] == key_marker.encode() and bool(id_marker) and not rolled and upload > id_marker
        )
        if key.startswith(prefix) and behind:
            entries[entry] = rolled
    ordered = sorted(entries)
    page = ordered[:limit]
    return (
        [(name.decode(), upload) for name, upload in page if not entries[name, upload]],
        [name.decode() for name, upload in page if entries[name, upload]],
        (page[-1][0].decode(), page[-1][1]) if len(ordered) > limit else None,
    )


def sdk_page(
    client: CosS3Client, bucket: str, prefix: str, delimiter: str, marker: Entry, limit: int
) -> tuple[list[Entry], list[str], Entry | None]:
    page = client.list_multipart_uploads(
        Bucket=bucket,
        Prefix=prefix,
        Delimiter=delimiter,
        KeyMarker=marker[0],
        UploadIdMarker=marker[1],
        MaxUploads=limit,
    )
    assert (page["Bucket"], page["Prefix"] or "", page["MaxUploads"]) == (bucket, prefix, str(limit))
    assert (page["KeyMarker"] or "", page["UploadIdMarker"] or "") == marker
    assert (page["IsTruncated"] == "true") == ("NextKeyMarker" in page)
    return (
        [(entry["Key"], entry["UploadId"]) for entry in page.get("Upload", [])],
        [entry["Prefix"] for entry in page.get("CommonPrefixes", [])],
        (page["NextKeyMarker"], page["NextUploadIdMarker"] or "") if "NextKeyMarker" in page else None,
    )


@pytest.fixture(scope="module")
def many_uploads(server: Server, module_buckets: Callable[..., str]) -> tuple[str, list[Entry]]:
    """A bucket with one to three uploads of every key, and with objects, which are none."""
    bucket = module_buckets()
    made = [
        initiate(server, bucket, key)
        for number, key in enumerate(OBJECT_KEYS * 3)
        if number % 3 or number < len(OBJECT_KEYS)
    ]
    for key in ["a", "a/0", "z"]:
        server.send("PUT", "/" + key, bucket=bucket, body=b"an object").expect(200)
    return bucket, [(upload.key, upload.id) for upload in made]


@pytest.mark.parametrize("limit", [1, 2, 5, 1000])
@pytest.mark.parametrize("delimiter", ["", "/", "-"])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "dir", "腾讯/", "none"])
def test_pages_of_uploads(
    client: CosS3Client, many_uploads: tuple[str, list[Entry]], prefix: str, delimiter: str, limit: int
) -> None:
    """Following the markers gives, page by page, what the specification gives."""
    bucket, uploads = many_uploads
    marker: Entry | None = ("", "")
    for _ in range(2 * len(uploads)):
        assert marker is not None
        page = sdk_page(client, bucket, prefix, delimiter, marker, limit)
        assert page == model_page(uploads, prefix, delimiter, marker, limit)
        if (marker := page[2]) is None:
            return
    pytest.fail("paging does not end")


def test_any_upload_marker(client: CosS3Client, many_uploads: tuple[str, list[Entry]]) -> None:
    """A key alone skips all its uploads; an id alone nothing; what is named need not be there."""
    bucket, uploads = many_uploads
    ids = sorted(upload for _, upload in uploads)
    markers = [(key, upload) for key in ["", "a", "a/", "a/zzz", "腾讯/云", "\U0010ffff"] for upload in ["", *ids[::7]]]
    for marker in markers:
        wanted = model_page(uploads, "", "", marker, 1000)
        assert sdk_page(client, bucket, "", "", marker, 1000) == wanted, marker


def test_an_upload_in_the_list(server: Server, bucket: str) -> None:
    """Its nodes; and what the whole document is called by."""
    upload = initiate(server, bucket, "dir/k +例", headers={"x-cos-storage-class": "INTELLIGENT_TIERING"})
    query = {"uploads": "", "prefix": "dir/", "delimiter": "#", "encoding-type": "url"}
    root = server.send("GET", bucket=bucket, query=query).expect(200).xml
    assert root.tag == "ListMultipartUploadsResult"
    assert [node.tag for node in root] == [
        "Bucket", "Encoding-Type", "KeyMarker", "UploadIdMarker", "MaxUploads", "IsTruncated", "Prefix", "Delimiter",
        "Upload",
    ]  # fmt: skip
    entry = root.find("Upload")
    assert entry is not None
    assert sorted(node.tag for node in entry) == ["Initiated", "Initiator", "Key", "Owner", "StorageClass", "UploadId"]
    assert (entry.findtext("Key"), entry.findtext("UploadId")) == ("dir/k%20%2B" + quote("例"), upload.id)
    assert entry.findtext("StorageClass") == "INTELLIGENT_TIERING"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", entry.findtext("Initiated") or "")
    for who in ["Initiator", "Owner"]:
        assert re.fullmatch(r"qcs::cam::uin/\d+:uin/\d+", entry.findtext(f"{who}/ID") or "")
    plain = server.send("GET", bucket=bucket, query={"uploads": ""}).expect(200).xml
    assert plain.findtext("Upload/Key") == "dir/k +例"


def test_list_uploads_refused(server: Server, bucket: str) -> None:
    def ask(**query: str) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in query.items()}
        return server.send("GET", bucket=bucket, query={"uploads": "", **fields})

    for value in ["0", "-1", "x"]:
        ask(max_uploads=value).expect(400, "InvalidArgument")
    ask(encoding_type="base64").expect(400, "InvalidArgument")
    ask(delimiter="ab").expect(400, "InvalidDelimiter")
    assert ask(max_uploads="1001").expect(200).xml.findtext("MaxUploads") == "1000"


# --- who may --------------------------------------------------------------------------------------


def test_nobody_else(server: Server, upload: Upload) -> None:
    """403 for whoever may not write, and the upload goes on; the id is no key to it."""
    etag = upload.must_put(1, LAST)
    requests: list[tuple[str, dict[str, str], bytes]] = [
        ("POST", {"uploads": ""}, b""),
        ("PUT", {"partNumber": "1", "uploadId": upload.id}, b"x"),
        ("POST", {"uploadId": upload.id}, part_list({1: etag})),
        ("GET", {"uploadId": upload.id}, b""),
        ("DELETE", {"uploadId": upload.id}, b""),
    ]
    for method, query, body in requests:
        answer = server.send(method, "/k", bucket=upload.bucket, query=query, body=body, auth=None)
        answer.expect(403, "AccessDenied")
    server.send("GET", bucket=upload.bucket, query={"uploads": ""}, auth=None).expect(403, "AccessDenied")
    assert [open.id for open in uploads_in(server, upload.bucket)] == [upload.id]
    assert upload.parts() == {1: etag}


# --- the SDK ----------------------------------------------------------------------------------------


@pytest.fixture
def local_file(tmp_path: Path) -> Path:
    """A file of five and a bit megabytes."""
    path = tmp_path / "file"
    path.write_bytes(random.Random(5).randbytes(5 * MIB + 123_457))
    return path


def pieces_of(path: Path) -> list[bytes]:
    content = path.read_bytes()
    return [content[at : at + MIB] for at in range(0, len(content), MIB)]


def test_sdk_upload_file(client: CosS3Client, bucket: str, local_file: Path) -> None:
    """Several threads, parts of 1 MB, metadata from the call."""
    result = client.upload_file(
        Bucket=bucket,
        Key="目录/a b.bin",
        LocalFilePath=str(local_file),
        PartSize=1,
        MAXThread=4,
        EnableMD5=True,
        ContentType="image/x-test",
        Metadata={"x-cos-meta-a": "b"},
    )
    assert result["ETag"] == etag_of(*pieces_of(local_file))
    assert result["x-cos-hash-crc64ecma"] == str(fast_crc64(local_file.read_bytes()))
    got = client.get_object(Bucket=bucket, Key="目录/a b.bin")
    assert body_of(got) == local_file.read_bytes()
    assert (got["Content-Type"], got["x-cos-meta-a"]) == ("image/x-test", "b")
    assert "Upload" not in client.list_multipart_uploads(Bucket=bucket)


def test_sdk_upload_from_a_stream(client: CosS3Client, bucket: str, local_file: Path) -> None:
    stream = io.BytesIO(local_file.read_bytes())
    result = client.upload_file_from_buffer(Bucket=bucket, Key="k", Body=stream, PartSize=1, MAXThread=3)
    assert result["ETag"] == etag_of(*pieces_of(local_file))
    assert body_of(client.get_object(Bucket=bucket, Key="k")) == local_file.read_bytes()


def test_sdk_step_by_step(client: CosS3Client, bucket: str) -> None:
    begun = client.create_multipart_upload(Bucket=bucket, Key="k", StorageClass="STANDARD_IA")
    assert (begun["Bucket"], begun["Key"]) == (bucket, "k")
    upload = {"Bucket": bucket, "Key": "k", "UploadId": begun["UploadId"]}
    parts = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(Body=body, PartNumber=number, EnableMD5=True, **upload)["ETag"],
        }
        for number, body in [(1, FIRST), (2, LAST)]
    ]
    listed = client.list_parts(**upload)
    assert [(part["PartNumber"], part["ETag"]) for part in listed["Part"]] == [
        (str(part["PartNumber"]), part["ETag"]) for part in parts
    ]
    result = client.complete_multipart_upload(MultipartUpload={"Part": parts}, **upload)
    assert (result["Location"], result["ETag"]) == (f"{bucket_host(bucket)}/k", etag_of(FIRST, LAST))
    assert body_of(client.get_object(Bucket=bucket, Key="k")) == FIRST + LAST

    aborted = {**upload, "UploadId": client.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]}
    client.upload_part(Body=LAST, PartNumber=1, **aborted)
    assert client.abort_multipart_upload(**aborted) is None
    for ended in (upload, aborted):
        with pytest.raises(CosServiceError) as caught:
            client.complete_multipart_upload(MultipartUpload={"Part": parts}, **ended)
        assert (caught.value.get_status_code(), caught.value.get_error_code()) == (404, "NoSuchUpload")
    assert body_of(client.get_object(Bucket=bucket, Key="k")) == FIRST + LAST


class Failing(CosS3Client):
    """The SDK's client, whose uploads of some parts fail; the numbers of the parts that it sent."""

    def __init__(self, client: CosS3Client, failing: set[int]) -> None:
        super().__init__(client.get_conf(), retry=0)
        self.failing = failing
        self.sent: list[int] = []

    def upload_part(self, Bucket: str, Key: str, Body: bytes, PartNumber: int, *rest: object, **more: object) -> dict:  # noqa: N803
        if PartNumber in self.failing:
            raise CosClientError("the line is dead")
        self.sent.append(PartNumber)
        return super().upload_part(Bucket, Key, Body, PartNumber, *rest, **more)


def test_sdk_resumes(client: CosS3Client, bucket: str, local_file: Path) -> None:
    """After a failed attempt the SDK finds its upload and its parts, and sends only what is missing."""
    call = {"Bucket": bucket, "Key": "dir/k", "LocalFilePath": str(local_file), "PartSize": 1, "MAXThread": 3}
    first = Failing(client, {2, 5, 6})
    with pytest.raises(CosClientError):
        first.upload_file(**call)
    assert sorted(first.sent) == [1, 3, 4]
    assert not client.object_exists(bucket, "dir/k")
    [begun] = client.list_multipart_uploads(Bucket=bucket)["Upload"]
    # A later upload to a key that begins the same is not taken for it.
    other = client.create_multipart_upload(Bucket=bucket, Key="dir/k2")["UploadId"]
    again = Failing(client, set())
    result = again.upload_file(**call)
    assert sorted(again.sent) == [2, 5, 6]
    assert result["ETag"] == etag_of(*pieces_of(local_file))
    assert body_of(client.get_object(Bucket=bucket, Key="dir/k")) == local_file.read_bytes()
    assert [entry["UploadId"] for entry in client.list_multipart_uploads(Bucket=bucket)["Upload"]] == [other]
    assert begun["UploadId"] != other


def test_sdk_does_not_resume_another_file(client: CosS3Client, bucket: str, local_file: Path) -> None:
    """Where a part differs, the SDK begins anew and leaves the old upload as it is."""
    call = {"Bucket": bucket, "Key": "k", "LocalFilePath": str(local_file), "PartSize": 1}
    with pytest.raises(CosClientError):
        Failing(client, {6}).upload_file(**call)
    local_file.write_bytes(b"#" + local_file.read_bytes()[1:])
    again = Failing(client, set())
    again.upload_file(**call)
    assert sorted(again.sent) == [1, 2, 3, 4, 5, 6]
    assert body_of(client.get_object(Bucket=bucket, Key="k")) == local_file.read_bytes()
    assert len(client.list_multipart_uploads(Bucket=bucket)["Upload"]) == 1


# --- several at once ----------------------------------------------------------------------------------


def test_two_uploads_to_one_key(server: Server, bucket: str) -> None:
    """They know nothing of each other; the one that is completed last is the object."""
    one, two = initiate(server, bucket), initiate(server, bucket)
    first = {1: one.must_put(1, FIRST)}
    second = {1: two.must_put(1, SECOND)}
    first[2], second[2] = one.must_put(2, b"one"), two.must_put(2, b"two")
    two.complete(first).expect(400, "InvalidPart")
    two.complete(second).expect(200)
    assert get(server, bucket).body == SECOND + b"two"
    assert one.parts() == first
    one.complete(first).expect(200)
    assert get(server, bucket).body == FIRST + b"one"


def test_racing_for_one_part(server: Server, upload: Upload) -> None:
    """8 threads upload the same number: the part that is listed is the part that is read."""
    bodies = {quoted_md5(body): body for body in (random.Random(n).randbytes(300_000 + n) for n in range(8))}
    etags = list(bodies)
    for answer in at_once(8, lambda number: upload.put(1, bodies[etags[number]])):
        assert answer.expect(200).headers["ETag"] in bodies
    listed = upload.parts()
    assert list(listed) == [1]
    for etag in set(etags) - set(listed.values()):
        upload.complete({1: etag}).expect(400, "InvalidPart")
    upload.complete(listed).expect(200)
    got = get(server, upload.bucket).expect(200)
    assert got.body == bodies[listed[1]]
    assert got.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(bodies[listed[1]]))


def test_parts_from_many_threads(server: Server, upload: Upload) -> None:
    """Different numbers do not get in each other's way."""
    bodies = [random.Random(n).randbytes(MIB + n) for n in range(8)]
    answers = at_once(8, lambda number: upload.put(number + 1, bodies[number]))
    etags = {number: answer.expect(200).headers["ETag"] for number, answer in enumerate(answers, 1)}
    assert upload.parts() == etags
    upload.complete(etags).expect(200)
    assert get(server, upload.bucket).body == b"".join(bodies)


def test_complete_against_abort(server: Server, bucket: str) -> None:
    """Exactly one of them wins, and nothing is half done."""
    for number in range(20):
        upload = initiate(server, bucket, f"{number}")
        etag = upload.must_put(1, LAST)
        complete, abort = together(lambda u=upload, e=etag: u.complete({1: e}), upload.abort)
        if complete.status == 200:
            abort.expect(404, "NoSuchUpload")
            assert complete.xml.findtext("ETag") == etag_of(LAST)
            assert get(server, bucket, f"{number}").expect(200).body == LAST
        else:
            complete.expect(404, "NoSuchUpload")
            abort.expect(204)
            get(server, bucket, f"{number}").expect(404, "NoSuchKey")
        upload.send("GET").expect(404, "NoSuchUpload")
    assert uploads_in(server, bucket) == []


def test_complete_against_complete(server: Server, bucket: str) -> None:
    """One of four makes the object, of its own list; for the others the upload is gone."""
    for number in range(10):
        upload = initiate(server, bucket, f"{number}")
        etags = {n: upload.must_put(n, b"part %d" % n) for n in range(1, 5)}
        answers = at_once(4, lambda which, upload=upload, etags=etags: upload.complete({which + 1: etags[which + 1]}))
        assert sorted(answer.status for answer in answers) == [200, 404, 404, 404]
        [winner] = [which for which, answer in enumerate(answers, 1) if answer.status == 200]
        assert {answer.code for answer in answers if answer.status != 200} == {"NoSuchUpload"}
        assert get(server, bucket, f"{number}").body == b"part %d" % winner


def test_complete_against_a_new_part(server: Server, bucket: str) -> None:
    """The object is of the part that Complete names, or Complete says that there is no such part."""
    for number in range(10):
        upload = initiate(server, bucket, f"{number}")
        old = upload.must_put(1, b"old")
        complete, put = together(lambda u=upload, e=old: u.complete({1: e}), lambda u=upload: u.put(1, b"new"))
        if complete.status == 200:
            put.expect(404, "NoSuchUpload")
            assert get(server, bucket, f"{number}").body == b"old"
        else:
            complete.expect(400, "InvalidPart")
            put.expect(200)
            assert upload.parts() == {1: quoted_md5(b"new")}


def test_forbidding_completes(server: Server, bucket: str) -> None:
    """Of 8 uploads that may not overwrite, one makes the object; the others go on."""
    uploads = [initiate(server, bucket) for _ in range(8)]
    parts = [{1: upload.must_put(1, b"%d" % number)} for number, upload in enumerate(uploads)]
    guarded = {"x-cos-forbid-overwrite": "true"}
    answers = at_once(8, lambda number: uploads[number].complete(parts[number], **guarded))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    [winner] = [number for number, answer in enumerate(answers) if answer.status == 200]
    assert get(server, bucket).body == b"%d" % winner
    assert len(uploads_in(server, bucket)) == 7


# --- stores of their own --------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def start(data: Path) -> Cosine:
    return Cosine(*serve_arguments(data), cwd=data.parent, env=KEYS, secret_key=SECRET_KEY)


def fsck(directory: Path) -> None:
    """A stopped store is sound, to the last byte."""
    ran = run_cosine("fsck", "--data", str(directory), "--deep", cwd=directory.parent)
    assert (ran.returncode, ran.stderr) == (0, ""), ran
    assert ran.stdout.splitlines()[-1] == "all is sound"


GAPS = [1, 2, 3, 10, 255, 256, 257, 999, 1000, 1001, 9999, 10_000]


def test_a_store_of_uploads(data: Path, local_file: Path) -> None:
    """12 parts of 1 MiB with gaps in their numbers, parts overwritten, dropped, aborted and under way; killed in
    between, collected, and sound. The upload under way is resumed by the SDK."""
    bucket = unique_bucket()
    bodies = {number: random.Random(number).randbytes(MIB) for number in GAPS}
    call = {"Bucket": bucket, "Key": "resumed", "LocalFilePath": str(local_file), "PartSize": 1, "MAXThread": 3}
    with start(data) as cosine:
        client = cosine.client()
        client.create_bucket(Bucket=bucket)
        upload = initiate(cosine, bucket, headers={"x-cos-meta-a": "b"})
        for number in GAPS[6:]:
            upload.must_put(number, SECOND)
        upload.must_put(5000, SECOND)
        etags = {number: upload.must_put(number, bodies[number]) for number in GAPS}
        aborted = initiate(cosine, bucket)
        aborted.must_put(1, FIRST)
        aborted.abort().expect(204)
        with pytest.raises(CosClientError):
            Failing(client, {1, 4}).upload_file(**call)
        cosine.kill()
    fsck(data)

    with start(data) as cosine:
        upload = Upload(cosine, bucket, upload.id)
        assert upload.parts() == dict(sorted({**etags, 5000: quoted_md5(SECOND)}.items()))
        answer = upload.complete(etags).expect(200)
        assert answer.xml.findtext("ETag") == etag_of(*bodies.values())
        cosine.kill()

    model = b"".join(bodies.values())
    with start(data) as cosine:
        collect(cosine, data.parent)
        got = get(cosine, bucket).expect(200)
        assert got.body == model
        assert got.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(model))
        assert got.headers["x-cos-meta-a"] == "b"
        read_ranges(cosine, bucket, "k", model, list(range(0, len(model) + 1, MIB)), random.Random(3))
        for ended in (Upload(cosine, bucket, upload.id), Upload(cosine, bucket, aborted.id)):
            ended.complete(etags).expect(404, "NoSuchUpload")
        resumed = Failing(cosine.client(), set())
        resumed.upload_file(**call)
        assert sorted(resumed.sent) == [1, 4]
        assert body_of(resumed.get_object(Bucket=bucket, Key="resumed")) == local_file.read_bytes()
        # Nothing but the two objects keeps space: no part that was dropped, overwritten or aborted.
        collect(cosine, data.parent)
        kept = sum(path.stat().st_size for path in (data / "blobs").glob("??/*"))
        assert kept < len(model) + local_file.stat().st_size + MIB // 2
    fsck(data)


def test_many_uploads_that_ended(data: Path) -> None:
    """More than the collector takes in one step, their objects overwritten: what is left of them is no damage at any
    time, and goes."""
    bucket = unique_bucket()
    with start(data) as cosine:
        cosine.client().create_bucket(Bucket=bucket)

        def end(number: int) -> None:
            upload = initiate(cosine, bucket, f"{number % 4}")
            etags = {n: upload.must_put(n, b"%d" % number) for n in (1, 2)}
            if number % 5:
                upload.complete({1: etags[1]}).expect(200)
            else:
                upload.abort().expect(204)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(end, range(250)))
        bodies = {key: get(cosine, bucket, key).expect(200).body for key in list_keys(cosine, bucket)}
        admin(cosine, data.parent, "gc", "run", "--grace", "0")
    fsck(data)

    with start(data) as cosine:

        def contents() -> int:
            admin(cosine, data.parent, "gc", "run", "--grace", "0")
            return admin(cosine, data.parent, "gc", "status")["live"]["contents"]

        # Each object is a content of its own, of the content of its part.
        wait_for(contents, lambda count: count == 2 * len(bodies))
        assert {key: get(cosine, bucket, key).body for key in bodies} == bodies
    fsck(data)


def test_a_versioned_bucket(data: Path) -> None:
    """Complete makes a version, says which, and the version before it stays."""
    bucket = unique_bucket()
    with start(data) as cosine:
        client = cosine.client()
        client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(Bucket=bucket, Status="Enabled")
        versions = {}
        for body in (FIRST, SECOND):
            upload = initiate(cosine, bucket)
            answer = upload.complete({1: upload.must_put(1, body), 2: upload.must_put(2, LAST)}).expect(200)
            versions[answer.headers["x-cos-version-id"]] = body + LAST
        assert len(versions) == 2
        for version, content in versions.items():
            got = cosine.send("GET", "/k", bucket=bucket, query={"versionId": version}).expect(200)
            assert got.body == content
            assert got.headers["x-cos-version-id"] == version
        assert get(cosine, bucket).body == SECOND + LAST
    fsck(data)


def test_hashing_is_what_it_should_be() -> None:
    """The models of this file, by the check value of CRC-64/XZ and an ETag made by hand."""
    assert fast_crc64(b"123456789") == 0x995DC9BBDF1939FA
    assert etag_of(b"") == f'"{hashlib.md5(hashlib.md5(b"").digest()).hexdigest()}-1"'
