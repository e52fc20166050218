"""PUT Object - Copy. Ids such as C60, in the names of tests too, are rows of the checklist of its page."""

from __future__ import annotations

import base64
import hashlib
import itertools
import random
import re
from collections.abc import Callable
from email.utils import formatdate
from urllib.parse import quote

import pytest
from qcloud_cos import CosS3Client, CosServiceError

from harness import (
    APPID,
    OTHER_REGION,
    REGION,
    Answer,
    Server,
    body_of,
    bucket_host,
    crc64,
    list_keys,
    quoted_md5,
    read_answer,
    unique_bucket,
)

CONTENT = b"[Object Content]"
CJK_KEY = "example-腾讯云.jpg"
LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"


def source_of(bucket: str, key: str = "source", region: str = REGION) -> str:
    """The value every official client sends."""
    return f"{bucket_host(bucket, region)}/{quote(key.encode(), safe='/-_.~')}"


def copy(
    server: Server,
    bucket: str,
    source: str,
    headers: dict[str, str] | None = None,
    *,
    key: str = "copy",
    region: str = REGION,
) -> Answer:
    fields = {"x-cos-copy-source": source, **(headers or {})}
    return server.send("PUT", "/" + key, bucket=bucket, region=region, headers=fields)


def get(server: Server, bucket: str, key: str = "copy", region: str = REGION) -> Answer:
    return server.send("GET", "/" + key, bucket=bucket, region=region)


@pytest.fixture
def with_source(server: Server, bucket: str) -> str:
    """A bucket with one object ``source``."""
    server.send("PUT", "/source", bucket=bucket, body=CONTENT).expect(200)
    return bucket


# --- what a copy is --------------------------------------------------------------


@pytest.mark.parametrize("length", [True, False], ids=["length-0", "no-length"])
def test_c01_c02_c03_what_makes_a_put_a_copy(server: Server, make_bucket: Callable[..., str], length: bool) -> None:
    """The header, and nothing else; the bucket of Host gets it. In an upload it is Upload Part - Copy instead."""
    here, there = make_bucket(), make_bucket(OTHER_REGION)
    server.send("PUT", "/source", bucket=here, body=CONTENT).expect(200)
    server.send("PUT", "/copy", bucket=there, region=OTHER_REGION, body=b"there").expect(200)
    answer = server.send("PUT", "/copy", bucket=here).expect(200)
    assert (answer.body, answer.headers["ETag"]) == (b"", quoted_md5(b""))
    assert get(server, here).body == b""

    fields = {"x-cos-copy-source": source_of(here)}
    answer = server.send("PUT", "/copy", bucket=here, headers=fields, length=length).expect(200)
    assert (answer.xml.tag, answer.headers["ETag"]) == ("CopyObjectResult", None)
    assert get(server, here).body == CONTENT
    assert get(server, there, region=OTHER_REGION).body == b"there"
    options = {"bucket": there, "region": OTHER_REGION, "headers": fields, "length": length}
    server.send("PUT", "/copy", **options).expect(200)
    assert get(server, there, region=OTHER_REGION).body == CONTENT

    begun = server.send("POST", "/part", bucket=here, query={"uploads": ""}).expect(200)
    query = {"partNumber": "1", "uploadId": begun.xml.findtext("UploadId") or ""}
    answer = server.send("PUT", "/part", bucket=here, query=query, headers=fields, length=length).expect(200)
    assert answer.xml.tag == "CopyPartResult"
    get(server, here, "part").expect(404, "NoSuchKey")


@pytest.mark.parametrize("body", [b"x", b"x" * 100_000, [b"in ", b"chunks"]], ids=["short", "long", "chunked"])
def test_c04_a_body(server: Server, with_source: str, body: bytes | list[bytes]) -> None:
    """400 UnexpectedContent, and the destination is as it was; a chunked body of nothing is none."""
    server.send("PUT", "/copy", bucket=with_source, body=b"before").expect(200)
    fields = {"x-cos-copy-source": source_of(with_source)}
    for key in ["copy", "new"]:
        refused = server.send("PUT", f"/{key}", bucket=with_source, headers=fields, body=body)
        refused.expect(400, "UnexpectedContent")
    assert get(server, with_source).body == b"before"
    assert list_keys(server, with_source) == ["copy", "source"]
    server.send("PUT", "/copy", bucket=with_source, headers=fields, body=[]).expect(200)
    assert get(server, with_source).body == CONTENT


def test_c05_common_headers(server: Server, with_source: str) -> None:
    """Date is optional, and so are the others that every request may have."""
    md5 = base64.b64encode(hashlib.md5(b"").digest()).decode()
    for number, common in enumerate(
        [{}, {"Date": formatdate(usegmt=True)}, {"Content-MD5": md5}, {"Connection": "close", "User-Agent": "test"}]
    ):
        copy(server, with_source, source_of(with_source), common, key=f"{number}").expect(200)
        assert get(server, with_source, f"{number}").expect(200).body == CONTENT


