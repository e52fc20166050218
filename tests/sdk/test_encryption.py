"""Server-side encryption, by the SDK and by exact requests: SSE-C, SSE-COS, SSE-KMS, and defaults of buckets.

What every kind becomes in every other, in every size, is in the store's own tests; here it is headers, codes,
entity tags and clients.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from qcloud_cos import CosS3Client

from harness import REGION, Answer, Server, bucket_host, md5_hex, quoted_md5
from people import allow, make_user
from test_post_object import form
from sse import CONTEXT, KMS_KEY_ID, SSE, A, B, context

CONTENT = b"[Object Content]"
ETAG = quoted_md5(CONTENT)
CRC64 = "16749565679157681890"
LARGE = random.Random(6).randbytes(3 << 20)


def encryption_of(answer: Answer) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.headers.items() if "encryption" in name.lower()}


def put(server: Server, bucket: str, key: str, headers: dict[str, str] | None = None, body: bytes = CONTENT) -> Answer:
    return server.send("PUT", f"/{key}", bucket=bucket, headers=headers, body=body).expect(200)


def get(server: Server, bucket: str, key: str, headers: dict[str, str] | None = None) -> Answer:
    return server.send("GET", f"/{key}", bucket=bucket, headers=headers).expect(200)


def copy(server: Server, bucket: str, source: str, key: str, headers: dict[str, str] | None = None) -> Answer:
    named = {"x-cos-copy-source": f"{bucket_host(bucket)}/{source}", "x-cos-metadata-directive": "Replaced"}
    return server.send("PUT", f"/{key}", bucket=bucket, headers={**named, **(headers or {})})


def listed_etag(server: Server, bucket: str, key: str) -> str:
    contents = server.send("GET", bucket=bucket, query={"prefix": key}).expect(200).xml.findall("Contents")
    return contents[0].findtext("ETag") or ""


@pytest.fixture(scope="module")
def key_id(server: Server) -> str:
    made = server.admin("kms", "key", "add", "--description", "for tests")["key_id"]
    assert re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made)
    return made


# --- what is shown -------------------------------------------------------------------------------------


def test_sse_cos(server: Server, bucket: str) -> None:
    """The entity tag is the MD5, everywhere, and every answer says AES256."""
    shown = {SSE: "AES256"}
    for answer in (put(server, bucket, "k", shown), get(server, bucket, "k")):
        assert (answer.headers["ETag"], answer.headers["x-cos-hash-crc64ecma"]) == (ETAG, CRC64)
        assert encryption_of(answer) == shown
    assert get(server, bucket, "k").body == CONTENT
    head = server.send("HEAD", "/k", bucket=bucket).expect(200)
    assert (head.headers["ETag"], head.headers["Content-Length"], encryption_of(head)) == (ETAG, "16", shown)
    assert listed_etag(server, bucket, "k") == ETAG


def test_sse_kms(server: Server, bucket: str, key_id: str) -> None:
    """The entity tag is new at each write and no MD5; the context is never told, and the key's id always."""
    asked = {SSE: "cos/kms", KMS_KEY_ID: key_id, CONTEXT: context('{"a": "b"}')}
    shown = {SSE: "cos/kms", KMS_KEY_ID: key_id}
    etags = set()
    for _ in range(2):
        stored = put(server, bucket, "k", asked)
        read = get(server, bucket, "k")
        assert read.body == CONTENT
        for answer in (stored, read):
            assert encryption_of(answer) == shown
            assert answer.headers["x-cos-hash-crc64ecma"] == CRC64
        etag = stored.headers["ETag"]
        assert etag == read.headers["ETag"] == listed_etag(server, bucket, "k")
        assert re.fullmatch('"[0-9a-f]{32}"', etag) and etag != ETAG
        etags.add(etag)
    assert len(etags) == 2


def test_sse_kms_without_a_key_uses_the_default_one(server: Server, bucket: str) -> None:
    ids = {put(server, bucket, f"k{n}", {SSE: "cos/kms"}).headers[KMS_KEY_ID] for n in range(3)}
    assert len(ids) == 1
    described = server.admin("kms", "key", "describe", "--id", ids.pop())
    assert (described["default"], described["state"], described["versions"]) == (True, "Enabled", 1)
    assert get(server, bucket, "k0").body == CONTENT


