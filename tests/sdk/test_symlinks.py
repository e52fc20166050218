"""Symlinks: making them, asking what they are, and everything that reads or writes through them."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from urllib.parse import quote

import pytest
from qcloud_cos import CosS3Client, CosServiceError

from harness import (
    REGION,
    SECRET_KEY,
    Answer,
    Server,
    body_of,
    bucket_host,
    crc64,
    list_keys,
    quoted_md5,
    unique_bucket,
)
from program import KEYS, Cosine, run_cosine, serve_arguments

CONTENT = b"[Object Content]"
DATA = random.Random(31).randbytes(300_000)
TARGET = "x-cos-symlink-target"
SOURCE = "x-cos-copy-source"
METADATA = {
    "Cache-Control": "max-age=1",
    "Content-Disposition": "inline",
    "Content-Type": "image/png",
    "x-cos-meta-a": "1",
}


def link_to(
    server: Server,
    bucket: str,
    target: str | bytes | None,
    key: str = "link",
    *,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    auth: str | None = "sdk",
) -> Answer:
    fields: dict[str, str | bytes] = {} if target is None else {TARGET: target}
    fields.update(headers or {})
    return server.send("PUT", "/" + key, bucket=bucket, query={"symlink": ""}, headers=fields, body=body, auth=auth)


def link_of(server: Server, bucket: str, key: str = "link", auth: str | None = "sdk", **query: str) -> Answer:
    return server.send("GET", "/" + key, bucket=bucket, query={"symlink": "", **query}, auth=auth)


def get(server: Server, bucket: str, key: str = "link", headers: dict[str, str] | None = None, **query: str) -> Answer:
    return server.send("GET", "/" + key, bucket=bucket, headers=headers, query=query)


def put(server: Server, bucket: str, key: str, data: bytes, headers: dict[str, str] | None = None) -> Answer:
    return server.send("PUT", "/" + key, bucket=bucket, headers=headers, body=data).expect(200)


def copy(server: Server, bucket: str, source: str, key: str, headers: dict[str, str] | None = None) -> Answer:
    fields = {SOURCE: f"{bucket_host(bucket)}/{source}", **(headers or {})}
    return server.send("PUT", "/" + key, bucket=bucket, headers=fields)


def assert_link(server: Server, bucket: str, target: str, key: str = "link", **query: str) -> None:
    """A link to this key, as GET ?symlink says, and the list of the link that is current."""
    answer = link_of(server, bucket, key, **query).expect(200)
    assert answer.body == b""
    assert answer.headers[TARGET] == quote(target.encode(), safe="/-_.~")
    assert answer.headers["ETag"] == quoted_md5(target.encode())
    assert answer.headers["Last-Modified"]
    if not query:
        assert listed(server, bucket, key) == (quoted_md5(target.encode()), "STANDARD")


def assert_no_link(server: Server, bucket: str, key: str, data: bytes) -> None:
    link_of(server, bucket, key).expect(400, "InvalidArgument")
    answer = get(server, bucket, key).expect(200)
    assert answer.body == data
    assert listed(server, bucket, key) == (answer.headers["ETag"], "STANDARD")


def listed(server: Server, bucket: str, key: str) -> tuple[str | None, str | None]:
    """ETag and class of a key, of the list."""
    query = {"prefix": key, "max-keys": "1", "encoding-type": "url"}
    root = server.send("GET", bucket=bucket, query=query).expect(200).xml
    assert root.findtext("Contents/Key") == quote(key.encode(), safe="/-_.~")
    return root.findtext("Contents/ETag"), root.findtext("Contents/StorageClass")


def told(answer: Answer) -> dict[str, str]:
    """The headers of an answer that say something about the object."""
    others = {"date", "x-cos-request-id", "x-cos-trace-id"}
    return {name.lower(): value for name, value in answer.headers.items() if name.lower() not in others}


@pytest.fixture
def linked(server: Server, bucket: str) -> str:
    """A bucket with an object ``target`` and a link ``link`` to it."""
    put(server, bucket, "target", DATA, METADATA)
    link_to(server, bucket, "target").expect(200)
    return bucket


# --- making and asking ----------------------------------------------------------------------

TARGETS = {
    "plain": ("target", "target"),
    "folder": ("dir/a/target", "dir/a/target"),
    "folder-itself": ("dir/", "dir/"),
    "encoded-slash": ("dir%2Ftarget", "dir/target"),
    "cjk": ("示例-腾讯云.jpg", "示例-腾讯云.jpg"),
    "cjk-encoded": (quote("示例-腾讯云.jpg"), "示例-腾讯云.jpg"),
    "space": ("a b", "a b"),
    "space-encoded": ("a%20b", "a b"),
    "plus": ("a+b", "a+b"),
    "plus-encoded": ("a%2Bb", "a+b"),
    "decoded-once": ("a%2541", "a%41"),
    "query": ("what?versionId=1&x#y", "what?versionId=1&x#y"),
    "dots": ("a/../b//./c", "a/../b//./c"),
    "longest": ("k" * 850, "k" * 850),
    "longest-encoded": ("%E9%94%AE" * 283, "键" * 283),
}


@pytest.mark.parametrize(("sent", "target"), TARGETS.values(), ids=TARGETS.keys())
def test_targets(server: Server, bucket: str, sent: str, target: str) -> None:
    """As they are, as the Python SDK sends them, or percent-encoded, as Go does; there or not."""
    answer = link_to(server, bucket, sent).expect(200)
    assert answer.body == b""
    assert answer.headers["ETag"] == quoted_md5(target.encode())
    assert "x-cos-version-id" not in answer.headers
    assert_link(server, bucket, target)
    get(server, bucket).expect(404, "NoSuchKey")
    put(server, bucket, target, CONTENT)
    assert get(server, bucket).expect(200).body == CONTENT


def test_through_the_sdk(client: CosS3Client, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="dir/target", Body=DATA)
    answer = client.put_symlink(Bucket=bucket, SymlinkName="dir/link", SymlinkTarget="dir/target")
    assert answer["ETag"] == quoted_md5(b"dir/target")
    answer = client.get_symlink(Bucket=bucket, SymlinkName="dir/link")
    assert (answer[TARGET], answer["ETag"]) == ("dir/target", quoted_md5(b"dir/target"))
    got = client.get_object(Bucket=bucket, Key="dir/link")
    assert (body_of(got), got["ETag"]) == (DATA, quoted_md5(DATA))
    for key, status, code in [("missing", 404, "NoSuchKey"), ("dir/target", 400, "InvalidArgument")]:
        with pytest.raises(CosServiceError) as refused:
            client.get_symlink(Bucket=bucket, SymlinkName=key)
        assert (refused.value.get_status_code(), refused.value.get_error_code()) == (status, code)


@pytest.mark.parametrize(
    ("target", "body", "codes"),
    [
        pytest.param(None, b"", ("InvalidArgument",), id="missing"),
        pytest.param("", b"", ("InvalidArgument",), id="empty"),
        pytest.param("other", b"x", ("UnexpectedContent",), id="body"),
        pytest.param("%FF", b"", ("InvalidArgument",), id="not-utf8"),
        pytest.param(b"\xff", b"", ("InvalidArgument",), id="not-utf8-raw"),
        pytest.param("k" * 851, b"", ("KeyTooLong", "InvalidArgument"), id="too-long"),
        pytest.param("/other", b"", ("InvalidObjectName", "InvalidArgument"), id="leading-slash"),
    ],
)
def test_a_bad_link(
    server: Server, linked: str, target: str | bytes | None, body: bytes, codes: tuple[str, ...]
) -> None:
    """400; none is made, and neither a link nor an object that is there changes."""
    for key in ["new", "link", "target"]:
        link_to(server, linked, target, key, body=body).expect(400, *codes)
    assert list_keys(server, linked) == ["link", "target"]
    assert_link(server, linked, "target")
    assert_no_link(server, linked, "target", DATA)


def test_where_there_is_no_link(server: Server, linked: str) -> None:
    link_of(server, linked, "missing").expect(404, "NoSuchKey")
    link_of(server, linked, "target").expect(400, "InvalidArgument")
    link_of(server, unique_bucket()).expect(404, "NoSuchBucket")
    link_to(server, unique_bucket(), "target").expect(404, "NoSuchBucket")
    server.send("DELETE", "/link", bucket=linked).expect(204)
    link_of(server, linked).expect(404, "NoSuchKey")


# --- reading --------------------------------------------------------------------------------

READS = {
    "whole": ({}, 200),
    "range": ({"Range": "bytes=100000-100009"}, 206),
    "suffix": ({"Range": "bytes=-1"}, 206),
    "beyond": ({"Range": "bytes=300000-"}, 416),
    "match": ({"If-Match": quoted_md5(DATA)}, 200),
    "match-the-link": ({"If-Match": quoted_md5(b"target")}, 412),
    "none-match": ({"If-None-Match": quoted_md5(DATA)}, 304),
    "none-match-the-link": ({"If-None-Match": quoted_md5(b"target")}, 200),
}


@pytest.mark.parametrize(("headers", "status"), READS.values(), ids=READS.keys())
def test_reading_through_a_link(server: Server, linked: str, headers: dict[str, str], status: int) -> None:
    """The answer is the target's own: bytes, ETag, metadata, conditions and ranges."""
    for method in ["GET", "HEAD"]:
        direct, through = (server.send(method, f"/{key}", bucket=linked, headers=headers) for key in ("target", "link"))
        assert through.status == direct.status
        if method == "GET":
            assert direct.status == status
        if direct.status < 400:
            assert through.body == direct.body
            assert told(through) == told(direct)
            assert through.headers["ETag"] == quoted_md5(DATA)
        elif method == "GET":
            assert through.code == direct.code