@pytest.mark.parametrize("size", [0, 1, 16, 65536, 65537, (5 << 20) + 3])
def test_c44_c45_c157_c162_a_copy_has_the_bytes_of_its_source(client: CosS3Client, bucket: str, size: int) -> None:
    """C45, C157: any size; ETag and CRC64 are those of the content."""
    data = random.Random(size).randbytes(size)
    client.put_object(Bucket=bucket, Key="source", Body=data)
    source = {"Bucket": bucket, "Key": "source", "Region": REGION}
    result = client.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert result["ETag"] == quoted_md5(data)
    assert result["CRC64"] == str(crc64(data))
    got = client.get_object(Bucket=bucket, Key="copy")
    assert body_of(got) == data
    assert got["ETag"] == quoted_md5(data)
    assert got["x-cos-hash-crc64ecma"] == str(crc64(data))


@pytest.mark.parametrize("size", [20, 3 << 20], ids=["small", "large"])
def test_a_copy_outlives_its_source(client: CosS3Client, bucket: str, size: int) -> None:
    data = random.Random(1).randbytes(size)
    client.put_object(Bucket=bucket, Key="source", Body=data)
    client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "source", "Region": REGION})
    client.delete_object(Bucket=bucket, Key="source")
    assert not client.object_exists(bucket, "source")
    assert body_of(client.get_object(Bucket=bucket, Key="copy")) == data


@pytest.mark.parametrize("size", [20, 3 << 20], ids=["small", "large"])
def test_a_copy_does_not_follow_its_source(client: CosS3Client, bucket: str, size: int) -> None:
    """Overwriting either side leaves the other as it is."""
    data = random.Random(2).randbytes(size)
    source = {"Bucket": bucket, "Key": "source", "Region": REGION}
    client.put_object(Bucket=bucket, Key="source", Body=data)
    client.copy_object(Bucket=bucket, Key="one", CopySource=source)
    client.copy_object(Bucket=bucket, Key="two", CopySource=source)
    client.put_object(Bucket=bucket, Key="source", Body=b"new source")
    client.put_object(Bucket=bucket, Key="two", Body=b"new copy")
    assert body_of(client.get_object(Bucket=bucket, Key="one")) == data
    assert body_of(client.get_object(Bucket=bucket, Key="source")) == b"new source"
    assert body_of(client.get_object(Bucket=bucket, Key="two")) == b"new copy"


def test_a_chain_of_copies_outlives_every_link(client: CosS3Client, bucket: str) -> None:
    data = random.Random(3).randbytes(400_000)
    client.put_object(Bucket=bucket, Key="0", Body=data)
    for number in range(10):
        source = {"Bucket": bucket, "Key": str(number), "Region": REGION}
        client.copy_object(Bucket=bucket, Key=str(number + 1), CopySource=source)
        client.delete_object(Bucket=bucket, Key=str(number))
    assert body_of(client.get_object(Bucket=bucket, Key="10")) == data


def test_c16_a_copy_survives_the_source_bucket(client: CosS3Client, make_bucket: Callable[..., str]) -> None:
    """C16: the source may be in another bucket, and that bucket may go."""
    source, target = make_bucket(), make_bucket()
    data = random.Random(4).randbytes(200_000)
    client.put_object(Bucket=source, Key=CJK_KEY, Body=data)
    client.copy_object(Bucket=target, Key="copy", CopySource={"Bucket": source, "Key": CJK_KEY, "Region": REGION})
    client.delete_object(Bucket=source, Key=CJK_KEY)
    client.delete_bucket(Bucket=source)
    assert body_of(client.get_object(Bucket=target, Key="copy")) == data


def test_c16_from_another_region(server: Server, make_bucket: Callable[..., str]) -> None:
    """C16: source and destination in different regions, in both directions."""
    here, there = make_bucket(), make_bucket(OTHER_REGION)
    server.send("PUT", "/source", bucket=there, region=OTHER_REGION, body=CONTENT).expect(200)
    copy(server, here, source_of(there, region=OTHER_REGION)).expect(200)
    assert get(server, here).body == CONTENT
    copy(server, there, source_of(here, "copy"), region=OTHER_REGION).expect(200)
    assert get(server, there, region=OTHER_REGION).body == CONTENT


def test_c106_onto_an_existing_object(server: Server, with_source: str) -> None:
    """C106: without x-cos-forbid-overwrite a copy replaces what is there, metadata too."""
    server.send("PUT", "/copy", bucket=with_source, headers={"x-cos-meta-old": "1"}, body=b"old").expect(200)
    copy(server, with_source, source_of(with_source)).expect(200)
    got = get(server, with_source).expect(200)
    assert got.body == CONTENT
    assert "x-cos-meta-old" not in got.headers


def test_c42_sdk_copy(server: Server, make_bucket: Callable[..., str]) -> None:
    """The SDK's high-level ``copy``: a HEAD, then one copy, whatever the size.

    Through the proxy, since its HEAD goes to the source's real host even in IP mode.
    """
    client = server.proxy_client()
    source, target = make_bucket(), make_bucket()
    data = random.Random(5).randbytes(11 << 20)
    client.put_object(Bucket=source, Key="a b/c+d", Body=data)
    result = client.copy(Bucket=target, Key="copy", CopySource={"Bucket": source, "Key": "a b/c+d", "Region": REGION})
    assert result["ETag"] == quoted_md5(data)
    assert body_of(client.get_object(Bucket=target, Key="copy")) == data


def test_sdk_copy_of_a_missing_source(server: Server, bucket: str) -> None:
    client = server.proxy_client()
    with pytest.raises(CosServiceError) as caught:
        client.copy(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "missing", "Region": REGION})
    assert caught.value.get_status_code() == 404


# --- x-cos-copy-source: accepted forms -------------------------------------------

