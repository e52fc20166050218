"""Storage classes, multi-AZ buckets, archives and POST Object restore. Ids such as C38 are statements of the
checklist of PUT Object - Copy."""

from __future__ import annotations

import base64
import hashlib
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from pathlib import Path

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
DATA = random.Random(21).randbytes(1_200_000)

CLASSES = ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ARCHIVE", "DEEP_ARCHIVE"]
MAZ_CLASSES = [f"MAZ_{name}" for name in CLASSES]
ARCHIVES = ["ARCHIVE", "DEEP_ARCHIVE", "MAZ_ARCHIVE", "MAZ_DEEP_ARCHIVE"]
CLASS = "x-cos-storage-class"
REPLACED = {"x-cos-metadata-directive": "Replaced"}


def kind(storage_class: str) -> dict[str, str]:
    """Options for a bucket that takes this class."""
    return {"BucketAZConfig": "MAZ"} if storage_class.startswith("MAZ_") else {}


def source_of(bucket: str, key: str = "k") -> str:
    return f"{bucket_host(bucket, REGION)}/{key}"


def copy(server: Server, bucket: str, key: str, source: str, headers: dict[str, str] | None = None) -> Answer:
    return server.send("PUT", "/" + key, bucket=bucket, headers={"x-cos-copy-source": source, **(headers or {})})


def get(server: Server, bucket: str, key: str = "k", **query: str) -> Answer:
    return server.send("GET", "/" + key, bucket=bucket, query=query)


def head(server: Server, bucket: str, key: str = "k", **query: str) -> Answer:
    return server.send("HEAD", "/" + key, bucket=bucket, query=query).expect(200)


def listed(server: Server, bucket: str, key: str, name: str) -> str | None:
    """A child of the one entry of the list that is this key."""
    root = server.send("GET", bucket=bucket, query={"prefix": key}).expect(200).xml
    [entry] = [entry for entry in root.iterfind("Contents") if entry.findtext("Key") == key]
    return entry.findtext(name)


def class_of(server: Server, bucket: str, key: str) -> str:
    """As HEAD and the list say: they agree, and HEAD does not say STANDARD."""
    named = listed(server, bucket, key, "StorageClass")
    answer = head(server, bucket, key)
    assert answer.headers.get(CLASS) == (None if named == "STANDARD" else named)
    tier = "FREQUENT" if named in ("INTELLIGENT_TIERING", "MAZ_INTELLIGENT_TIERING") else None
    assert answer.headers.get("x-cos-storage-tier") == tier
    assert named is not None
    return named


def request(days: object = 7, tier: str | None = "Standard") -> bytes:
    """A document of POST Object restore."""
    parameters = "" if tier is None else f"<CASJobParameters><Tier>{tier}</Tier></CASJobParameters>"
    return f"<RestoreRequest><Days>{days}</Days>{parameters}</RestoreRequest>".encode()


def restore(
    server: Server,
    bucket: str,
    key: str = "k",
    body: bytes = request(),
    *,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    auth: str | None = "sdk",
) -> Answer:
    if headers is None:
        headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    query = {"restore": "", **(query or {})}
    return server.send("POST", "/" + key, bucket=bucket, query=query, headers=headers, body=body, auth=auth)


def expiry(answer: Answer) -> datetime:
    """When a restored object goes back, of a HEAD or a GET."""
    match = re.fullmatch(r'ongoing-request="false", expiry-date="(.+)"', answer.headers["x-cos-restore"])
    assert match, answer.headers["x-cos-restore"]
    moment = parsedate_to_datetime(match.group(1))
    assert format_datetime(moment, usegmt=True) == match.group(1)
    return moment


def assert_expiry(answer: Answer, days: int) -> None:
    """In that many days from now, give or take what this test takes."""
    away = expiry(answer) - datetime.now(UTC)
    assert timedelta(days=days, minutes=-5) < away < timedelta(days=days, minutes=5), away