def test_sse_c(server: Server, bucket: str) -> None:
    """The entity tag is no MD5, and the same for the same bytes and key; the key is never told."""
    shown = {f"{SSE}-customer-algorithm": "AES256", f"{SSE}-customer-key-md5": A.md5}
    etags = []
    for key, headers in [("k", A.headers()), ("again", A.headers()), ("other", B.headers())]:
        stored = put(server, bucket, key, headers)
        etags.append(stored.headers["ETag"])
        assert stored.headers["x-cos-hash-crc64ecma"] == CRC64
    assert etags[0] == etags[1] != etags[2]
    assert re.fullmatch('"[0-9a-f]{32}"', etags[0]) and etags[0] != ETAG
    read = get(server, bucket, "k", A.headers())
    assert (read.body, read.headers["ETag"], encryption_of(read)) == (CONTENT, etags[0], shown)
    head = server.send("HEAD", "/k", bucket=bucket, headers=A.headers()).expect(200)
    assert (head.headers["ETag"], encryption_of(head)) == (etags[0], shown)
    part = server.send("GET", "/k", bucket=bucket, headers={**A.headers(), "Range": "bytes=1-6"}).expect(206)
    assert part.body == CONTENT[1:7]
    matched = server.send("GET", "/k", bucket=bucket, headers={**A.headers(), "If-None-Match": etags[0]})
    assert matched.status == 304
    assert listed_etag(server, bucket, "k") == etags[0]


@pytest.mark.parametrize("headers", [None, B.headers()], ids=["without a key", "with another key"])
def test_an_object_of_a_customer_opens_with_its_key_alone(
    server: Server, bucket: str, headers: dict[str, str] | None
) -> None:
    put(server, bucket, "k", {**A.headers(), "x-cos-acl": "public-read"})
    for auth in ("sdk", None):
        answer = server.send("GET", "/k", bucket=bucket, headers=headers, auth=auth)
        answer.expect(400, "SsecDecryptHeaderInvalid")
        head = server.send("HEAD", "/k", bucket=bucket, headers=headers, auth=auth)
        assert (head.status, head.body) == (400, b"")
    assert server.send("GET", "/k", bucket=bucket, headers=A.headers(), auth=None).expect(200).body == CONTENT


def test_a_key_for_what_needs_none(server: Server, bucket: str) -> None:
    put(server, bucket, "plain")
    put(server, bucket, "cos", {SSE: "AES256"})
    for key in ("plain", "cos"):
        server.send("GET", f"/{key}", bucket=bucket, headers=A.headers()).expect(400, "InvalidRequest")
        copy(server, bucket, key, "copy", A.source_headers).expect(400, "InvalidRequest")


# --- bad input -----------------------------------------------------------------------------------------


def without(headers: dict[str, str], ending: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if not name.endswith(ending)}


def with_(headers: dict[str, str], ending: str, value: str) -> dict[str, str]:
    return {name: value if name.endswith(ending) else old for name, old in headers.items()}


KEYS = [
    ("no algorithm", lambda h: without(h, "algorithm")),
    ("no key", lambda h: without(h, "-key")),
    ("no MD5", lambda h: without(h, "MD5")),
    ("another algorithm", lambda h: with_(h, "algorithm", "SM4")),
    ("a short key", lambda h: with_(h, "-key", "MDEyMzQ1Njc4OQ==")),
    ("a long key", lambda h: with_(h, "-key", "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUYw")),
    ("no base64", lambda h: with_(h, "-key", "*" * 44)),
    ("another MD5", lambda h: with_(h, "MD5", B.md5)),
    ("an MD5 that is none", lambda h: with_(h, "MD5", "AAAA")),
]