DECOY = b"the wrong object"

ACCEPTED = {
    "C10-official": "{b}.cos.{r}.myqcloud.com/{k}",
    "C18-tencentcos": "{b}.cos.{r}.tencentcos.cn/{k}",
    "C18-internal": "{b}.cos-internal.{r}.tencentcos.cn/{k}",
    "C18-cosv6": "{b}.cosv6.{r}.myqcloud.com/{k}",
    "C18-cos-cdc": "{b}.cos-cdc.{r}.myqcloud.com/{k}",
    "C18-no-cos-label": "{b}.{r}.myqcloud.com/{k}",
    "C19-other-tail": "{b}.{r}.mycloud.com/{k}",
    "C21-host-less": "/{b}/{k}",
    "C23-custom-host": "{b}.objects.example.test/{k}",
    "C23-custom-host-with-port": "{b}.objects.example.test:9000/{k}",
    "C23-localhost-with-port": "{b}.cos.{r}.localhost:9000/{k}",
}

ENCODINGS: dict[str, tuple[str, Callable[[str], str]]] = {
    "plain": ("source", lambda key: key),
    "C11-cjk": (CJK_KEY, lambda key: quote(key.encode(), safe="")),
    "C11-lower-case-hex": (CJK_KEY, lambda key: quote(key.encode(), safe="").lower()),
    "C13-slash": ("dir/a/source", lambda key: key),
    "C13-encoded-slash": ("dir/a/source", lambda key: key.replace("/", "%2F")),
    "C14-plus-is-literal": ("a+b", lambda key: key),
    "C14-encoded-plus": ("a+b", lambda key: "a%2Bb"),
    "space": ("a b", lambda key: "a%20b"),
    "C12-question-mark": ("what?versionId=1", lambda key: "what%3FversionId=1"),
    "decoded-once": ("%41", lambda key: "%2541"),
    "decoded-once-slash": ("a%2Fb", lambda key: "a%252Fb"),
    "dots": ("a/../b//./c", lambda key: key),
    "every-byte": ("a/b c", lambda key: "".join(f"%{byte:02X}" for byte in key.encode())),
}


@pytest.mark.parametrize("form", ACCEPTED.values(), ids=ACCEPTED.keys())
@pytest.mark.parametrize(("key", "encode"), ENCODINGS.values(), ids=ENCODINGS.keys())
def test_c10_c11_c12_c13_c14_c18_c19_c21_c23_forms_of_the_source(
    server: Server, bucket: str, form: str, key: str, encode: Callable[[str], str]
) -> None:
    """C10 to C23: every form names exactly one object; its look-alikes are not taken."""
    server.send("PUT", "/" + key, bucket=bucket, body=CONTENT).expect(200)
    for decoy in {"a b", "a/b", "A", "what", "b//./c", "b/c", "+"} - {key}:
        server.send("PUT", "/" + decoy, bucket=bucket, body=DECOY).expect(200)
    copy(server, bucket, form.format(b=bucket, r=REGION, k=encode(key))).expect(200)
    assert get(server, bucket).expect(200).body == CONTENT


@pytest.mark.parametrize("name", ["X-Cos-Copy-Source", "X-COS-COPY-SOURCE", "x-cos-copy-source"])
def test_c06_the_header_name_in_any_case(server: Server, with_source: str, name: str) -> None:
    """C06."""
    headers = {name: source_of(with_source)}
    server.send("PUT", "/copy", bucket=with_source, headers=headers).expect(200)
    assert get(server, with_source).body == CONTENT


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("http://{b}.cos.{r}.myqcloud.com/source", id="C20-scheme"),
        pytest.param("{b}/source", id="C21-s3-without-slash"),
        pytest.param("cos.{r}.myqcloud.com/{b}/source", id="C21-path-style"),
        pytest.param("/{b}.cos.{r}.myqcloud.com/source", id="C21-leading-slash"),
    ],
)
def test_c20_c21_undocumented_forms(server: Server, with_source: str, form: str) -> None:
    """C20, C21: understood rightly or refused as InvalidCopySource; nothing in between."""
    answer = copy(server, with_source, form.format(b=with_source, r=REGION))
    if answer.status == 200:
        assert get(server, with_source).body == CONTENT
    else:
        answer.expect(400, "InvalidCopySource")
        get(server, with_source).expect(404, "NoSuchKey")


# --- x-cos-copy-source: refused forms ---------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        pytest.param("", id="empty"),
        pytest.param("/", id="only-a-slash"),
        pytest.param("{b}.cos.{r}.myqcloud.com", id="no-slash"),
        pytest.param("{b}.cos.{r}.myqcloud.com/", id="empty-key"),
        pytest.param("{b}.cos.{r}.myqcloud.com/?versionId=1", id="empty-key-with-version"),
        pytest.param("/{b}", id="host-less-no-key"),
        pytest.param("/{b}/", id="host-less-empty-key"),
        pytest.param(".cos.{r}.myqcloud.com/source", id="empty-bucket"),
        pytest.param("//source", id="host-less-empty-bucket"),
        pytest.param("plain.cos.{r}.myqcloud.com/source", id="no-appid"),
        pytest.param("/plain/source", id="host-less-no-appid"),
        pytest.param("{b}.cos.{r}.myqcloud.com/%", id="lone-percent"),
        pytest.param("{b}.cos.{r}.myqcloud.com/sourc%6", id="cut-percent"),
        pytest.param("{b}.cos.{r}.myqcloud.com/sourc%zz", id="not-hex"),
        pytest.param("{b}.cos.{r}.myqcloud.com/%FF", id="not-utf8"),
    ],
)
def test_c22_malformed_sources(server: Server, with_source: str, form: str) -> None:
    """C22: 400 InvalidCopySource, and no object of that name appears."""
    answer = copy(server, with_source, form.format(b=with_source, r=REGION))
    answer.expect(400, "InvalidCopySource")
    assert list_keys(server, with_source) == ["source"]