def assert_archived(server: Server, bucket: str, key: str = "k", **query: str) -> None:
    """Not to be read, but there: HEAD says all about it, and nothing of a restore."""
    get(server, bucket, key, **query).expect(403, "InvalidObjectState")
    answer = head(server, bucket, key, **query)
    assert answer.headers[CLASS] in ARCHIVES
    assert "x-cos-restore" not in answer.headers
    if not query:
        assert listed(server, bucket, key, "RestoreStatus") is None


# --- buckets ----------------------------------------------------------------------------


@pytest.fixture
def maz(make_bucket: Callable[..., str]) -> str:
    """A multi-AZ bucket."""
    return make_bucket(BucketAZConfig="MAZ")


AZ_TYPE = "x-cos-bucket-az-type"
CONFIGURATION = b"<CreateBucketConfiguration><BucketAZConfig>%s</BucketAZConfig></CreateBucketConfiguration>"


def test_the_kind_of_a_bucket(server: Server, client: CosS3Client, maz: str, new_bucket_name: str) -> None:
    """HEAD Bucket says MAZ of those, and nothing of others; a document need not ask for anything."""
    assert client.head_bucket(Bucket=maz)[AZ_TYPE] == "MAZ"
    server.send("PUT", bucket=new_bucket_name, body=b"<CreateBucketConfiguration/>").expect(200)
    assert AZ_TYPE not in server.send("HEAD", bucket=new_bucket_name).expect(200).headers
    again = server.send("PUT", bucket=new_bucket_name, body=CONFIGURATION % b"MAZ")
    again.expect(409, "BucketAlreadyOwnedByYou", "BucketAlreadyExists")
    assert AZ_TYPE not in server.send("HEAD", bucket=new_bucket_name).expect(200).headers


@pytest.mark.parametrize(
    ("body", "headers", "codes"),
    [
        pytest.param(CONFIGURATION % b"OAZ", {}, ("InvalidArgument",), id="other-value"),
        pytest.param(CONFIGURATION % b"", {}, ("InvalidArgument", "MalformedXML"), id="no-value"),
        pytest.param((CONFIGURATION % b"MAZ")[:-1], {}, ("MalformedXML",), id="cut-off"),
        pytest.param(b"<Other/>", {}, ("MalformedXML",), id="other-root"),
        pytest.param(
            CONFIGURATION % b"MAZ", {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, ("BadDigest",), id="other-md5"
        ),
    ],
)
def test_no_bucket_of_a_bad_document(
    server: Server, new_bucket_name: str, body: bytes, headers: dict[str, str], codes: tuple[str, ...]
) -> None:
    server.send("PUT", bucket=new_bucket_name, body=body, headers=headers).expect(400, *codes)
    assert server.send("HEAD", bucket=new_bucket_name).status == 404


# --- which classes, where -----------------------------------------------------------------


def write(server: Server, bucket: str, way: str, key: str, headers: dict[str, str]) -> Answer:
    """One of the ways in which an object comes to be; ``source`` is what is copied."""
    match way:
        case "put":
            return server.send("PUT", "/" + key, bucket=bucket, headers=headers, body=CONTENT)
        case "copy":
            return copy(server, bucket, key, source_of(bucket, "source"), headers)
        case "append":
            query = {"append": "", "position": "0"}
            return server.send("POST", "/" + key, bucket=bucket, query=query, headers=headers, body=CONTENT)
        case _:
            begun = server.send("POST", "/" + key, bucket=bucket, query={"uploads": ""}, headers=headers)
            if begun.status != 200:
                return begun
            upload = {"uploadId": begun.xml.findtext("UploadId") or ""}
            part = server.send("PUT", "/" + key, bucket=bucket, query={"partNumber": "1", **upload}, body=CONTENT)
            etag = part.expect(200).headers["ETag"]
            body = (
                "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
                f"<ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
            )
            return server.send("POST", "/" + key, bucket=bucket, query=upload, body=body.encode())


WAYS = ["put", "copy", "append", "multipart"]
SPELLINGS = [str.upper, str.lower, str.title]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("classes", [CLASSES, MAZ_CLASSES], ids=["ordinary", "multi-az"])
def test_c85_c86_every_class_in_any_case(
    server: Server, make_bucket: Callable[..., str], classes: list[str], way: str
) -> None:
    """``Deep_Archive``, ``Maz_Standard``: as Java says them. What cannot be read is exactly what is archived."""
    bucket = make_bucket(**kind(classes[0]))
    server.send("PUT", "/source", bucket=bucket, body=CONTENT).expect(200)
    if way == "append":
        # Neither what tiers itself nor what is archived can be appended to.
        classes = classes[:2]
    for number, storage_class in enumerate(classes):
        key = f"{number}"
        spelling = SPELLINGS[number % 3](storage_class)
        write(server, bucket, way, key, {CLASS: spelling}).expect(200)
        assert class_of(server, bucket, key) == storage_class
        if storage_class in ARCHIVES:
            assert_archived(server, bucket, key)
        else:
            assert get(server, bucket, key).expect(200).body == CONTENT


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("classes", "others", "code"),
    [
        pytest.param(CLASSES, MAZ_CLASSES, "MAZOperationNotSupportOnOAZBucket", id="ordinary"),
        pytest.param(MAZ_CLASSES, CLASSES, "OAZOperationNotSupportOnMAZBucket", id="multi-az"),
    ],
)
def test_c87_c89_classes_that_are_not_for_a_bucket(
    server: Server, make_bucket: Callable[..., str], classes: list[str], others: list[str], code: str, way: str
) -> None:
    """Refused by name, the unknown ones too, and nothing comes to be."""
    bucket = make_bucket(**kind(classes[0]))
    server.send("PUT", "/source", bucket=bucket, body=CONTENT).expect(200)
    for storage_class in [*others, others[0].lower()]:
        codes = (code,) if way != "append" else (code, "InvalidArgument")
        write(server, bucket, way, "new", {CLASS: storage_class}).expect(400, *codes)
    for unknown in ["COLD", "MAZ_", "MAZ_COLD", "GLACIER", "MAZ_MAZ_STANDARD", "ARCHIVE,STANDARD"]:
        write(server, bucket, way, "new", {CLASS: unknown}).expect(400, "InvalidArgument")
    assert list_keys(server, bucket) == ["source"]
    uploads = server.send("GET", bucket=bucket, query={"uploads": ""}).expect(200)
    assert uploads.xml.find("Upload") is None


