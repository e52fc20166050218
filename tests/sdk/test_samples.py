"""The samples of the PUT Object - Copy page, by number: the request as printed, with the same headers signed.

Only the names of the buckets, their first region and the date are others: a request of 2020 is too old to be
answered. Ids such as C151 are statements of the checklist of that page.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from email.utils import formatdate, parsedate_to_datetime

import pytest

from harness import (
    OTHER_REGION,
    REGION,
    Answer,
    Server,
    authorization,
    bucket_host,
    quoted_md5,
)

CONTENT = b"[Object Content]"
ETAG = "ee8de918d05640145b18f70f4c3aa602"
CRC64 = "16749565679157681890"
SOURCE_KEY = "example-腾讯云.jpg"
SOURCE_PATH = "example-%E8%85%BE%E8%AE%AF%E4%BA%91.jpg"
COPY = "exampleobject"
METADATA = {
    "Cache-Control": "no-cache",
    "Content-Disposition": "inline",
    "Content-Encoding": "identity",
    "Content-Type": "image/png",
    "Expires": "Thu, 01 Jan 2037 00:00:00 GMT",
    "x-cos-meta-via": "homepage",
}


def put(server: Server, bucket: str, key: str, region: str = REGION) -> None:
    """An object of the samples' content, with every metadata header there is."""
    answer = server.send("PUT", "/" + key, bucket=bucket, region=region, headers=METADATA, body=CONTENT).expect(200)
    assert (answer.headers["ETag"], answer.headers["x-cos-hash-crc64ecma"]) == (f'"{ETAG}"', CRC64)


@pytest.fixture
def source(server: Server, make_bucket: Callable[..., str]) -> tuple[str, str]:
    """``sourcebucket`` in ap-shanghai, and the value of x-cos-copy-source that names its object."""
    bucket = make_bucket(OTHER_REGION)
    put(server, bucket, SOURCE_KEY, OTHER_REGION)
    return bucket, f"{bucket_host(bucket, 'ap-shanghai')}/{SOURCE_PATH}"


def ask(
    server: Server,
    bucket: str,
    copy_source: str,
    between: dict[str, str],
    signed: str,
    date: str | None = None,
    encryption: dict[str, str] | None = None,
    key: dict[str, str] | None = None,
    plain: bool = True,
) -> Answer:
    """The request of a sample; ``signed`` is its q-header-list. Asserts all that the four answers share."""
    host = bucket_host(bucket)
    headers = {
        "Date": date or formatdate(usegmt=True),
        **between,
        "x-cos-copy-source": copy_source,
        "Content-Length": "0",
        "Connection": "close",
    }
    values = {name.lower(): value for name, value in {"Host": host, **headers}.items()}
    auth = authorization("PUT", f"/{COPY}", headers={name: values[name] for name in signed.split(";")})
    assert f"&q-header-list={signed}&q-url-param-list=&" in auth
    answer = server.send("PUT", f"/{COPY}", bucket=bucket, headers=headers, auth=auth).expect(200)

    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["Connection"] == "close"
    assert answer.headers["Server"] == "tencent-cos"
    assert answer.headers["x-cos-request-id"]
    assert answer.headers["Transfer-Encoding"] == "chunked", "C151: the samples are printed without"
    # No ETag, no class, no version, and the encryption that was asked for: nothing but what the sample shows.
    shown = {"content-type", "transfer-encoding", "connection", "date", "server", "x-cos-request-id"}
    sse = {name: value for name, value in answer.headers.items() if "encryption" in name.lower()}
    assert sse_of(sse) == (encryption or {})
    assert {name.lower() for name in answer.headers} - {name.lower() for name in sse} == shown
    moment = re.search(rb"<LastModified>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)</LastModified>", answer.body)
    assert moment, answer.body
    etag = ETAG if plain else (answer.xml.findtext("ETag") or "").strip('"')
    assert re.fullmatch("[0-9a-f]{32}", etag) and (etag == ETAG) == plain
    assert answer.body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\r\n'
        b"<CopyObjectResult>\r\n"
        b'\t<ETag>"' + etag.encode() + b'"</ETag>\r\n'
        b"\t<CRC64>16749565679157681890</CRC64>\r\n"
        b"\t<LastModified>" + moment.group(1) + b"</LastModified>\r\n"
        b"</CopyObjectResult>"
    )
    assert len(answer.body) == 219, "the Content-Length that the samples print"
    seen = server.send("HEAD", f"/{COPY}", bucket=bucket, headers=key).expect(200)
    assert seen.headers["ETag"] == f'"{etag}"'
    assert {name.lower(): value for name, value in seen.headers.items() if "encryption" in name.lower()} == sse_of(sse)
    modified = parsedate_to_datetime(seen.headers["Last-Modified"])
    assert modified.strftime("%Y-%m-%dT%H:%M:%SZ").encode() == moment.group(1)
    return answer