def test_c24_a_source_key_that_is_too_long(server: Server, bucket: str) -> None:
    """C24: as for a request path."""
    copy(server, bucket, source_of(bucket, "k" * 851)).expect(400, "KeyTooLong", "InvalidURI")


@pytest.mark.parametrize("region", [OTHER_REGION, "eu-nowhere"])
@pytest.mark.parametrize("domain", ["myqcloud.com", "tencentcos.cn"])
def test_c19_the_wrong_region(server: Server, with_source: str, region: str, domain: str) -> None:
    """C19: under a known domain the bucket must live in the region that is named."""
    answer = copy(server, with_source, f"{with_source}.cos.{region}.{domain}/source")
    answer.expect(404, "NoSuchBucket")
    get(server, with_source).expect(404)


@pytest.mark.parametrize("host", ["cos.accelerate.myqcloud.com", "cos-internal.accelerate.tencentcos.cn"])
def test_c17_acceleration_hosts(server: Server, with_source: str, host: str) -> None:
    """C17: an acceleration domain is no copy source, even when the bucket exists."""
    answer = copy(server, with_source, f"{with_source}.{host}/source")
    answer.expect(400, "InvalidCopySource", "ActionAccelerateNotSupported")
    get(server, with_source).expect(404)


# --- sources that are not there ----------------------------------------------------


@pytest.mark.parametrize("existing", [False, True], ids=["new", "existing"])
@pytest.mark.parametrize(
    ("name", "codes"),
    [("key", ("NoSuchKey", "NoSuchCopySource")), ("bucket", ("NoSuchBucket", "NoSuchCopySource"))],
)
def test_c34_c35_a_missing_source(
    server: Server, bucket: str, name: str, codes: tuple[str, ...], existing: bool
) -> None:
    """C34, C35: 404, and the destination is untouched."""
    if existing:
        server.send("PUT", "/copy", bucket=bucket, headers={"x-cos-meta-a": "1"}, body=b"kept").expect(200)
    source = source_of(bucket, "missing") if name == "key" else source_of(unique_bucket())
    copy(server, bucket, source).expect(404, *codes)
    got = get(server, bucket)
    if existing:
        assert (got.status, got.body, got.headers["x-cos-meta-a"]) == (200, b"kept", "1")
    else:
        got.expect(404, "NoSuchKey")


def test_a_missing_destination_bucket(server: Server, with_source: str) -> None:
    copy(server, unique_bucket(), source_of(with_source)).expect(404, "NoSuchBucket")


def test_a_deleted_source(server: Server, with_source: str) -> None:
    server.send("DELETE", "/source", bucket=with_source).expect(204)
    copy(server, with_source, source_of(with_source)).expect(404, "NoSuchKey", "NoSuchCopySource")


def test_c130_a_source_of_another_account(server: Server, bucket: str) -> None:
    """C130: without the right to read it, a bucket's existence is not confirmed."""
    answer = copy(server, bucket, source_of("foreign-1250000001"))
    assert answer.status in (403, 404) and answer.code


@pytest.mark.parametrize("version", ["MTg0NDUxNTc0NDYyMjQ2MzUzMjQ", "nonsense"])
def test_c36_a_version_of_the_source(server: Server, with_source: str, version: str) -> None:
    """C36: a version that does not exist is never ignored."""
    answer = copy(server, with_source, f"{source_of(with_source)}?versionId={version}")
    answer.expect(404, "NoSuchVersion")
    get(server, with_source).expect(404, "NoSuchKey")


# --- directive and metadata --------------------------------------------------------

SOURCE_METADATA = {
    "Cache-Control": "max-age=1",
    "Content-Disposition": "inline",
    "Content-Encoding": "identity",
    "Content-Language": "zh-CN",
    "Content-Type": "image/jpeg",
    "Expires": "Thu, 01 Jan 2037 00:00:00 GMT",
    "x-cos-meta-kept": "from the source",
    "x-cos-meta-both": "source",
}
REQUEST_METADATA = {
    "Cache-Control": "no-store",
    "Content-Type": "text/plain",
    "x-cos-meta-both": "request",
    "x-cos-meta-new": "from the request",
}
EVERY_NAME = {*SOURCE_METADATA, *REQUEST_METADATA}


def metadata(answer: Answer) -> dict[str, str]:
    return {name: answer.headers[name] for name in EVERY_NAME if name in answer.headers}


@pytest.fixture
def with_metadata(server: Server, bucket: str) -> str:
    server.send("PUT", "/source", bucket=bucket, headers=SOURCE_METADATA, body=CONTENT).expect(200)
    return bucket