@pytest.mark.parametrize("way", WAYS)
def test_c90_the_default_of_a_multi_az_bucket(server: Server, maz: str, way: str) -> None:
    server.send("PUT", "/source", bucket=maz, headers={CLASS: "MAZ_STANDARD_IA"}, body=CONTENT).expect(200)
    write(server, maz, way, "k", {}).expect(200)
    assert class_of(server, maz, "k") == "MAZ_STANDARD"
    assert get(server, maz).expect(200).body == CONTENT


def test_c75_c88_c90_between_the_kinds(server: Server, bucket: str, maz: str) -> None:
    """Every class that can be read becomes every other; unasked, the default of where the copy goes."""
    readable = CLASSES[:3] + MAZ_CLASSES[:3]
    for source in readable:
        origin = maz if source in MAZ_CLASSES else bucket
        server.send("PUT", f"/{source}", bucket=origin, headers={CLASS: source}, body=CONTENT).expect(200)
        for target in readable:
            there = maz if target in MAZ_CLASSES else bucket
            copy(server, there, "copy", source_of(origin, source), {CLASS: target}).expect(200)
            assert class_of(server, there, "copy") == target
            assert get(server, there, "copy").expect(200).body == CONTENT
        for there, default in [(bucket, "STANDARD"), (maz, "MAZ_STANDARD")]:
            copy(server, there, "copy", source_of(origin, source)).expect(200)
            assert class_of(server, there, "copy") == default