def test_a_link_follows_its_target(server: Server, linked: str) -> None:
    """Overwritten, gone and come again; what the link is does not change with it."""
    put(server, linked, "target", CONTENT, {"x-cos-storage-class": "STANDARD_IA"})
    answer = get(server, linked).expect(200)
    assert (answer.body, answer.headers["x-cos-storage-class"]) == (CONTENT, "STANDARD_IA")
    assert_link(server, linked, "target")
    server.send("DELETE", "/target", bucket=linked).expect(204)
    get(server, linked).expect(404, "NoSuchKey")
    assert server.send("HEAD", "/link", bucket=linked).status == 404
    copy(server, linked, "link", "copy").expect(404, "NoSuchKey", "NoSuchCopySource")
    assert_link(server, linked, "target")
    query = {"append": "", "position": "0"}
    server.send("POST", "/target", bucket=linked, query=query, body=b"again").expect(200)
    answer = get(server, linked).expect(200)
    assert (answer.body, answer.headers["x-cos-object-type"]) == (b"again", "appendable")
    assert list_keys(server, linked) == ["link", "target"]


def test_a_link_to_a_link(server: Server, linked: str) -> None:
    """Refused when it is read or copied, whichever came first; to itself as well."""
    link_to(server, linked, "link", "second").expect(200)
    link_to(server, linked, "self", "self").expect(200)
    link_to(server, linked, "later", "first").expect(200)
    link_to(server, linked, "target", "later").expect(200)
    assert get(server, linked, "later").expect(200).body == DATA
    for key, target in [("second", "link"), ("self", "self"), ("first", "later")]:
        get(server, linked, key).expect(400, "InvalidRequest")
        assert server.send("HEAD", f"/{key}", bucket=linked).status == 400
        copy(server, linked, key, "copy").expect(400, "InvalidRequest")
        assert_link(server, linked, target, key)
    assert "copy" not in list_keys(server, linked)