@pytest.mark.parametrize("directive", [None, "Copy", "COPY", "copy"])
@pytest.mark.parametrize("sent", [{}, REQUEST_METADATA, {"Cache-Control": ""}], ids=["none", "some", "node"])
def test_c60_c63_c64_metadata_is_copied(
    server: Server, with_metadata: str, directive: str | None, sent: dict[str, str]
) -> None:
    """C60, C63, C64: Copy is the default, takes everything and ignores what the request says."""
    headers = dict(sent) if directive is None else {**sent, "x-cos-metadata-directive": directive}
    copy(server, with_metadata, source_of(with_metadata), headers).expect(200)
    assert metadata(get(server, with_metadata).expect(200)) == SOURCE_METADATA


@pytest.mark.parametrize("directive", ["Replaced", "REPLACED", "replaced", "REPLACE", "replace", "Replace"])
def test_c60_c61_c65_metadata_is_replaced(server: Server, with_metadata: str, directive: str) -> None:
    """C60, C61, C65: only the request counts; nothing of the source survives."""
    headers = {**REQUEST_METADATA, "x-cos-metadata-directive": directive}
    copy(server, with_metadata, source_of(with_metadata), headers).expect(200)
    got = get(server, with_metadata).expect(200)
    assert metadata(got) == REQUEST_METADATA
    assert got.body == CONTENT
    source = server.send("HEAD", "/source", bucket=with_metadata).expect(200)
    assert metadata(source) == SOURCE_METADATA


def test_c65_c66_metadata_is_replaced_by_nothing(server: Server, with_metadata: str) -> None:
    """C65, C66: without a Content-Type the default applies."""
    headers = {"x-cos-metadata-directive": "Replaced"}
    copy(server, with_metadata, source_of(with_metadata), headers).expect(200)
    assert metadata(get(server, with_metadata).expect(200)) == {"Content-Type": "application/octet-stream"}


@pytest.mark.parametrize("directive", ["Bogus", "Copy,Replaced", "true", "Replacement"])
def test_c62_an_unknown_directive(server: Server, with_source: str, directive: str) -> None:
    """C62."""
    headers = {"x-cos-metadata-directive": directive}
    copy(server, with_source, source_of(with_source), headers).expect(400, "InvalidArgument")
    get(server, with_source).expect(404, "NoSuchKey")


def test_c69_too_much_metadata(server: Server, with_source: str) -> None:
    """C69."""
    headers = {f"x-cos-meta-part{number}": "v" * 600 for number in range(4)}
    headers["x-cos-metadata-directive"] = "Replaced"
    copy(server, with_source, source_of(with_source), headers).expect(400, "KeyTooLong", "MetadataTooLarge")
    get(server, with_source).expect(404, "NoSuchKey")


def test_c69_an_underscore_in_a_metadata_name(server: Server, with_source: str) -> None:
    """C69."""
    headers = {"x-cos-metadata-directive": "Replaced", "x-cos-meta-a_b": "v"}
    copy(server, with_source, source_of(with_source), headers).expect(400, "InvalidArgument")
    get(server, with_source).expect(404, "NoSuchKey")


@pytest.mark.parametrize("directive", ["Copy", "Replaced"])
def test_c70_c76_the_acl_is_not_copied(server: Server, bucket: str, directive: str) -> None:
    """C70, C76: a copy of a public object in a private bucket is private."""
    server.send("PUT", "/source", bucket=bucket, headers={"x-cos-acl": "public-read"}, body=CONTENT).expect(200)
    copy(server, bucket, source_of(bucket), {"x-cos-metadata-directive": directive}).expect(200)
    assert server.send("GET", "/source", bucket=bucket, auth=None).status == 200
    server.send("GET", "/copy", bucket=bucket, auth=None).expect(403, "AccessDenied")


def test_c115_the_acl_of_the_request(server: Server, with_source: str) -> None:
    """C115: the request may make the copy public."""
    copy(server, with_source, source_of(with_source), {"x-cos-acl": "public-read"}).expect(200)
    assert server.send("GET", "/copy", bucket=with_source, auth=None).expect(200).body == CONTENT
    server.send("GET", "/source", bucket=with_source, auth=None).expect(403, "AccessDenied")


def test_c115_an_acl_that_is_not_for_objects(server: Server, with_source: str) -> None:
    """C115: public-read-write is a bucket's."""
    headers = {"x-cos-acl": "public-read-write"}
    copy(server, with_source, source_of(with_source), headers).expect(400, "InvalidArgument")
    get(server, with_source).expect(404, "NoSuchKey")


@pytest.mark.parametrize("storage_class", ["STANDARD", "Standard", "standard"])
def test_c75_c86_the_default_class_by_name(server: Server, with_source: str, storage_class: str) -> None:
    """C75, C86: the class may be named in any case; STANDARD is not echoed."""
    headers = {"x-cos-storage-class": storage_class}
    copy(server, with_source, source_of(with_source), headers).expect(200)
    assert "x-cos-storage-class" not in get(server, with_source).expect(200).headers


WARM = ["STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING"]


def class_of(server: Server, bucket: str, key: str) -> str:
    """As GET, HEAD and the list say: they agree, and STANDARD is silent but in the list."""
    headers = {
        server.send(method, "/" + key, bucket=bucket).expect(200).headers.get("x-cos-storage-class")
        for method in ("GET", "HEAD")
    }
    listed = server.send("GET", bucket=bucket, query={"prefix": key}).expect(200).body
    [named] = re.findall(rb"<StorageClass>(.*?)</StorageClass>", listed)
    assert headers == ({None} if named == b"STANDARD" else {named.decode()})
    return named.decode()