@pytest.mark.parametrize("storage_class", [*CLASSES[:3], *MAZ_CLASSES[:3]])
def test_c92_metadata_within_a_class(server: Server, make_bucket: Callable[..., str], storage_class: str) -> None:
    """A copy onto itself with Replaced, the class being the same."""
    bucket = make_bucket(**kind(storage_class))
    headers = {CLASS: storage_class}
    server.send("PUT", "/k", bucket=bucket, headers=headers, body=CONTENT).expect(200)
    fields = {**REPLACED, **headers, "x-cos-meta-new": "1"}
    copy(server, bucket, "k", source_of(bucket), fields).expect(200)
    assert class_of(server, bucket, "k") == storage_class
    answer = get(server, bucket).expect(200)
    assert (answer.body, answer.headers["x-cos-meta-new"]) == (CONTENT, "1")


@pytest.mark.parametrize("directive", ["Copy", "Replaced"])
def test_c75_c76_c77_c78_c79_c80_what_a_copy_is_whatever_the_directive(
    server: Server, client: CosS3Client, bucket: str, directive: str
) -> None:
    """Class, ACL, encryption, time and type are its own; the tags are the source's."""
    source = {CLASS: "STANDARD_IA", "x-cos-acl": "public-read", "x-cos-meta-a": "1"}
    write(server, bucket, "append", "k", source).expect(200)
    tags = {"TagSet": {"Tag": [{"Key": "team", "Value": "storage"}]}}
    client.put_object_tagging(Bucket=bucket, Key="k", Tagging=tags)
    began = datetime.now(UTC).replace(microsecond=0)
    copy(server, bucket, "copy", source_of(bucket), {"x-cos-metadata-directive": directive}).expect(200)
    assert class_of(server, bucket, "copy") == "STANDARD"  # C75
    assert server.send("GET", "/k", bucket=bucket, auth=None).status == 200
    server.send("GET", "/copy", bucket=bucket, auth=None).expect(403, "AccessDenied")  # C76
    answer = get(server, bucket, "copy").expect(200)
    assert not [name for name in answer.headers if "server-side-encryption" in name.lower()]  # C77
    assert client.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"] == tags["TagSet"]  # C78
    assert began <= parsedate_to_datetime(answer.headers["Last-Modified"]) <= datetime.now(UTC)  # C79
    assert answer.headers.get("x-cos-object-type", "normal") == "normal"  # C80
    assert ("x-cos-meta-a" in answer.headers) == (directive == "Copy")


# --- archived -----------------------------------------------------------------------------


@pytest.mark.parametrize("storage_class", ARCHIVES)
def test_c38_not_restored(
    server: Server, client: CosS3Client, make_bucket: Callable[..., str], storage_class: str
) -> None:
    """HEAD and the list know it; what would read it is refused, and what was there before stays."""
    bucket = make_bucket(**kind(storage_class))
    metadata = {"x-cos-meta-a": "1"}
    client.put_object(Bucket=bucket, Key="k", Body=DATA, StorageClass=storage_class, Metadata=metadata)
    client.put_object(Bucket=bucket, Key="old", Body=b"old")

    assert class_of(server, bucket, "k") == storage_class
    answer = head(server, bucket)
    assert answer.headers["Content-Length"] == str(len(DATA))
    assert answer.headers["ETag"] == quoted_md5(DATA)
    assert answer.headers["x-cos-hash-crc64ecma"] == str(crc64(DATA))
    assert answer.headers["x-cos-meta-a"] == "1"

    for headers in [{}, {"Range": "bytes=0-0"}, {"If-Match": quoted_md5(DATA)}]:
        refused = server.send("GET", "/k", bucket=bucket, headers=headers)
        refused.expect(403, "InvalidObjectState")
    default = "MAZ_STANDARD" if storage_class in MAZ_CLASSES else "STANDARD"
    source = source_of(bucket)
    for key in ["old", "new"]:
        for headers in [{}, {CLASS: default}, {CLASS: storage_class}, REPLACED]:
            copy(server, bucket, key, source, headers).expect(403, "InvalidObjectState")
    for target in [default, storage_class]:
        copy(server, bucket, "k", source, {**REPLACED, CLASS: target}).expect(403, "InvalidObjectState")
    upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    for headers in [{}, {"x-cos-copy-source-range": "bytes=0-9"}]:
        fields = {"x-cos-copy-source": source, **headers}
        query = {"partNumber": "1", "uploadId": upload}
        refused = server.send("PUT", "/parts", bucket=bucket, query=query, headers=fields)
        refused.expect(403, "InvalidObjectState")
    assert client.list_parts(Bucket=bucket, Key="parts", UploadId=upload).get("Part") is None
    client.abort_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload)

    assert_archived(server, bucket)
    assert list_keys(server, bucket) == ["k", "old"]
    assert get(server, bucket, "old").expect(200).body == b"old"
    server.send("PUT", "/k", bucket=bucket, body=b"new").expect(200)
    assert class_of(server, bucket, "k") == default
    assert get(server, bucket).expect(200).body == b"new"