def test_a_link_into_the_archive(server: Server, linked: str) -> None:
    """It can be read, and copied, when the target can."""
    put(server, linked, "target", CONTENT, {"x-cos-storage-class": "ARCHIVE"})
    get(server, linked).expect(403, "InvalidObjectState")
    copy(server, linked, "link", "copy").expect(403, "InvalidObjectState")
    head = server.send("HEAD", "/link", bucket=linked).expect(200)
    assert head.headers["x-cos-storage-class"] == "ARCHIVE"
    body = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    server.send("POST", "/target", bucket=linked, query={"restore": ""}, body=body).expect(202)
    assert get(server, linked).expect(200).body == CONTENT
    copy(server, linked, "link", "copy").expect(200)
    assert_no_link(server, linked, "copy", CONTENT)


def test_who_may_read_through_a_link(server: Server, bucket: str) -> None:
    """Whoever may read both of them; and nobody but the owner makes one."""
    for target in ["private", "public-read"]:
        put(server, bucket, target, CONTENT, {"x-cos-acl": target})
        for link in ["private", "public-read"]:
            key = f"{link}-to-{target}"
            link_to(server, bucket, target, key, headers={"x-cos-acl": link}).expect(200)
            assert get(server, bucket, key).expect(200).body == CONTENT
            for method in ["GET", "HEAD"]:
                answer = server.send(method, f"/{key}", bucket=bucket, auth=None)
                assert answer.status == (200 if link == target == "public-read" else 403)
                if method == "GET" and answer.status == 200:
                    assert answer.body == CONTENT
            if link == "private":
                link_of(server, bucket, key, auth=None).expect(403, "AccessDenied")
    link_to(server, bucket, "public-read", "new", auth=None).expect(403, "AccessDenied")
    link_to(server, bucket, "private", "public-read", auth=None).expect(403, "AccessDenied")
    assert_no_link(server, bucket, "public-read", CONTENT)