@pytest.mark.parametrize("target", [None, *WARM])
@pytest.mark.parametrize("source", WARM)
def test_c75_c85_c91_classes(server: Server, client: CosS3Client, bucket: str, source: str, target: str | None) -> None:
    """Between any two of them; the source's class is never carried over."""
    client.put_object(Bucket=bucket, Key="source", Body=CONTENT, StorageClass=source)
    assert class_of(server, bucket, "source") == source
    headers = {} if target is None else {"x-cos-storage-class": target}
    copy(server, bucket, source_of(bucket), headers).expect(200)
    assert class_of(server, bucket, "copy") == (target or "STANDARD")
    assert get(server, bucket).body == CONTENT


@pytest.mark.parametrize("spelling", ["Standard_IA", "standard_ia", "Intelligent_Tiering"])
def test_c86_classes_as_java_spells_them(server: Server, with_source: str, spelling: str) -> None:
    copy(server, with_source, source_of(with_source), {"x-cos-storage-class": spelling}).expect(200)
    assert class_of(server, with_source, "copy") == spelling.upper()


def test_c92_an_object_into_another_class(server: Server, with_source: str) -> None:
    """Onto itself with Replaced; the tier of what tiers itself is always the frequent one."""
    for target in ["STANDARD_IA", "INTELLIGENT_TIERING", "INTELLIGENT_TIERING"]:
        headers = {"x-cos-storage-class": target, "x-cos-metadata-directive": "Replaced"}
        copy(server, with_source, source_of(with_source), headers, key="source").expect(200)
        assert class_of(server, with_source, "source") == target
        tier = get(server, with_source, "source").headers.get("x-cos-storage-tier")
        assert tier == ("FREQUENT" if target == "INTELLIGENT_TIERING" else None)
    copy(server, with_source, source_of(with_source), {"x-cos-storage-class": "STANDARD"}, key="source").expect(
        400, "InvalidRequest"
    )


# --- conditions ----------------------------------------------------------------------

MATCH = "x-cos-copy-source-If-Match"
NONE_MATCH = "x-cos-copy-source-If-None-Match"
MODIFIED = "x-cos-copy-source-If-Modified-Since"
UNMODIFIED = "x-cos-copy-source-If-Unmodified-Since"
ETAG = quoted_md5(CONTENT)
OTHER_ETAG = quoted_md5(b"something else")
SAME = "the source's own Last-Modified"


@pytest.mark.parametrize("lower_case", [False, True], ids=["as-documented", "lower-case"])
@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({MATCH: ETAG}, 200),
        ({MATCH: ETAG.strip('"')}, 200),
        ({MATCH: f"{OTHER_ETAG}, {ETAG}"}, 200),
        ({MATCH: OTHER_ETAG}, 412),
        ({NONE_MATCH: OTHER_ETAG}, 200),
        ({NONE_MATCH: ETAG}, 412),
        ({NONE_MATCH: ETAG.strip('"')}, 412),
        ({NONE_MATCH: f"{OTHER_ETAG}, {ETAG}"}, 412),
        ({MODIFIED: LONG_AGO}, 200),
        ({MODIFIED: SAME}, 412),
        ({UNMODIFIED: SAME}, 200),
        ({UNMODIFIED: LONG_AGO}, 412),
        ({MODIFIED: LONG_AGO, NONE_MATCH: OTHER_ETAG}, 200),
        ({MODIFIED: LONG_AGO, NONE_MATCH: ETAG}, 412),
        ({MODIFIED: SAME, NONE_MATCH: OTHER_ETAG}, 412),
        ({MODIFIED: SAME, NONE_MATCH: ETAG}, 412),
        ({UNMODIFIED: SAME, MATCH: ETAG}, 200),
        ({UNMODIFIED: SAME, MATCH: OTHER_ETAG}, 412),
        ({UNMODIFIED: LONG_AGO, MATCH: ETAG}, 412),
        ({UNMODIFIED: LONG_AGO, MATCH: OTHER_ETAG}, 412),
        ({MODIFIED: "yesterday"}, 400),
        ({UNMODIFIED: "2020-01-01T00:00:00Z"}, 400),
    ],
    ids=lambda case: (
        " + ".join(f"{k[18:]}: {v[:36]}" for k, v in case.items()) if isinstance(case, dict) else str(case)
    ),
)
def test_c50_c51_c52_c53_c54_c55_c57_c58_c59_conditions(
    server: Server, with_source: str, conditions: dict[str, str], status: int, lower_case: bool
) -> None:
    """C50 to C59: each condition must hold, a failure is 412 and never 304, and writes nothing."""
    modified = server.send("HEAD", "/source", bucket=with_source).headers["Last-Modified"]
    headers = {
        (name.lower() if lower_case else name): modified if value == SAME else value
        for name, value in conditions.items()
    }
    server.send("PUT", "/copy", bucket=with_source, body=b"before").expect(200)
    answer = copy(server, with_source, source_of(with_source), headers)
    match status:
        case 200:
            answer.expect(200)
        case 412:
            answer.expect(412, "PreconditionFailed")
        case _:
            answer.expect(400, "InvalidArgument")
    assert get(server, with_source).body == (CONTENT if status == 200 else b"before")


HOLDS = {MATCH: ETAG, NONE_MATCH: OTHER_ETAG, MODIFIED: LONG_AGO, UNMODIFIED: SAME}
FAILS = {MATCH: OTHER_ETAG, NONE_MATCH: ETAG, MODIFIED: SAME, UNMODIFIED: LONG_AGO}