@pytest.mark.parametrize("tier", ["Expedited", "Standard", "Bulk", None])
@pytest.mark.parametrize("storage_class", ARCHIVES)
def test_restore(server: Server, make_bucket: Callable[..., str], storage_class: str, tier: str | None) -> None:
    """202, and 200 from then on, the day it goes back moving either way; a deep archive is not expedited."""
    bucket = make_bucket(**kind(storage_class))
    server.send("PUT", "/k", bucket=bucket, headers={CLASS: storage_class}, body=CONTENT).expect(200)
    if tier == "Expedited" and "DEEP" in storage_class:
        restore(server, bucket, body=request(1, tier)).expect(400, "InvalidArgument")
        assert_archived(server, bucket)
        return
    before = head(server, bucket).headers
    for number, days in enumerate([7, 1, 365]):
        answer = restore(server, bucket, body=request(days, tier)).expect(202 if number == 0 else 200)
        assert answer.body == b""
        for answer in [get(server, bucket).expect(200), head(server, bucket)]:
            assert_expiry(answer, days)
            for name in [CLASS, "ETag", "Last-Modified", "x-cos-hash-crc64ecma", "Content-Length"]:
                assert answer.headers[name] == before[name], "a restored object is still the archived one"
        assert get(server, bucket).body == CONTENT
        assert listed(server, bucket, "k", "RestoreStatus") == "DONE"
        assert listed(server, bucket, "k", "StorageClass") == storage_class


@pytest.mark.parametrize("storage_class", ARCHIVES)
def test_c39_c91_copies_of_what_is_restored(
    server: Server, client: CosS3Client, make_bucket: Callable[..., str], storage_class: str
) -> None:
    """Into every class: those that can be read are so for good, without the source and without a restore."""
    bucket = make_bucket(**kind(storage_class))
    client.put_object(Bucket=bucket, Key="k", Body=DATA, StorageClass=storage_class)
    document = {"Days": 3, "CASJobParameters": {"Tier": "Bulk"}}
    client.restore_object(Bucket=bucket, Key="k", RestoreRequest=document)
    got = client.get_object(Bucket=bucket, Key="k")
    assert body_of(got) == DATA
    assert client.get_object(Bucket=bucket, Key="k", Range="bytes=5-9")["Content-Length"] == "5"

    source = {"Bucket": bucket, "Key": "k", "Region": REGION}
    classes = MAZ_CLASSES if storage_class in MAZ_CLASSES else CLASSES
    for target in classes:
        result = client.copy_object(Bucket=bucket, Key=target, CopySource=source, StorageClass=target)
        assert (result["ETag"], result["CRC64"]) == (quoted_md5(DATA), str(crc64(DATA)))
        assert class_of(server, bucket, target) == target
    upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = client.upload_part_copy(Bucket=bucket, Key="parts", PartNumber=1, UploadId=upload, CopySource=source)
    parts = {"Part": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload=parts)
    client.delete_object(Bucket=bucket, Key="k")

    for key in [*classes, "parts"]:
        if key in ARCHIVES:
            assert_archived(server, bucket, key)
            restore(server, bucket, key).expect(202)
        else:
            restore(server, bucket, key).expect(405, "RestoreNonArchiveObject")
            assert "x-cos-restore" not in head(server, bucket, key).headers
            assert listed(server, bucket, key, "RestoreStatus") is None
        assert get(server, bucket, key).expect(200).body == DATA