@pytest.mark.parametrize("change", [change for _, change in KEYS], ids=[name for name, _ in KEYS])
def test_keys_that_are_none(server: Server, bucket: str, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """400 InvalidArgument for every operation, and nothing is stored."""
    put(server, bucket, "k", A.headers())
    upload = server.send("POST", "/u", bucket=bucket, query={"uploads": ""}, headers=A.headers()).expect(200)
    upload_id = upload.xml.findtext("UploadId") or ""
    headers, source = change(A.headers()), change(A.source_headers)
    part = {"partNumber": "1", "uploadId": upload_id}
    copied = {"x-cos-copy-source": f"{bucket_host(bucket)}/k"}
    for answer in (
        server.send("PUT", "/new", bucket=bucket, headers=headers, body=b"x"),
        server.send("GET", "/k", bucket=bucket, headers=headers),
        server.send("POST", "/new", bucket=bucket, query={"uploads": ""}, headers=headers),
        server.send("PUT", "/u", bucket=bucket, query=part, headers=headers, body=b"x"),
        server.send("POST", "/new", bucket=bucket, query={"append": "", "position": "0"}, headers=headers, body=b"x"),
        copy(server, bucket, "k", "new", {**A.source_headers, **headers}),
        copy(server, bucket, "k", "new", source),
        server.send("PUT", "/u", bucket=bucket, query=part, headers={**A.headers(), **source, **copied}),
        server.send("PUT", "/u", bucket=bucket, query=part, headers={**headers, **A.source_headers, **copied}),
    ):
        answer.expect(400, "InvalidArgument")
        assert A.base64.encode() not in answer.body
    assert server.send("HEAD", "/k", bucket=bucket, headers=headers).status == 400
    assert server.send("HEAD", "/new", bucket=bucket).status == 404
    parts = server.send("GET", "/u", bucket=bucket, query={"uploadId": upload_id}).expect(200)
    assert parts.xml.findall("Part") == []


ASKED = {
    "unknown": {SSE: "AES128"},
    "SM4": {SSE: "SM4"},
    "case": {SSE: "aes256"},
    "two kinds": {SSE: "AES256", **A.headers()},
    "kms and customer": {SSE: "cos/kms", **A.headers()},
    "key id alone": {KMS_KEY_ID: "x"},
    "key id with cos": {SSE: "AES256", KMS_KEY_ID: "x"},
    "context with cos": {SSE: "AES256", CONTEXT: context("{}")},
    "context no base64": {SSE: "cos/kms", CONTEXT: "{}"},
    "context no json": {SSE: "cos/kms", CONTEXT: context("x")},
    "context no object": {SSE: "cos/kms", CONTEXT: context("[1]")},
    "context too long": {SSE: "cos/kms", CONTEXT: context('{"a": "' + "x" * 4096 + '"}')},
}


@pytest.mark.parametrize("headers", ASKED.values(), ids=ASKED.keys())
def test_what_cannot_be_asked_for(server: Server, bucket: str, headers: dict[str, str]) -> None:
    put(server, bucket, "k")
    for answer in (
        server.send("PUT", "/new", bucket=bucket, headers=headers, body=b"x"),
        server.send("POST", "/new", bucket=bucket, query={"uploads": ""}, headers=headers),
        server.send("POST", "/new", bucket=bucket, query={"append": "", "position": "0"}, headers=headers, body=b"x"),
        copy(server, bucket, "k", "new", headers),
    ):
        answer.expect(400, "InvalidArgument")
    assert server.send("HEAD", "/new", bucket=bucket).status == 404


def test_reads_do_not_ask_for_encryption(server: Server, bucket: str) -> None:
    put(server, bucket, "k", {SSE: "AES256"})
    for headers in ({SSE: "AES256"}, {SSE: "cos/kms"}, {KMS_KEY_ID: "x"}, {CONTEXT: context("{}")}):
        server.send("GET", "/k", bucket=bucket, headers=headers).expect(400, "SSEHeaderNotAllowed")
        assert server.send("HEAD", "/k", bucket=bucket, headers=headers).status == 400


# --- copies --------------------------------------------------------------------------------------------

KINDS: dict[str, tuple[dict[str, str], dict[str, str], dict[str, str]]] = {
    # what asks for it, what reads it, and what reads it as the source of a copy
    "none": ({}, {}, {}),
    "cos": ({SSE: "AES256"}, {}, {}),
    "kms": ({SSE: "cos/kms"}, {}, {}),
    "c": (A.headers(), A.headers(), A.source_headers),
}


@pytest.mark.parametrize("size", [16, 3 << 20], ids=["in a row", "in a blob"])
@pytest.mark.parametrize("wanted", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_c120_c122_c123_c124_c125_copies_into_every_kind(server: Server, bucket: str, kind: str, wanted: str, size: int) -> None:
    """C120 to C125, and entity tags as C162 has them; a large plain source is copied behind a 200."""
    body = LARGE[:size]
    asks, _, as_source = KINDS[kind]
    wants, reads, _ = KINDS[wanted]
    put(server, bucket, "source", asks, body)
    copied = copy(server, bucket, "source", "copy", {**wants, **as_source}).expect(200)
    assert copied.xml.tag == "CopyObjectResult", copied.body
    read = get(server, bucket, "copy", reads)
    assert read.body == body
    assert encryption_of(read) == encryption_of(copied)
    expected = {"none": None, "cos": "AES256", "kms": "cos/kms", "c": None}[wanted]
    assert encryption_of(copied).get(SSE) == expected
    etag = (copied.xml.findtext("ETag") or "").strip('"')
    assert read.headers["ETag"] == f'"{etag}"'
    assert (etag == md5_hex(body)) == (wanted in ("none", "cos"))
    assert copied.xml.findtext("CRC64") == read.headers["x-cos-hash-crc64ecma"]
    assert get(server, bucket, "source", KINDS[kind][1]).body == body


def test_c121_a_copy_without_the_key_of_its_source(server: Server, bucket: str) -> None:
    put(server, bucket, "source", A.headers())
    for headers in ({}, B.source_headers, A.headers(), {SSE: "AES256"}):
        for condition in ({}, {"x-cos-copy-source-If-Match": '"another"'}):
            copy(server, bucket, "source", "copy", {**headers, **condition}).expect(400, "SsecDecryptHeaderInvalid")
    assert server.send("HEAD", "/copy", bucket=bucket).status == 404


def test_c70_c77_a_copy_is_never_encrypted_as_its_source(server: Server, bucket: str) -> None:
    """C70, C77."""
    put(server, bucket, "source", {SSE: "AES256"})
    copied = copy(server, bucket, "source", "copy").expect(200)
    assert encryption_of(copied) == encryption_of(get(server, bucket, "copy")) == {}


# --- uploads -------------------------------------------------------------------------------------------


def begin(server: Server, bucket: str, key: str, headers: dict[str, str]) -> tuple[str, Answer]:
    begun = server.send("POST", f"/{key}", bucket=bucket, query={"uploads": ""}, headers=headers).expect(200)
    return begun.xml.findtext("UploadId") or "", begun


def complete(server: Server, bucket: str, key: str, upload: str, etags: list[str]) -> Answer:
    parts = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{e}</ETag></Part>" for n, e in enumerate(etags, 1))
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    return server.send("POST", f"/{key}", bucket=bucket, query={"uploadId": upload}, body=body).expect(200)


@pytest.mark.parametrize("kind", KINDS)
def test_u16_u17_u21_uploads(server: Server, bucket: str, kind: str) -> None:
    """Every answer says the encryption; parts of SSE-KMS answer the plain MD5, those of SSE-C do not."""
    asks, reads, _ = KINDS[kind]
    upload, begun = begin(server, bucket, "k", asks)
    shown = encryption_of(begun)
    half = len(LARGE) // 2
    put(server, bucket, "source", B.headers(), LARGE)
    query = {"partNumber": "1", "uploadId": upload}
    first = server.send("PUT", "/k", bucket=bucket, query=query, headers=reads, body=LARGE[:half]).expect(200)
    ranged = {"x-cos-copy-source": f"{bucket_host(bucket)}/source", "x-cos-copy-source-range": f"bytes={half}-{len(LARGE) - 1}"}
    query = {"partNumber": "2", "uploadId": upload}
    second = server.send("PUT", "/k", bucket=bucket, query=query, headers={**reads, **ranged, **B.source_headers})
    second.expect(200)
    assert encryption_of(first) == encryption_of(second) == shown
    etags = [first.headers["ETag"], second.xml.findtext("ETag") or ""]
    assert (etags[0] == quoted_md5(LARGE[:half])) == (kind != "c")
    listed = server.send("GET", "/k", bucket=bucket, query={"uploadId": upload}).expect(200).xml
    assert [part.findtext("ETag") for part in listed.findall("Part")] == etags
    completed = complete(server, bucket, "k", upload, etags)
    assert encryption_of(completed) == shown
    read = get(server, bucket, "k", reads)
    assert read.body == LARGE and encryption_of(read) == shown
    assert re.fullmatch('"[0-9a-f]{32}-2"', read.headers["ETag"])
    assert read.headers["ETag"] == completed.xml.findtext("ETag")


def test_parts_that_do_not_go_with_their_upload(server: Server, bucket: str) -> None:
    upload, _ = begin(server, bucket, "k", A.headers())
    plain, _ = begin(server, bucket, "k", {})
    put(server, bucket, "source")
    copied = {"x-cos-copy-source": f"{bucket_host(bucket)}/source"}
    table = [(upload, {}), (upload, B.headers()), (upload, {SSE: "AES256"}), (plain, A.headers()), (plain, {SSE: "AES256"})]
    for upload_id, headers in table:
        query = {"partNumber": "1", "uploadId": upload_id}
        for more, body in [({}, b"x"), (copied, b"")]:
            answer = server.send("PUT", "/k", bucket=bucket, query=query, headers={**headers, **more}, body=body)
            answer.expect(400, "InvalidArgument")
        parts = server.send("GET", "/k", bucket=bucket, query={"uploadId": upload_id}).expect(200)
        assert parts.xml.findall("Part") == []


def test_what_sdks_say_again(server: Server, bucket: str, key_id: str) -> None:
    """On parts and at the end of an upload, what it began with may be said once more, and nothing else."""
    kms = {SSE: "cos/kms", KMS_KEY_ID: key_id, CONTEXT: context('{"a": "b"}')}
    for asks, others in [
        (kms, [{SSE: "AES256"}, {KMS_KEY_ID: "another"}, {CONTEXT: context('{"a": "c"}')}]),
        ({SSE: "AES256"}, [{SSE: "cos/kms"}, {KMS_KEY_ID: key_id}, {CONTEXT: context("{}")}]),
        (A.headers(), [B.headers(), {SSE: "AES256"}]),
        ({}, [A.headers(), {SSE: "AES256"}]),
    ]:
        upload, _ = begin(server, bucket, "k", asks)
        query = {"partNumber": "1", "uploadId": upload}
        part = server.send("PUT", "/k", bucket=bucket, query=query, headers=asks, body=CONTENT).expect(200)
        body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part.headers['ETag']}</ETag></Part></CompleteMultipartUpload>"
        for headers in others:
            refused = server.send("POST", "/k", bucket=bucket, query={"uploadId": upload}, headers=headers, body=body.encode())
            refused.expect(400, "InvalidArgument")
            both = {**headers, **(A.headers() if asks == A.headers() and SSE in headers else {})}
            server.send("PUT", "/k", bucket=bucket, query=query, headers=both, body=b"x").expect(400, "InvalidArgument")
        server.send("POST", "/k", bucket=bucket, query={"uploadId": upload}, headers=asks, body=body.encode()).expect(200)


def test_the_end_of_an_upload_says_again_what_it_began_with(server: Server, bucket: str) -> None:
    """The SDK for Go repeats every header there."""
    said = {"x-cos-storage-class": "STANDARD_IA", "x-cos-acl": "private", "x-cos-tagging": "a=b", SSE: "AES256"}
    upload, _ = begin(server, bucket, "k", said)
    query = {"partNumber": "1", "uploadId": upload}
    etag = server.send("PUT", "/k", bucket=bucket, query=query, body=CONTENT).expect(200).headers["ETag"]
    body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
    server.send("POST", "/k", bucket=bucket, query={"uploadId": upload}, headers=said, body=body.encode()).expect(200)
    assert server.send("HEAD", "/k", bucket=bucket).headers["x-cos-storage-class"] == "STANDARD_IA"


@pytest.mark.parametrize("kind", KINDS)
def test_appends(server: Server, bucket: str, kind: str) -> None:
    """The first one decides; later ones say the same, or nothing but the customer's key."""
    asks, reads, _ = KINDS[kind]

    def append(position: int, headers: dict[str, str]) -> Answer:
        query = {"append": "", "position": str(position)}
        return server.send("POST", "/k", bucket=bucket, query=query, headers=headers, body=CONTENT)

    first = append(0, asks).expect(200)
    shown = encryption_of(first)
    assert encryption_of(append(16, asks).expect(200)) == encryption_of(append(32, reads).expect(200)) == shown
    others = [headers for name, (headers, _, _) in KINDS.items() if name not in (kind, "none")]
    others += [{SSE: "cos/kms", KMS_KEY_ID: "another"}] + ([{}, B.headers()] if kind == "c" else [])
    for headers in others:
        assert append(48, headers).status == 400
    read = get(server, bucket, "k", reads)
    assert (read.body, encryption_of(read)) == (CONTENT * 3, shown)


def test_a_default_does_not_change_what_is_there(server: Server, bucket: str) -> None:
    """An empty object that is appended to at 0 is as it was."""
    query = {"append": "", "position": "0"}
    server.send("POST", "/k", bucket=bucket, query=query, body=b"").expect(200)
    set_default(server, bucket, default("AES256")).expect(200)
    assert encryption_of(server.send("POST", "/k", bucket=bucket, query=query, body=CONTENT).expect(200)) == {}
    assert get(server, bucket, "k").body == CONTENT


@pytest.mark.parametrize("kind", KINDS)
def test_versions_symlinks_archives(server: Server, bucket: str, kind: str) -> None:
    """Each version has its own encryption; a symlink takes what its target takes; archives are restored as ever."""
    asks, reads, as_source = KINDS[kind]
    versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    server.send("PUT", bucket=bucket, query={"versioning": ""}, body=versioning).expect(200)
    old = put(server, bucket, "k", asks, CONTENT).headers["x-cos-version-id"]
    put(server, bucket, "k", {SSE: "AES256"}, b"newer")
    named = server.send("GET", "/k", bucket=bucket, query={"versionId": old}, headers=reads).expect(200)
    assert named.body == CONTENT
    source = {"x-cos-copy-source": f"{bucket_host(bucket)}/k?versionId={old}"}
    server.send("PUT", "/k", bucket=bucket, headers={**source, **as_source, **asks}).expect(200)
    assert get(server, bucket, "k", reads).body == CONTENT
    server.send("PUT", "/link", bucket=bucket, query={"symlink": ""}, headers={"x-cos-symlink-target": "k"}).expect(200)
    assert get(server, bucket, "link", reads).body == CONTENT
    if kind == "c":
        server.send("GET", "/link", bucket=bucket).expect(400, "SsecDecryptHeaderInvalid")
    put(server, bucket, "cold", {**asks, "x-cos-storage-class": "ARCHIVE"})
    restore = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    server.send("POST", "/cold", bucket=bucket, query={"restore": ""}, headers=reads, body=restore).expect(202)
    assert get(server, bucket, "cold", reads).body == CONTENT


# --- forms ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_forms(server: Server, make_bucket: Callable[..., str], kind: str) -> None:
    """The fields are the headers of a PUT; a header beside the form would be ignored, and is refused."""
    bucket = make_bucket(ACL="public-read-write")
    asks, reads, _ = KINDS[kind]
    fields: list[tuple[str, Any]] = [("key", "k"), ("success_action_status", "201"), *asks.items()]
    headers, body = form([*fields, ("file", ("f", CONTENT))])
    answer = server.send("POST", bucket=bucket, headers=headers, body=body, auth=None).expect(201)
    read = get(server, bucket, "k", reads)
    assert read.body == CONTENT
    assert encryption_of(read) == encryption_of(answer)
    assert (kind == "none") == (encryption_of(answer) == {})
    if asks:
        headers, body = form([("key", "beside"), ("file", ("f", CONTENT))])
        refused = server.send("POST", bucket=bucket, headers={**headers, **asks}, body=body, auth=None)
        refused.expect(400, "InvalidArgument")
        assert server.send("HEAD", "/beside", bucket=bucket).status == 404


# --- the default of a bucket ---------------------------------------------------------------------------


def default(algorithm: str, key_id: str = "", element: str = "ApplyServerSideEncryptionByDefault") -> bytes:
    key = f"<KMSMasterKeyID>{key_id}</KMSMasterKeyID>" if key_id else ""
    inner = f"<SSEAlgorithm>{algorithm}</SSEAlgorithm>{key}"
    root = "ServerSideEncryptionConfiguration"
    return f"<{root}><Rule><{element}>{inner}</{element}></Rule></{root}>".encode()


def set_default(server: Server, bucket: str, body: bytes) -> Answer:
    return server.send("PUT", bucket=bucket, query={"encryption": ""}, body=body)


def test_the_default_of_a_bucket(server: Server, bucket: str, key_id: str) -> None:
    """It holds for what does not say, by every way that objects come; what says so wins, and what is there stays."""
    put(server, bucket, "before")
    server.send("GET", bucket=bucket, query={"encryption": ""}).expect(404, "NoSuchEncryptionConfiguration")
    for algorithm, named, shown in [
        ("AES256", "", {SSE: "AES256"}),
        ("KMS", key_id, {SSE: "cos/kms", KMS_KEY_ID: key_id}),
    ]:
        set_default(server, bucket, default(algorithm, named)).expect(200)
        found = server.send("GET", bucket=bucket, query={"encryption": ""}).expect(200).xml
        assert found.tag == "ServerSideEncryptionConfiguration"
        assert found.findtext("Rule/ApplyServerSideEncryptionByDefault/SSEAlgorithm") == algorithm
        assert (found.findtext("Rule/ApplyServerSideEncryptionByDefault/KMSMasterKeyID") or "") == named
        assert encryption_of(put(server, bucket, "put")) == shown
        assert encryption_of(copy(server, bucket, "before", "copy").expect(200)) == shown
        upload, begun = begin(server, bucket, "parts", {})
        assert encryption_of(begun) == shown
        query = {"partNumber": "1", "uploadId": upload}
        part = server.send("PUT", "/parts", bucket=bucket, query=query, body=CONTENT).expect(200)
        assert encryption_of(complete(server, bucket, "parts", upload, [part.headers["ETag"]])) == shown
        position = {"append": "", "position": "0"}
        server.send("DELETE", "/grown", bucket=bucket).expect(204)
        grown = server.send("POST", "/grown", bucket=bucket, query=position, body=CONTENT).expect(200)
        assert encryption_of(grown) == shown
        server.send("PUT", bucket=bucket, query={"acl": ""}, headers={"x-cos-acl": "public-read-write"}).expect(200)
        headers, sent = form([("key", "form"), ("file", ("f", CONTENT))])
        posted = server.send("POST", bucket=bucket, headers=headers, body=sent, auth=None).expect(204)
        assert encryption_of(posted) == shown
        for key in ("put", "copy", "parts", "grown", "form"):
            read = get(server, bucket, key)
            assert (read.body, encryption_of(read)) == (CONTENT, shown)
        other = {SSE: "AES256"} if algorithm == "KMS" else {SSE: "cos/kms"}
        assert encryption_of(put(server, bucket, "said", other))[SSE] == other[SSE]
        assert SSE not in encryption_of(put(server, bucket, "said", A.headers()))
        assert encryption_of(get(server, bucket, "before")) == {}
    for _ in range(2):
        server.send("DELETE", bucket=bucket, query={"encryption": ""}).expect(204)
    server.send("GET", bucket=bucket, query={"encryption": ""}).expect(404, "NoSuchEncryptionConfiguration")
    assert encryption_of(put(server, bucket, "after")) == {}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "MalformedXML"),
        (b"<EncryptionConfiguration/>", 400, "MalformedXML"),
        (b"<ServerSideEncryptionConfiguration/>", 400, "MalformedXML"),
        (default("aes"), 400, "InvalidArgument"),
        (default("cos/kms"), 400, "InvalidArgument"),
        (default("AES256", "key"), 400, "InvalidArgument"),
        (default("SM4"), 501, "NotImplemented"),
        (default("KMS", "&#1;"), 400, "InvalidArgument"),
        (default("KMS", "a b"), 400, "InvalidArgument"),
    ],
)
def test_defaults_that_are_none(server: Server, bucket: str, body: bytes, status: int, code: str) -> None:
    set_default(server, bucket, body).expect(status, code)
    server.send("GET", bucket=bucket, query={"encryption": ""}).expect(404, "NoSuchEncryptionConfiguration")