@pytest.mark.parametrize("names", [n for count in (2, 3, 4) for n in itertools.combinations(HOLDS, count)])
def test_c55_c56_any_of_them_together(server: Server, with_source: str, names: tuple[str, ...]) -> None:
    """Whichever are sent, a copy proceeds if all of them hold, and not if one fails."""
    modified = server.send("HEAD", "/source", bucket=with_source).headers["Last-Modified"]
    for values in itertools.product([HOLDS, FAILS], repeat=len(names)):
        headers = {name: modified if values[at][name] == SAME else values[at][name] for at, name in enumerate(names)}
        server.send("PUT", "/copy", bucket=with_source, body=b"before").expect(200)
        answer = copy(server, with_source, source_of(with_source), headers)
        if FAILS in values:
            answer.expect(412, "PreconditionFailed")
        else:
            answer.expect(200)
        assert get(server, with_source).body == (b"before" if FAILS in values else CONTENT), headers


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        pytest.param("*", True, id="any"),
        pytest.param(f"{OTHER_ETAG},{ETAG}", True, id="list"),
        pytest.param(f"{OTHER_ETAG} , {ETAG}", True, id="list-with-blanks"),
        pytest.param(f"{OTHER_ETAG}, {ETAG}, {OTHER_ETAG}", True, id="in-the-middle"),
        pytest.param(", ".join([OTHER_ETAG, ETAG]).replace('"', ""), True, id="without-quotes"),
        pytest.param(f"{OTHER_ETAG}, {quoted_md5(b'')}", False, id="none-of-them"),
        pytest.param(ETAG[:-2] + '"', False, id="cut-off"),
    ],
)
def test_c58_several_entity_tags(server: Server, with_source: str, value: str, matches: bool) -> None:
    """``*`` is any, and one of a list is enough; for If-None-Match one of it is too many."""
    for name, proceeds in [(MATCH, matches), (NONE_MATCH, not matches)]:
        server.send("PUT", "/copy", bucket=with_source, body=b"before").expect(200)
        answer = copy(server, with_source, source_of(with_source), {name: value})
        if proceeds:
            answer.expect(200)
        else:
            answer.expect(412, "PreconditionFailed")
        assert get(server, with_source).body == (CONTENT if proceeds else b"before")


def test_conditions_through_the_sdk(client: CosS3Client, with_source: str) -> None:
    source = {"Bucket": with_source, "Key": "source", "Region": REGION}
    client.copy_object(Bucket=with_source, Key="copy", CopySource=source, CopySourceIfMatch=ETAG)
    with pytest.raises(CosServiceError) as caught:
        client.copy_object(Bucket=with_source, Key="copy", CopySource=source, CopySourceIfNoneMatch=ETAG)
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (412, "PreconditionFailed")


# --- an object onto itself -----------------------------------------------------------


@pytest.mark.parametrize("directive", [None, "Copy", "copy"])
@pytest.mark.parametrize("form", ["{b}.cos.{r}.myqcloud.com/source", "/{b}/source", "{b}.any.host/%73ource"])
def test_c67_self_copy_without_a_change(server: Server, with_metadata: str, directive: str | None, form: str) -> None:
    """C67: 400 InvalidRequest however the source is spelt, and the object stays."""
    headers = {} if directive is None else {"x-cos-metadata-directive": directive}
    answer = copy(server, with_metadata, form.format(b=with_metadata, r=REGION), headers, key="source")
    answer.expect(400, "InvalidRequest")
    got = get(server, with_metadata, "source").expect(200)
    assert got.body == CONTENT
    assert metadata(got) == SOURCE_METADATA


@pytest.mark.parametrize("size", [0, 16, 200_000, 3 << 20])
def test_c67_c92_self_copy_edits_metadata(client: CosS3Client, bucket: str, size: int) -> None:
    """C67, C92: with Replaced, again and again; the bytes never move and never go."""
    data = random.Random(size).randbytes(size)
    client.put_object(Bucket=bucket, Key="k", Body=data, Metadata={"x-cos-meta-old": "1"})
    source = {"Bucket": bucket, "Key": "k", "Region": REGION}
    for number in range(5):
        result = client.copy_object(
            Bucket=bucket,
            Key="k",
            CopySource=source,
            CopyStatus="Replaced",
            ContentType=f"image/x-{number}",
            Metadata={"x-cos-meta-number": str(number)},
        )
        assert result["ETag"] == quoted_md5(data)
        got = client.get_object(Bucket=bucket, Key="k")
        assert body_of(got) == data
        assert got["Content-Type"] == f"image/x-{number}"
        assert got["x-cos-meta-number"] == str(number)
        assert "x-cos-meta-old" not in got
    assert [entry["Key"] for entry in client.list_objects(Bucket=bucket)["Contents"]] == ["k"]


def test_self_copy_keeps_the_other_copies(client: CosS3Client, bucket: str) -> None:
    """Editing and then deleting one holder of the content leaves the other whole."""
    data = random.Random(6).randbytes(300_000)
    client.put_object(Bucket=bucket, Key="k", Body=data)
    source = {"Bucket": bucket, "Key": "k", "Region": REGION}
    client.copy_object(Bucket=bucket, Key="other", CopySource=source)
    client.copy_object(Bucket=bucket, Key="k", CopySource=source, CopyStatus="Replaced", ContentType="a/b")
    client.delete_object(Bucket=bucket, Key="k")
    assert body_of(client.get_object(Bucket=bucket, Key="other")) == data