@pytest.mark.parametrize("storage_class", ARCHIVES)
def test_c39_c91_out_of_the_archive_and_back(
    server: Server, make_bucket: Callable[..., str], storage_class: str
) -> None:
    """A copy of a restored object onto itself; a restore is forgotten with the object it was of."""
    bucket = make_bucket(**kind(storage_class))
    archived = {CLASS: storage_class}
    default = "MAZ_STANDARD" if storage_class in MAZ_CLASSES else "STANDARD"
    server.send("PUT", "/k", bucket=bucket, headers=archived, body=CONTENT).expect(200)
    for _ in range(2):
        restore(server, bucket).expect(202)
        copy(server, bucket, "k", source_of(bucket), {**REPLACED, CLASS: default}).expect(200)
        assert class_of(server, bucket, "k") == default
        assert "x-cos-restore" not in head(server, bucket).headers
        assert get(server, bucket).expect(200).body == CONTENT
        restore(server, bucket).expect(405, "RestoreNonArchiveObject")
        copy(server, bucket, "k", source_of(bucket), {**REPLACED, **archived}).expect(200)
        assert_archived(server, bucket)
    restore(server, bucket).expect(202)
    copy(server, bucket, "k", source_of(bucket), {**REPLACED, **archived}).expect(200)
    assert_archived(server, bucket)
    restore(server, bucket).expect(202)
    server.send("PUT", "/k", bucket=bucket, headers=archived, body=b"another").expect(200)
    assert_archived(server, bucket)
    server.send("DELETE", "/k", bucket=bucket).expect(204)
    restore(server, bucket).expect(404, "NoSuchKey")


OTHER_MD5 = {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}
BAD_RESTORES = {
    "no-days": (b"<RestoreRequest/>", None, ("InvalidArgument", "MalformedXML")),
    "0-days": (request(0), None, ("InvalidArgument",)),
    "366-days": (request(366), None, ("InvalidArgument",)),
    "negative": (request(-1), None, ("InvalidArgument",)),
    "no-number": (request("soon"), None, ("InvalidArgument",)),
    "fraction": (request("1.5"), None, ("InvalidArgument",)),
    "huge": (request("18446744073709551617"), None, ("InvalidArgument",)),
    "other-tier": (request(1, "Slow"), None, ("InvalidArgument",)),
    "other-md5": (request(), OTHER_MD5, ("BadDigest",)),
    "no-md5": (request(), {"Content-MD5": "AAAA"}, ("InvalidDigest",)),
    "cut-off": (request()[:-1], None, ("MalformedXML",)),
    "other-root": (b"<Restore><Days>1</Days></Restore>", None, ("MalformedXML",)),
    "doctype": (b"<!DOCTYPE a>" + request(), None, ("MalformedXML",)),
    "empty": (b"", None, ("MalformedXML", "MissingRequestBodyError")),
}


@pytest.mark.parametrize(("body", "headers", "codes"), BAD_RESTORES.values(), ids=BAD_RESTORES.keys())
def test_a_bad_restore(
    server: Server, bucket: str, body: bytes, headers: dict[str, str] | None, codes: tuple[str, ...]
) -> None:
    """400, and what is archived stays so; once restored, the day it goes back does not move."""
    for storage_class in ["ARCHIVE", "DEEP_ARCHIVE"]:
        server.send("PUT", "/k", bucket=bucket, headers={CLASS: storage_class}, body=CONTENT).expect(200)
        restore(server, bucket, body=body, headers=headers).expect(400, *codes)
        assert_archived(server, bucket)
        restore(server, bucket, body=request(9)).expect(202)
        restore(server, bucket, body=body, headers=headers).expect(400, *codes)
        assert_expiry(get(server, bucket).expect(200), 9)