def sse_of(headers: dict[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def head(server: Server, bucket: str, key: str, region: str = REGION) -> Answer:
    answer = server.send("HEAD", "/" + key, bucket=bucket, region=region).expect(200)
    assert answer.headers["ETag"] == quoted_md5(CONTENT) == f'"{ETAG}"'
    assert answer.headers["x-cos-hash-crc64ecma"] == CRC64
    assert answer.headers["Content-Length"] == "16"
    return answer


def metadata(answer: Answer) -> dict[str, str]:
    """The metadata headers of an answer, and the class unless it is STANDARD."""
    names = [*METADATA, "x-cos-storage-class"]
    return {name: answer.headers[name] for name in names if name in answer.headers}


@pytest.mark.parametrize("offset", [-53, 53])
def test_c170_a_client_whose_clock_is_wrong(server: Server, bucket: str, source: tuple[str, str], offset: int) -> None:
    """As in the samples, whose times differ by 47 to 53 seconds: LastModified is by the server's clock."""
    date = formatdate(time.time() + offset, usegmt=True)
    signed = "content-length;date;host;x-cos-copy-source"
    answer = ask(server, bucket, source[1], {}, signed, date)
    modified = datetime.fromisoformat(answer.xml.findtext("LastModified") or "")
    assert abs(parsedate_to_datetime(answer.headers["Date"]) - modified) <= timedelta(seconds=5)
    assert abs(parsedate_to_datetime(date) - modified) > timedelta(seconds=30)


def test_c171_sample_1(server: Server, bucket: str, source: tuple[str, str]) -> None:
    """A simple copy: the bytes and all the metadata of the source."""
    origin, copy_source = source
    ask(server, bucket, copy_source, {}, "content-length;date;host;x-cos-copy-source")
    assert metadata(head(server, bucket, COPY)) == METADATA
    assert server.send("GET", f"/{COPY}", bucket=bucket).expect(200).body == CONTENT
    assert metadata(head(server, origin, SOURCE_KEY, OTHER_REGION)) == METADATA


def test_c171_sample_2(server: Server, bucket: str, source: tuple[str, str]) -> None:
    """Replacing metadata: that of the request and nothing else; the source keeps its own."""
    origin, copy_source = source
    directive = {"x-cos-metadata-directive": "Replaced"}
    replaced = {
        "Content-Type": "application/octet-stream",
        "Content-Disposition": "attachment; filename=example.jpg",
    }
    signed = "content-disposition;content-length;content-type;date;host;x-cos-copy-source;x-cos-metadata-directive"
    ask(server, bucket, copy_source, directive | replaced, signed)
    assert metadata(head(server, bucket, COPY)) == replaced
    assert server.send("GET", f"/{COPY}", bucket=bucket).expect(200).body == CONTENT
    assert metadata(head(server, origin, SOURCE_KEY, OTHER_REGION)) == METADATA


def test_c171_sample_3(server: Server, bucket: str) -> None:
    """Modifying the metadata of an object: a copy onto itself."""
    put(server, bucket, COPY)
    directive = {"x-cos-metadata-directive": "Replaced"}
    replaced = {"Cache-Control": "max-age=86400", "Content-Type": "image/jpeg"}
    signed = "cache-control;content-length;content-type;date;host;x-cos-copy-source;x-cos-metadata-directive"
    ask(server, bucket, f"{bucket_host(bucket)}/{COPY}", directive | replaced, signed)
    assert metadata(head(server, bucket, COPY)) == replaced
    assert server.send("GET", f"/{COPY}", bucket=bucket).expect(200).body == CONTENT


def test_c171_sample_4(server: Server, bucket: str) -> None:
    """Modifying the class of an object, STANDARD to ARCHIVE, and to STANDARD_IA as the text says."""
    put(server, bucket, COPY)
    copy_source = f"{bucket_host(bucket)}/{COPY}"
    signed = "content-length;date;host;x-cos-copy-source;x-cos-metadata-directive;x-cos-storage-class"
    for storage_class in ["STANDARD_IA", "STANDARD", "ARCHIVE"]:
        changed = {"x-cos-metadata-directive": "Replaced", "x-cos-storage-class": storage_class}
        ask(server, bucket, copy_source, changed, signed)
        expected = {"Content-Type": "application/octet-stream", "x-cos-storage-class": storage_class}
        if storage_class == "STANDARD":
            del expected["x-cos-storage-class"]
        assert metadata(head(server, bucket, COPY)) == expected
    server.send("GET", f"/{COPY}", bucket=bucket).expect(403, "InvalidObjectState")
    # Out of the archive only by way of POST Object restore, as the text says too.
    changed = {"x-cos-metadata-directive": "Replaced", "x-cos-storage-class": "STANDARD"}
    back = {**changed, "x-cos-copy-source": copy_source}
    server.send("PUT", f"/{COPY}", bucket=bucket, headers=back).expect(403, "InvalidObjectState")
    body = b"<RestoreRequest><Days>1</Days></RestoreRequest>"
    server.send("POST", f"/{COPY}", bucket=bucket, query={"restore": ""}, body=body).expect(202)
    ask(server, bucket, copy_source, changed, signed)
    assert server.send("GET", f"/{COPY}", bucket=bucket).expect(200).body == CONTENT


SSE = "x-cos-server-side-encryption"
KEY_ID = f"{SSE}-cos-kms-key-id"
CUSTOMER = f"{SSE}-customer-"
SOURCE_CUSTOMER = "x-cos-copy-source-server-side-encryption-customer-"
ONE = {"algorithm": "AES256", "key": "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY=", "key-MD5": "U5L61r7jcwdNvT7frmUG8g=="}
TWO = {"algorithm": "AES256", "key": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "key-MD5": "hRasmdxgYDKV3nvbahU1MA=="}


def triple(prefix: str, values: dict[str, str]) -> dict[str, str]:
    return {prefix + name: value for name, value in values.items()}


def signed_of(*more: str) -> str:
    return ";".join(sorted(["content-length", "date", "host", "x-cos-copy-source", *(name.lower() for name in more)]))


def get(server: Server, bucket: str, headers: dict[str, str] | None = None) -> bytes:
    return server.send("GET", f"/{COPY}", bucket=bucket, headers=headers).expect(200).body


def test_c171_sample_5(server: Server, bucket: str, source: tuple[str, str]) -> None:
    """An unencrypted object to one that is encrypted with SSE-COS."""
    sse = {SSE: "AES256"}
    ask(server, bucket, source[1], sse, signed_of(SSE), encryption=sse)
    assert get(server, bucket) == CONTENT


def test_c171_sample_6(server: Server, bucket: str, source: tuple[str, str]) -> None:
    """An unencrypted object to one that is encrypted with SSE-KMS: its entity tag is another each time, and the
    context is not told."""
    key_id = server.admin("kms", "key", "add")["key_id"]
    context = "eyJhdXRob3IiOiJmeXNudGlhbiIsImNvbXBhbnkiOiJUZW5jZW50In0="
    sse = {SSE: "cos/kms", KEY_ID: key_id}
    between = {**sse, f"{SSE}-context": context}
    etags = {
        ask(server, bucket, source[1], between, signed_of(*between), encryption=sse, plain=False).xml.findtext("ETag")
        for _ in range(2)
    }
    assert len(etags) == 2
    assert get(server, bucket) == CONTENT


def test_c171_sample_7(server: Server, bucket: str, make_bucket: Callable[..., str]) -> None:
    """An object that is encrypted with SSE-C, with another key: the same entity tag for the same bytes and key."""
    origin = make_bucket(OTHER_REGION)
    one = triple(CUSTOMER, ONE)
    server.send("PUT", "/example.jpg", bucket=origin, region=OTHER_REGION, headers=one, body=CONTENT).expect(200)
    copy_source = f"{bucket_host(origin, 'ap-shanghai')}/example.jpg"
    between = triple(SOURCE_CUSTOMER, ONE) | triple(CUSTOMER, TWO)
    shown = {f"{CUSTOMER}algorithm": "AES256", f"{CUSTOMER}key-md5": TWO["key-MD5"]}
    two = triple(CUSTOMER, TWO)
    etags = {
        ask(server, bucket, copy_source, between, signed_of(*between), encryption=shown, key=two, plain=False).xml.findtext("ETag")
        for _ in range(2)
    }
    assert len(etags) == 1
    assert get(server, bucket, two) == CONTENT
    server.send("GET", f"/{COPY}", bucket=bucket, headers=one).expect(400, "SsecDecryptHeaderInvalid")
    seen = server.send("HEAD", f"/{COPY}", bucket=bucket, headers=two).expect(200)
    assert f"{CUSTOMER}key-MD5" in seen.headers.keys(), "spelt as the page has it"
    source = server.send("GET", "/example.jpg", bucket=origin, region=OTHER_REGION, headers=one).expect(200)
    assert source.body == CONTENT


def test_c171_sample_8(server: Server, bucket: str) -> None:
    """An object that is encrypted with SSE-C, in its place, to one that is not: its entity tag is the MD5 again."""
    one = triple(CUSTOMER, ONE)
    server.send("PUT", f"/{COPY}", bucket=bucket, headers=one, body=CONTENT).expect(200)
    between = {"x-cos-metadata-directive": "Replaced", **triple(SOURCE_CUSTOMER, ONE)}
    ask(server, bucket, f"{bucket_host(bucket)}/{COPY}", between, signed_of(*between))
    assert get(server, bucket) == CONTENT