def test_a_default_key_that_is_not_there(server: Server, bucket: str) -> None:
    """It may be made later; until then nothing is stored."""
    set_default(server, bucket, default("KMS", "none")).expect(200)
    server.send("PUT", "/k", bucket=bucket, body=b"x").expect(400, "KmsKeyNotExist")
    assert server.send("HEAD", "/k", bucket=bucket).status == 404


def test_who_may_set_the_default(server: Server, bucket: str) -> None:
    may = make_user(server, allow("PutBucketEncryption GetBucketEncryption DeleteBucketEncryption"))
    may_not = make_user(server, allow("PutObject GetObject PutBucketCORS"))
    for who, status in [(may, (200, 200, 204)), (may_not, (403, 403, 403))]:
        query = {"encryption": ""}
        answers = (
            server.send("PUT", bucket=bucket, query=query, body=default("AES256"), who=who).status,
            server.send("GET", bucket=bucket, query=query, who=who).status,
            server.send("DELETE", bucket=bucket, query=query, who=who).status,
        )
        assert answers == status


# --- the Python SDK ------------------------------------------------------------------------------------


def test_the_sdk_sets_the_default(client: CosS3Client, bucket: str) -> None:
    """As its own test does, which misspells an element."""
    rule = {"Rule": [{"ApplySideEncryptionConfiguration": {"SSEAlgorithm": "AES256"}}]}
    client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rule)
    found = client.get_bucket_encryption(Bucket=bucket)
    assert found["Rule"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert client.put_object(Bucket=bucket, Key="k", Body=b"x")[SSE] == "AES256"
    client.delete_bucket_encryption(Bucket=bucket)


def test_the_sdk_with_sse_cos_and_kms(client: CosS3Client, bucket: str, key_id: str) -> None:
    stored = client.put_object(Bucket=bucket, Key="k", Body=CONTENT, ServerSideEncryption="AES256")
    assert stored[SSE] == client.head_object(Bucket=bucket, Key="k")[SSE] == "AES256"
    kms = {"ServerSideEncryption": "cos/kms", "SSEKMSKeyId": key_id, "SSEKMSContext": context('{"k": "v"}')}
    stored = client.put_object(Bucket=bucket, Key="k", Body=CONTENT, **kms)
    assert (stored[SSE], stored[KMS_KEY_ID]) == ("cos/kms", key_id)
    assert client.get_object(Bucket=bucket, Key="k")["Body"].get_raw_stream().read() == CONTENT


@pytest.mark.parametrize("size", [1024, 21 << 20], ids=["in one piece", "in parts"])
def test_the_sdk_with_sse_c(server: Server, bucket: str, tmp_path: Path, size: int) -> None:
    """Upload, download and copies of its high-level calls, which ask for HEAD first and copy in parts."""
    client = server.proxy_client()
    file, back = tmp_path / "file", tmp_path / "back"
    file.write_bytes(random.Random(size).randbytes(size))
    digest = hashlib.md5(file.read_bytes()).hexdigest()
    algorithm = f"{SSE}-customer-algorithm"
    uploaded = client.upload_file(Bucket=bucket, Key="k", LocalFilePath=str(file), PartSize=5, **A.options())
    assert uploaded[algorithm] == "AES256"
    client.download_file(Bucket=bucket, Key="k", DestFilePath=str(back), PartSize=5, EnableCRC=True, **A.options())
    assert hashlib.md5(back.read_bytes()).hexdigest() == digest
    source = {"Bucket": bucket, "Key": "k", "Region": REGION}
    options = {**A.options("CopySource"), **B.options()}
    copied = client.copy_object(Bucket=bucket, Key="copied", CopySource=source, **options)
    assert copied[algorithm] == "AES256"
    # From 5 GB on it copies in parts.
    client._conf._copy_part_threshold_size = 1 << 20
    client.copy(Bucket=bucket, Key="parts", CopySource=source, StorageClass="STANDARD_IA", PartSize=5, **options)
    assert client.head_object(Bucket=bucket, Key="parts", **B.options())["ETag"].endswith('-5"') == (size > 1 << 20)
    client.copy(Bucket=bucket, Key="plain", CopySource=source, **A.options("CopySource"))
    for key, reads in [("copied", B.options()), ("parts", B.options()), ("plain", {})]:
        client.download_file(Bucket=bucket, Key=key, DestFilePath=str(back), **reads)
        assert hashlib.md5(back.read_bytes()).hexdigest() == digest, key