def test_restores_of_what_is_not_archived(server: Server, client: CosS3Client, bucket: str, maz: str) -> None:
    for storage_class in CLASSES[:3] + MAZ_CLASSES[:3]:
        there = maz if storage_class in MAZ_CLASSES else bucket
        client.put_object(Bucket=there, Key="k", Body=CONTENT, StorageClass=storage_class)
        restore(server, there).expect(405, "RestoreNonArchiveObject")
        assert "x-cos-restore" not in head(server, there).headers
    write(server, bucket, "append", "appended", {}).expect(200)
    restore(server, bucket, "appended").expect(405, "RestoreNonArchiveObject")
    restore(server, bucket, "missing").expect(404, "NoSuchKey")
    restore(server, unique_bucket()).expect(404, "NoSuchBucket")
    with pytest.raises(CosServiceError) as refused:
        client.restore_object(Bucket=bucket, Key="k", RestoreRequest={"Days": 1})
    assert (refused.value.get_status_code(), refused.value.get_error_code()) == (405, "RestoreNonArchiveObject")


def test_a_public_object_is_restored_by_its_owner_only(server: Server, bucket: str) -> None:
    headers = {CLASS: "ARCHIVE", "x-cos-acl": "public-read"}
    server.send("PUT", "/k", bucket=bucket, headers=headers, body=CONTENT).expect(200)
    restore(server, bucket, auth=None).expect(403, "AccessDenied")
    assert_archived(server, bucket)
    server.send("GET", "/k", bucket=bucket, auth=None).expect(403, "InvalidObjectState")
    restore(server, bucket).expect(202)
    assert server.send("GET", "/k", bucket=bucket, auth=None).expect(200).body == CONTENT


def assert_ongoing(server: Server, bucket: str, tier: str) -> None:
    """Asked for and not ready: as little to be read as before, and said so."""
    get(server, bucket).expect(403, "InvalidObjectState")
    copy(server, bucket, "copy", source_of(bucket)).expect(403, "InvalidObjectState")
    answer = head(server, bucket)
    assert answer.headers["x-cos-restore"] == 'ongoing-request="true"'
    status = re.fullmatch(r'tier="(\w+)"; request-date="(.+)"', answer.headers["x-cos-restore-status"])
    assert status and status.group(1) == tier.lower()
    assert abs(datetime.now(UTC) - parsedate_to_datetime(status.group(2))) < timedelta(minutes=5)
    assert listed(server, bucket, "k", "RestoreStatus") == "ONGOING"
    restore(server, bucket).expect(409, "RestoreAlreadyInProgress")


def test_a_restore_that_takes_its_time(tmp_path: Path) -> None:
    """By tier: at once, a second, an hour; through a stop and a start."""
    bucket = unique_bucket()
    arguments = [*serve_arguments(tmp_path / "data"), "--restore-time", "0,1,3600"]

    def start() -> Cosine:
        return Cosine(*arguments, cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY)

    def archive(cosine: Cosine, data: bytes = CONTENT) -> None:
        cosine.send("PUT", "/k", bucket=bucket, headers={CLASS: "ARCHIVE"}, body=data).expect(200)
        assert_archived(cosine, bucket)

    with start() as cosine:
        cosine.client().create_bucket(Bucket=bucket)
        archive(cosine)
        restore(cosine, bucket, body=request(2, "Expedited")).expect(202)
        assert get(cosine, bucket).expect(200).body == CONTENT
        archive(cosine)
        restore(cosine, bucket, body=request(2, "Bulk")).expect(202)
        assert_ongoing(cosine, bucket, "Bulk")
    with start() as cosine:
        assert_ongoing(cosine, bucket, "Bulk")
        # What replaces the object is not on its way.
        archive(cosine, b"another")
        restore(cosine, bucket, body=request(2)).expect(202)
        deadline = datetime.now(UTC) + timedelta(seconds=20)
        while (answer := get(cosine, bucket)).status == 403:
            assert datetime.now(UTC) < deadline
        assert answer.expect(200).body == b"another"
        assert "x-cos-restore-status" not in answer.headers
        assert_expiry(answer, 2)
        assert listed(cosine, bucket, "k", "RestoreStatus") == "DONE"
        restore(cosine, bucket, body=request(3)).expect(200)
        assert_expiry(get(cosine, bucket).expect(200), 3)


@pytest.fixture
def versioned(server: Server, bucket: str) -> str:
    """A bucket that keeps versions."""
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    server.send("PUT", bucket=bucket, query={"versioning": ""}, body=body).expect(200)
    return bucket