# --- copying and writing ----------------------------------------------------------------------


def test_a_copy_of_a_link(server: Server, client: CosS3Client, linked: str) -> None:
    """The target's content and metadata in an object of its own, whatever becomes of the two."""
    source = {"Bucket": linked, "Key": "link", "Region": REGION}
    result = client.copy_object(Bucket=linked, Key="copy", CopySource=source, CopySourceIfMatch=quoted_md5(DATA))
    assert (result["ETag"], result["CRC64"]) == (quoted_md5(DATA), str(crc64(DATA)))
    other = {"x-cos-copy-source-If-Match": quoted_md5(b"target")}
    copy(server, linked, "link", "refused", other).expect(412, "PreconditionFailed")
    upload = client.create_multipart_upload(Bucket=linked, Key="parts")["UploadId"]
    part = client.upload_part_copy(
        Bucket=linked,
        Key="parts",
        PartNumber=1,
        UploadId=upload,
        CopySource=source,
        CopySourceRange="bytes=1000-200000",
    )
    assert part["CRC64"] == str(crc64(DATA[1000:200_001]))
    parts = {"Part": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(Bucket=linked, Key="parts", UploadId=upload, MultipartUpload=parts)

    put(server, linked, "target", CONTENT)
    server.send("DELETE", "/link", bucket=linked).expect(204)
    assert_no_link(server, linked, "copy", DATA)
    assert_no_link(server, linked, "parts", DATA[1000:200_001])
    answer = get(server, linked, "copy")
    assert {name: answer.headers[name] for name in METADATA} == METADATA


def test_writing_over_a_link(server: Server, linked: str) -> None:
    """By any way it becomes an ordinary object, or stays what it is; the target is never touched."""
    before = told(get(server, linked, "target"))
    put(server, linked, "other", CONTENT)

    put(server, linked, "link", b"put")
    assert_no_link(server, linked, "link", b"put")
    link_to(server, linked, "target").expect(200)
    assert_link(server, linked, "target")
    copy(server, linked, "other", "link").expect(200)
    assert_no_link(server, linked, "link", CONTENT)
    link_to(server, linked, "target").expect(200)
    copy(server, linked, "target", "link").expect(200)
    assert_no_link(server, linked, "link", DATA)
    link_to(server, linked, "target").expect(200)
    copy(server, linked, "link", "link", {"x-cos-metadata-directive": "Replaced"}).expect(200)
    assert_no_link(server, linked, "link", DATA)
    link_to(server, linked, "target").expect(200)
    for position in ["0", "6", str(len(DATA))]:
        query = {"append": "", "position": position}
        appended = server.send("POST", "/link", bucket=linked, query=query, body=b"more")
        appended.expect(409, "ObjectNotAppendable")
    guarded = server.send("PUT", "/link", bucket=linked, headers={"x-cos-forbid-overwrite": "true"}, body=b"no")
    guarded.expect(409, "FileAlreadyExists")
    assert_link(server, linked, "target")

    answer = get(server, linked, "target").expect(200)
    assert answer.body == DATA
    assert told(answer) == before
    assert list_keys(server, linked) == ["link", "other", "target"]


def test_a_target_onto_itself_through_its_link(server: Server, linked: str) -> None:
    """A copy from the link onto what it names keeps the bytes, again and again."""
    for number in range(3):
        headers = {"x-cos-metadata-directive": "Replaced", "x-cos-meta-number": str(number)}
        copy(server, linked, "link", "target", headers).expect(200)
        answer = get(server, linked).expect(200)
        assert (answer.body, answer.headers["x-cos-meta-number"]) == (DATA, str(number))
    assert_link(server, linked, "target")
    assert_no_link(server, linked, "target", DATA)


def test_a_link_over_an_object(server: Server, linked: str) -> None:
    """It replaces the object, with all that it was."""
    put(server, linked, "k", CONTENT, {"x-cos-meta-a": "1", "x-cos-storage-class": "ARCHIVE"})
    link_to(server, linked, "target", "k").expect(200)
    assert_link(server, linked, "target", "k")
    assert get(server, linked, "k").expect(200).body == DATA
    link_to(server, linked, "nowhere", "k").expect(200)
    assert_link(server, linked, "nowhere", "k")
    get(server, linked, "k").expect(404, "NoSuchKey")


def test_deleting_a_link_leaves_its_target(server: Server, client: CosS3Client, linked: str) -> None:
    """One by one, or many at once."""
    for number in range(3):
        link_to(server, linked, "target", f"link{number}").expect(200)
    server.send("DELETE", "/link", bucket=linked).expect(204)
    keys = [{"Key": f"link{number}"} for number in range(3)]
    result = client.delete_objects(Bucket=linked, Delete={"Object": keys})
    assert sorted(entry["Key"] for entry in result["Deleted"]) == ["link0", "link1", "link2"]
    assert list_keys(server, linked) == ["target"]
    assert_no_link(server, linked, "target", DATA)


# --- versions -------------------------------------------------------------------------------


@pytest.fixture
def versioned(server: Server, bucket: str) -> str:
    """A bucket that keeps versions."""
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    server.send("PUT", bucket=bucket, query={"versioning": ""}, body=body).expect(200)
    return bucket


def test_versions_of_a_link(server: Server, client: CosS3Client, versioned: str) -> None:
    """Each has its own target, and gives what that is now; an object among them is no link."""
    version_of = {}
    for target in ["one", "two"]:
        version_of[target] = put(server, versioned, target, target.encode()).headers["x-cos-version-id"]
        answer = link_to(server, versioned, target).expect(200)
        version_of[f"link to {target}"] = answer.headers["x-cos-version-id"]
    version_of["object"] = put(server, versioned, "link", CONTENT).headers["x-cos-version-id"]
    assert len(set(version_of.values())) == 5

    link_of(server, versioned).expect(400, "InvalidArgument")
    link_of(server, versioned, versionId=version_of["object"]).expect(400, "InvalidArgument")
    assert get(server, versioned).expect(200).body == CONTENT
    for target in ["one", "two"]:
        version = version_of[f"link to {target}"]
        assert_link(server, versioned, target, versionId=version)
        answer = client.get_symlink(Bucket=versioned, SymlinkName="link", VersionId=version)
        assert (answer[TARGET], answer["x-cos-version-id"]) == (target, version)
        assert get(server, versioned, versionId=version).expect(200).body == target.encode()
        source = f"link?versionId={version}"
        copy(server, versioned, source, "copy").expect(200)
        assert get(server, versioned, "copy").expect(200).body == target.encode()
    put(server, versioned, "one", b"new one")
    assert get(server, versioned, versionId=version_of["link to one"]).expect(200).body == b"new one"

    # A version of the target is none of the link.
    for version in [version_of["one"], "MTg0NDUxNTc0NDYyMjQ2MzUzMjQ"]:
        link_of(server, versioned, versionId=version).expect(404, "NoSuchVersion")
        get(server, versioned, versionId=version).expect(404, "NoSuchVersion")
    found = server.send("GET", bucket=versioned, query={"versions": "", "prefix": "link"}).expect(200).xml
    entries = [(entry.findtext("VersionId"), entry.findtext("ETag")) for entry in found.iterfind("Version")]
    assert entries == [
        (version_of["object"], quoted_md5(CONTENT)),
        (version_of["link to two"], quoted_md5(b"two")),
        (version_of["link to one"], quoted_md5(b"one")),
    ]


def test_deleting_versions_of_a_link(server: Server, versioned: str) -> None:
    """A marker hides the link, and one on the target breaks it; a version that goes leaves the other."""
    put(server, versioned, "target", CONTENT)
    versions = [
        link_to(server, versioned, target).expect(200).headers["x-cos-version-id"] for target in ("gone", "target")
    ]
    marker = server.send("DELETE", "/target", bucket=versioned).expect(204).headers["x-cos-version-id"]
    get(server, versioned).expect(404, "NoSuchKey")
    assert_link(server, versioned, "target")
    server.send("DELETE", "/target", bucket=versioned, query={"versionId": marker}).expect(204)
    assert get(server, versioned).expect(200).body == CONTENT

    marker = server.send("DELETE", "/link", bucket=versioned).expect(204).headers["x-cos-version-id"]
    get(server, versioned).expect(404, "NoSuchKey")
    link_of(server, versioned).expect(404, "NoSuchKey")
    assert_link(server, versioned, "target", versionId=versions[1])
    server.send("DELETE", "/link", bucket=versioned, query={"versionId": marker}).expect(204)
    assert_link(server, versioned, "target")
    server.send("DELETE", "/link", bucket=versioned, query={"versionId": versions[1]}).expect(204)
    assert_link(server, versioned, "gone")
    get(server, versioned).expect(404, "NoSuchKey")
    assert get(server, versioned, "target").expect(200).body == CONTENT


# --- what is kept ---------------------------------------------------------------------------


def test_links_are_kept(tmp_path: Path) -> None:
    """Through a stop and a start, the store being sound in between; a link keeps no bytes of its target."""
    data = tmp_path / "data"
    bucket = unique_bucket()

    def start() -> Cosine:
        return Cosine(*serve_arguments(data), cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY)

    with start() as cosine:
        cosine.client().create_bucket(Bucket=bucket)
        put(cosine, bucket, "target", DATA, METADATA)
        for key, target in [("link", "target"), ("broken", "nowhere"), ("second", "link")]:
            link_to(cosine, bucket, target, key).expect(200)
        copy(cosine, bucket, "link", "copy").expect(200)
    ran = run_cosine("fsck", "--data", str(data), "--deep", cwd=tmp_path)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "all is sound"), ran
    with start() as cosine:
        for key, target in [("link", "target"), ("broken", "nowhere"), ("second", "link")]:
            assert_link(cosine, bucket, target, key)
        answer = get(cosine, bucket).expect(200)
        assert hashlib.md5(answer.body).digest() == hashlib.md5(DATA).digest()
        assert {name: answer.headers[name] for name in METADATA} == METADATA
        get(cosine, bucket, "broken").expect(404, "NoSuchKey")
        get(cosine, bucket, "second").expect(400, "InvalidRequest")
        cosine.send("DELETE", "/target", bucket=bucket).expect(204)
        get(cosine, bucket).expect(404, "NoSuchKey")
        assert_no_link(cosine, bucket, "copy", DATA)
    ran = run_cosine("fsck", "--data", str(data), "--deep", cwd=tmp_path)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "all is sound"), ran