# --- the answer -----------------------------------------------------------------------


def test_c150_c151_c155_c156_c157_c158_c159_c161_the_result_document(server: Server, with_source: str) -> None:
    """C150, C151, C155 to C161: chunked, and byte for byte the layout of the page's samples."""
    answer = copy(server, with_source, source_of(with_source)).expect(200)
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert "Content-Length" not in answer.headers
    match = re.search(rb"<LastModified>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)</LastModified>", answer.body)
    assert match, answer.body
    assert answer.body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\r\n'
        b"<CopyObjectResult>\r\n"
        b'\t<ETag>"ee8de918d05640145b18f70f4c3aa602"</ETag>\r\n'
        b"\t<CRC64>16749565679157681890</CRC64>\r\n"
        b"\t<LastModified>" + match.group(1) + b"</LastModified>\r\n"
        b"</CopyObjectResult>"
    )
    assert len(answer.body) == 219


def test_c31_c143_c160_the_headers_of_the_answer(server: Server, with_source: str) -> None:
    """C160, C31, C143: no ETag header, no version output in a bucket never versioned."""
    answer = copy(server, with_source, source_of(with_source)).expect(200)
    assert answer.headers["Server"] == "tencent-cos"
    assert answer.headers["x-cos-request-id"]
    for name in ("ETag", "x-cos-version-id", "x-cos-copy-source-version-id", "x-cos-server-side-encryption"):
        assert name not in answer.headers


def test_c79_last_modified_is_the_time_of_the_copy(client: CosS3Client, with_source: str) -> None:
    """C79: the document, HEAD and the list agree to the second."""
    source = {"Bucket": with_source, "Key": "source", "Region": REGION}
    result = client.copy_object(Bucket=with_source, Key="copy", CopySource=source)
    entry = client.list_objects(Bucket=with_source, Prefix="copy")["Contents"][0]
    assert entry["LastModified"] == result["LastModified"].replace("Z", ".000Z")


# --- x-cos-forbid-overwrite --------------------------------------------------------------


def test_c105_c106_c108_forbid_overwrite(server: Server, with_source: str) -> None:
    """C105, C106, C108."""
    guarded = {"x-cos-forbid-overwrite": "true"}
    copy(server, with_source, source_of(with_source), guarded).expect(200)
    server.send("PUT", "/copy", bucket=with_source, body=b"kept").expect(200)
    copy(server, with_source, source_of(with_source), guarded).expect(409, "FileAlreadyExists")
    assert get(server, with_source).body == b"kept"
    copy(server, with_source, source_of(with_source), {"x-cos-forbid-overwrite": "false"}).expect(200)
    assert get(server, with_source).body == CONTENT


def test_c109_forbid_overwrite_on_a_self_copy(server: Server, with_source: str) -> None:
    """C109: the key exists, so it always fails."""
    headers = {"x-cos-forbid-overwrite": "true", "x-cos-metadata-directive": "Replaced"}
    copy(server, with_source, source_of(with_source), headers, key="source").expect(409, "FileAlreadyExists")
    assert get(server, with_source, "source").body == CONTENT


# --- who may copy ------------------------------------------------------------------------


def test_c05_c130_c133_an_anonymous_copy(server: Server, make_bucket: Callable[..., str]) -> None:
    """C130, C133: a writable destination is not enough; the source must be readable too."""
    private, writable = make_bucket(), make_bucket(ACL="public-read-write")
    server.send("PUT", "/source", bucket=private, body=CONTENT).expect(200)
    server.send("PUT", "/open", bucket=private, headers={"x-cos-acl": "public-read"}, body=CONTENT).expect(200)

    def anonymous(bucket: str, key: str) -> Answer:
        headers = {"x-cos-copy-source": source_of(private, key)}
        return server.send("PUT", "/copy", bucket=bucket, headers=headers, auth=None)

    anonymous(writable, "source").expect(403, "AccessDenied")
    get(server, writable).expect(404, "NoSuchKey")
    anonymous(private, "open").expect(403, "AccessDenied")
    get(server, private).expect(404, "NoSuchKey")
    anonymous(writable, "open").expect(200)
    assert get(server, writable).body == CONTENT


def test_c134_the_copy_source_is_signed(server: Server, with_source: str) -> None:
    """C134: changing the source after signing breaks the signature."""
    server.send("PUT", "/secret", bucket=with_source, body=b"secret").expect(200)
    host = bucket_host(with_source)
    signed = server.head_bytes(
        "PUT", "/copy", host=host, headers={"Content-Length": "0", "x-cos-copy-source": source_of(with_source)}
    )
    with server.connect() as sock:
        sock.sendall(signed.replace(b"com/source", b"com/secret"))
        read_answer(sock, "PUT").expect(403, "SignatureDoesNotMatch")
    get(server, with_source).expect(404, "NoSuchKey")


def test_the_appid_is_part_of_the_name(server: Server, with_source: str) -> None:
    """The same custom name under another APPID is another bucket."""
    other = with_source.replace(APPID, "1250000001")
    assert copy(server, with_source, source_of(other)).status in (403, 404)
    get(server, with_source).expect(404, "NoSuchKey")