def test_c38_c39_one_version_is_restored(server: Server, versioned: str) -> None:
    """By its id: the others, older and newer, stay archived; what is copied is the one that is named."""
    versions = []
    for number in range(3):
        put = server.send("PUT", "/k", bucket=versioned, headers={CLASS: "ARCHIVE"}, body=b"%d" % number)
        versions.append(put.expect(200).headers["x-cos-version-id"])
    sources = [f"{source_of(versioned)}?versionId={version}" for version in versions]
    restore(server, versioned, query={"versionId": versions[1]}).expect(202)
    for number, version in enumerate(versions):
        if number == 1:
            answer = get(server, versioned, versionId=version).expect(200)
            assert (answer.body, answer.headers["x-cos-version-id"]) == (b"1", version)
            assert_expiry(answer, 7)
            copy(server, versioned, "copy", sources[number]).expect(200)
            assert get(server, versioned, "copy").expect(200).body == b"1"
        else:
            assert_archived(server, versioned, versionId=version)
            copy(server, versioned, "copy", sources[number]).expect(403, "InvalidObjectState")
    assert_archived(server, versioned)
    copy(server, versioned, "copy", source_of(versioned)).expect(403, "InvalidObjectState")
    restore(server, versioned).expect(202)
    assert get(server, versioned).expect(200).body == b"2"
    # The documented way back to an old version: a copy of it onto its own key.
    copy(server, versioned, "k", sources[1]).expect(200)
    assert get(server, versioned).expect(200).body == b"1"
    assert class_of(server, versioned, "k") == "STANDARD"
    restore(server, versioned, query={"versionId": "MTg0NDUxNTc0NDYyMjQ2MzUzMjQ"}).expect(404, "NoSuchVersion")
    server.send("DELETE", "/k", bucket=versioned).expect(204)
    restore(server, versioned).expect(404, "NoSuchKey")
    restore(server, versioned, query={"versionId": versions[0]}).expect(202)
    assert get(server, versioned, versionId=versions[0]).expect(200).body == b"0"


def test_classes_and_restores_are_kept(tmp_path: Path) -> None:
    """Through a stop and a start: what was restored is, with its day; the store is sound in between."""
    data = tmp_path / "data"
    buckets = {"": unique_bucket(), "MAZ": unique_bucket()}
    everything = {"": CLASSES, "MAZ": MAZ_CLASSES}

    def start() -> Cosine:
        return Cosine(*serve_arguments(data), cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY)

    with start() as cosine:
        client = cosine.client()
        for az, bucket in buckets.items():
            client.create_bucket(Bucket=bucket, BucketAZConfig=az)
            for storage_class in everything[az]:
                for key in [storage_class, f"{storage_class}/restored"]:
                    client.put_object(Bucket=bucket, Key=key, Body=DATA[:400_000], StorageClass=storage_class)
                if storage_class in ARCHIVES:
                    restore(cosine, bucket, f"{storage_class}/restored").expect(202)
                    source = source_of(bucket, f"{storage_class}/restored")
                    copy(cosine, bucket, f"{storage_class}/copy", source).expect(200)
    ran = run_cosine("fsck", "--data", str(data), "--deep", cwd=tmp_path)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "all is sound"), ran
    with start() as cosine:
        for az, bucket in buckets.items():
            az_type = cosine.send("HEAD", bucket=bucket).expect(200).headers.get(AZ_TYPE)
            assert az_type == (az or None)
            for storage_class in everything[az]:
                restored = f"{storage_class}/restored"
                assert class_of(cosine, bucket, storage_class) == storage_class
                assert get(cosine, bucket, restored).expect(200).body == DATA[:400_000]
                if storage_class in ARCHIVES:
                    assert_archived(cosine, bucket, storage_class)
                    assert_expiry(head(cosine, bucket, restored), 7)
                    assert get(cosine, bucket, f"{storage_class}/copy").expect(200).body == DATA[:400_000]
                    restore(cosine, bucket, restored, request(1)).expect(200)
                    assert_expiry(head(cosine, bucket, restored), 1)
