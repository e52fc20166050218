"""Upload Part - Copy. Ids such as U05 are statements of the checklist of its page, ids such as C45 of that of
PUT Object - Copy. What an upload is otherwise: ``test_multipart.py``."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
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
    list_keys,
    quoted_md5,
    read_answer,
    unique_bucket,
)
from program import Cosine, everything_under
from test_gc import collect
from test_multipart import (
    MIB,
    Upload,
    at_once,
    etag_of,
    fast_crc64,
    fsck,
    get,
    initiate,
    make_object,
    multipart_etag,
    read_ranges,
    start,
    uploads_in,
)

GIB = 1 << 30
CONTENT = b"[Object Content]"
CJK_KEY = "example-腾讯云.jpg"
LARGE = random.Random(21).randbytes(2 * MIB + 333)
LONG_AGO = "Sat, 01 Jan 2000 00:00:00 GMT"


def source_of(bucket: str, key: str = "source", region: str = REGION) -> str:
    """The value every official client sends."""
    return f"{bucket_host(bucket, region)}/{quote(key.encode(), safe='/-_.~')}"


def copied(answer: Answer) -> str:
    """The ETag, in quotes, of a part that was copied."""
    root = answer.expect(200).xml
    assert root.tag == "CopyPartResult", answer.body
    return root.findtext("ETag") or ""


def put(server: Server, bucket: str, key: str, body: bytes, **headers: str) -> Answer:
    return server.send("PUT", "/" + key, bucket=bucket, body=body, headers=headers).expect(200)


def assemble(server: Server, bucket: str, key: str, ranges: list[tuple[str, int, int]]) -> str:
    """Makes an object of ranges of others of the bucket, each ``(key, first, end)``; its ETag."""
    upload = initiate(server, bucket, key)
    etags = {
        number: copied(upload.copy(number, source_of(bucket, source), f"bytes={first}-{end - 1}"))
        for number, (source, first, end) in enumerate(ranges, 1)
    }
    completed = upload.complete(etags).expect(200)
    assert completed.xml.findtext("ETag") == multipart_etag(*etags.values())
    return completed.xml.findtext("ETag") or ""


@pytest.fixture
def with_source(server: Server, bucket: str) -> str:
    """A bucket with one object ``source``."""
    put(server, bucket, "source", CONTENT)
    return bucket


@pytest.fixture
def upload(server: Server, with_source: str) -> Upload:
    """An upload to ``k``, beside ``source``."""
    return initiate(server, with_source)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


# --- what a copied part is -------------------------------------------------------------------


@pytest.mark.parametrize("length", [True, False], ids=["length-0", "no-length"])
def test_u01_u18_u19_u20_u21_u22_the_request_and_its_answer(server: Server, upload: Upload, length: bool) -> None:
    """U01, U18, U19, U22: no body; the answer is chunked XML, laid out as that of a copied object, its LastModified
    that of the part. U20, U21: no version and no encryption in a bucket that has neither."""
    answer = upload.copy(1, source_of(upload.bucket), length=length).expect(200)
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["Transfer-Encoding"] == "chunked"
    for name in ["Content-Length", "ETag", "x-cos-copy-source-version-id", "x-cos-server-side-encryption"]:
        assert name not in answer.headers
    match = re.search(rb"<LastModified>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)</LastModified>", answer.body)
    assert match, answer.body
    assert answer.body == (
        b'<?xml version="1.0" encoding="UTF-8"?>\r\n'
        b"<CopyPartResult>\r\n"
        b'\t<ETag>"ee8de918d05640145b18f70f4c3aa602"</ETag>\r\n'
        b"\t<CRC64>16749565679157681890</CRC64>\r\n"
        b"\t<LastModified>" + match.group(1) + b"</LastModified>\r\n"
        b"</CopyPartResult>"
    )
    [part] = upload.send("GET").expect(200).xml.iterfind("Part")
    assert part.findtext("LastModified") == match.group(1).decode().replace("Z", ".000Z")
    assert (part.findtext("ETag"), part.findtext("Size")) == (quoted_md5(CONTENT), str(len(CONTENT)))
    completed = upload.complete({1: quoted_md5(CONTENT)}).expect(200)
    assert completed.xml.findtext("ETag") == etag_of(CONTENT)
    assert get(server, upload.bucket).body == CONTENT


def test_u01_a_body(upload: Upload) -> None:
    """As on a copy of an object, a body is refused."""
    upload.copy(1, source_of(upload.bucket), body=b"x").expect(400, "UnexpectedContent")
    assert upload.parts() == {}


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 2 * MIB + 333])
def test_c45_u23_the_whole_source(server: Server, upload: Upload, size: int) -> None:
    """C45, U23: any size; the ETag of a part copied whole is the MD5 of its bytes, wherever it is told."""
    content = LARGE[:size]
    put(server, upload.bucket, "whole", content)
    answer = upload.copy(1, source_of(upload.bucket, "whole"))
    assert copied(answer) == quoted_md5(content)
    assert answer.xml.findtext("CRC64") == str(fast_crc64(content))
    assert upload.parts() == {1: quoted_md5(content)}
    completed = upload.complete({1: quoted_md5(content)}).expect(200)
    assert completed.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(content))
    got = get(server, upload.bucket)
    assert (got.body, got.headers["ETag"]) == (content, etag_of(content))


def test_u05_u06_u07_u08_u25_ranges(server: Server, upload: Upload) -> None:
    """U05, U25: first and last are included. U08: 416 InvalidRange where the source ends before. U07: 400
    InvalidArgument for every other form. U06: empty is absent."""
    size = len(LARGE)
    put(server, upload.bucket, "large", LARGE)
    put(server, upload.bucket, "nothing", b"")

    def ask(bounds: str | None, key: str = "large") -> Answer:
        return upload.copy(1, source_of(upload.bucket, key), bounds)

    good = [(0, 0), (0, size - 1), (size - 1, size - 1), (65_535, 65_536), (1, size - 2), (100, MIB + 100)]
    for first, last in good:
        answer = ask(f"bytes={first}-{last}").expect(200)
        part = LARGE[first : last + 1]
        assert answer.xml.findtext("CRC64") == str(fast_crc64(part)), (first, last)
        [listed] = upload.send("GET").expect(200).xml.iterfind("Part")
        assert listed.findtext("Size") == str(len(part))
        whole = initiate(server, upload.bucket, "range")
        etag = copied(whole.copy(1, source_of(upload.bucket, "large"), f"bytes={first}-{last}"))
        whole.complete({1: etag}).expect(200)
        assert get(server, upload.bucket, "range").body == part, (first, last)

    before = upload.parts()
    behind = [f"0-{size}", f"{size}-{size}", f"{size}-{size + 5}", f"5-{2**64}", f"{2**64}-{2**65}", f"0-{2**63}"]
    answers = {bounds: ask(f"bytes={bounds}") for bounds in behind}
    answers["of nothing"] = ask("bytes=0-0", "nothing")
    assert {bounds: (answer.status, answer.code) for bounds, answer in answers.items()} == dict.fromkeys(
        answers, (416, "InvalidRange")
    )
    garbage = ["bytes=-5", "bytes=5-", "bytes=-", "bytes=", "bytes", "0-5", "bytes=5-4", "bytes=0-1,3-4", "bytes=a-b",
               "bytes=0x1-2", "bytes=+0-5", "bytes=0--5", "items=0-5", "bytes 0-5", "bytes=0-5/100"]  # fmt: skip
    answers = {bounds: ask(bounds) for bounds in garbage}
    assert {bounds: (answer.status, answer.code) for bounds, answer in answers.items()} == dict.fromkeys(
        garbage, (400, "InvalidArgument")
    )
    assert upload.parts() == before, "what was refused took no part's place"

    assert copied(ask("")) == copied(ask(None)) == quoted_md5(LARGE)
    assert copied(ask("", "nothing")) == quoted_md5(b"")


def test_u23_the_etag_of_a_range(server: Server, upload: Upload) -> None:
    """32 hex digits, always the same for a range of a source, and others for another; Complete takes them verbatim,
    and the whole as a range is the whole."""
    put(server, upload.bucket, "large", LARGE)
    source = source_of(upload.bucket, "large")
    ranges = [f"bytes=0-{MIB}", f"bytes=1-{MIB}", f"bytes=0-{MIB + 1}", "bytes=5-5"]
    etags = {number: copied(upload.copy(number, source, bounds)) for number, bounds in enumerate(ranges, 1)}
    assert all(re.fullmatch('"[0-9a-f]{32}"', etag) for etag in etags.values()), etags
    assert len(set(etags.values())) == 4
    again = initiate(server, upload.bucket, "again")
    assert {number: copied(again.copy(number, source, bounds)) for number, bounds in enumerate(ranges, 1)} == etags
    assert copied(again.copy(5, source, f"bytes=0-{len(LARGE) - 1}")) == quoted_md5(LARGE)
    assert upload.parts() == etags
    upload.complete({**etags, 4: etags[3]}).expect(400, "InvalidPart")
    completed = upload.complete({number: etag.strip('"') for number, etag in etags.items()}).expect(200)
    etag = multipart_etag(*etags.values())
    assert completed.xml.findtext("ETag") == etag
    got = get(server, upload.bucket)
    assert got.body == LARGE[: MIB + 1] + LARGE[1 : MIB + 1] + LARGE[: MIB + 2] + LARGE[5:6]
    assert got.headers["ETag"] == etag


def test_u03_nothing_but_bytes_comes_from_the_source(server: Server, client: CosS3Client, bucket: str) -> None:
    """Metadata, class, ACL and tags are those of Initiate."""
    headers = {
        "Content-Type": "image/jpeg",
        "Cache-Control": "no-store",
        "x-cos-meta-source": "1",
        "x-cos-acl": "public-read",
        "x-cos-storage-class": "STANDARD_IA",
        "x-cos-tagging": "source=1",
    }
    put(server, bucket, "source", CONTENT, **headers)
    plain = initiate(server, bucket, "plain")
    plain.complete({1: copied(plain.copy(1, source_of(bucket)))}).expect(200)
    got = get(server, bucket, "plain").expect(200)
    assert got.body == CONTENT
    assert got.headers["Content-Type"] == "application/octet-stream"
    for name in ["Cache-Control", "x-cos-meta-source", "x-cos-storage-class", "x-cos-tagging-count"]:
        assert name not in got.headers
    server.send("GET", "/plain", bucket=bucket, auth=None).expect(403, "AccessDenied")

    own = {**headers, "x-cos-meta-source": "2", "x-cos-storage-class": "INTELLIGENT_TIERING", "x-cos-tagging": "own=1"}
    upload = initiate(server, bucket, headers=own)
    # What a part says of these is as little worth as what its source says.
    sent = {"Content-Type": "text/plain", "Cache-Control": "private"}
    upload.complete({1: copied(upload.copy(1, source_of(bucket), headers=sent))}).expect(200)
    got = server.send("GET", "/k", bucket=bucket, auth=None).expect(200)
    assert got.body == CONTENT
    for name in ["Content-Type", "Cache-Control", "x-cos-meta-source", "x-cos-storage-class"]:
        assert got.headers[name] == own[name]
    tags = client.get_object_tagging(Bucket=bucket, Key="k")["TagSet"]["Tag"]
    assert [(tag["Key"], tag["Value"]) for tag in tags] == [("own", "1")]


def test_u13_a_part_again(server: Server, upload: Upload) -> None:
    """A copied part takes the place of an uploaded one, and the other way round."""
    source = source_of(upload.bucket)
    first = upload.must_put(1, b"uploaded")
    second = copied(upload.copy(1, source))
    assert upload.parts() == {1: second}
    upload.complete({1: first}).expect(400, "InvalidPart")
    third = copied(upload.copy(1, source, "bytes=1-6"))
    assert upload.parts() == {1: third}
    other = initiate(server, upload.bucket, "other")
    copied(other.copy(1, source))
    last = other.must_put(1, b"uploaded")
    assert other.parts() == {1: last}
    upload.complete({1: third}).expect(200)
    other.complete({1: last}).expect(200)
    assert get(server, upload.bucket).body == b"Object"
    assert get(server, upload.bucket, "other").body == b"uploaded"


def test_u09_small_parts(server: Server, upload: Upload) -> None:
    """A small part is copied; that it must be the last, Complete says."""
    put(server, upload.bucket, "large", LARGE)
    source = source_of(upload.bucket, "large")
    etags = {
        number: copied(upload.copy(number, source, bounds))
        for number, bounds in [(1, f"bytes=7-{MIB + 6}"), (2, f"bytes=7-{MIB + 5}"), (3, "bytes=0-0")]
    }
    upload.complete(etags).expect(400, "EntityTooSmall")
    upload.complete({1: etags[1], 3: etags[3]}).expect(200)
    assert get(server, upload.bucket).body == LARGE[7 : MIB + 7] + LARGE[:1]


# --- x-cos-copy-source -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "key"),
    [
        pytest.param("{b}.cos.{r}.myqcloud.com/source", "source", id="C10"),
        pytest.param("{b}.cos.{r}.tencentcos.cn/source", "source", id="C18"),
        pytest.param("/{b}/source", "source", id="C21"),
        pytest.param("{b}.objects.example.test:9000/source", "source", id="C23"),
        pytest.param("{b}.cos.{r}.myqcloud.com/" + quote(CJK_KEY), CJK_KEY, id="C11"),
        pytest.param("{b}.cos.{r}.myqcloud.com/a+b%2Fc%20d", "a+b/c d", id="C13-C14"),
        pytest.param("{b}.cos.{r}.myqcloud.com/%2541", "%41", id="decoded-once"),
        pytest.param("{b}.cos.{r}.myqcloud.com/a/../b//./c", "a/../b//./c", id="dots"),
        pytest.param("{b}.cos.{r}.myqcloud.com/what%3FversionId=1", "what?versionId=1", id="C12"),
        pytest.param("{b}.cos.{r}.myqcloud.com/source?versionId=", "source", id="empty-version"),
    ],
)
def test_u04_forms_of_the_source(server: Server, bucket: str, form: str, key: str) -> None:
    """The grammar of PUT Object - Copy; look-alikes are not taken."""
    put(server, bucket, key, CONTENT)
    for decoy in {"a b/c d", "A", "b//./c", "what", "c"} - {key}:
        put(server, bucket, decoy, b"the wrong object")
    upload = initiate(server, bucket)
    upload.complete({1: copied(upload.copy(1, form.format(b=bucket, r=REGION)))}).expect(200)
    assert get(server, bucket).body == CONTENT


def test_u04_without_the_header(upload: Upload) -> None:
    """A range alone copies nothing, and does not become a part of no bytes either."""
    headers = {"x-cos-copy-source-range": "bytes=0-3"}
    upload.send("PUT", {"partNumber": "1"}, headers=headers).expect(501, "NotImplemented")
    assert upload.parts() == {}


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        pytest.param("", 400, "InvalidCopySource", id="C22-empty"),
        pytest.param("{b}.cos.{r}.myqcloud.com/", 400, "InvalidCopySource", id="C22-empty-key"),
        pytest.param("/plain/source", 400, "InvalidCopySource", id="C22-no-appid"),
        pytest.param("{b}.cos.{r}.myqcloud.com/sourc%zz", 400, "InvalidCopySource", id="C22-not-hex"),
        pytest.param("{b}.cos.{r}.myqcloud.com/%FF", 400, "InvalidCopySource", id="C22-not-utf8"),
        pytest.param("{b}.cos.{r}.myqcloud.com/source?x=1", 400, "InvalidCopySource", id="C22-parameter"),
        pytest.param("{b}.cos.{r}.myqcloud.com/" + "k" * 851, 400, "KeyTooLong", id="C24"),
        pytest.param("{b}.cos.{r}.myqcloud.com/missing", 404, "NoSuchKey", id="C34"),
        pytest.param("none-{a}.cos.{r}.myqcloud.com/source", 404, "NoSuchBucket", id="C35"),
        pytest.param("{b}.cos.{o}.myqcloud.com/source", 404, "NoSuchBucket", id="C19-region"),
        pytest.param("{b}.cos.{r}.myqcloud.com/source?versionId=nonsense", 404, "NoSuchVersion", id="C36"),
        pytest.param("{b}.cos.accelerate.myqcloud.com/source", 400, "ActionAccelerateNotSupported", id="C17"),
    ],
)
def test_u28_bad_sources(upload: Upload, form: str, status: int, code: str) -> None:
    """The errors of PUT Object - Copy; the part that was there stays."""
    etag = upload.must_put(1, b"before")
    source = form.format(b=upload.bucket, r=REGION, o=OTHER_REGION, a=APPID)
    upload.copy(1, source).expect(status, code)
    assert upload.parts() == {1: etag}


def test_u11_part_numbers(upload: Upload) -> None:
    source = source_of(upload.bucket)
    numbers = ["0", "-1", "10001", "65537", "", "x", "1.5"]
    answers = {number: upload.copy(number, source) for number in numbers}
    assert {number: (answer.status, answer.code) for number, answer in answers.items()} == dict.fromkeys(
        numbers, (400, "InvalidArgument")
    )
    upload.send("PUT", headers={"x-cos-copy-source": source}).expect(400, "InvalidArgument")
    assert upload.parts() == {}
    assert {1, 10_000} == {number for number in (1, 10_000) if copied(upload.copy(number, source))}
    assert list(upload.parts()) == [1, 10_000]


def test_u12_no_such_upload(server: Server, upload: Upload) -> None:
    """404 for an id that is unknown, of another key, completed or aborted."""
    source = source_of(upload.bucket)
    ended, aborted = initiate(server, upload.bucket, "ended"), initiate(server, upload.bucket)
    ended.complete({1: copied(ended.copy(1, source))}).expect(200)
    aborted.abort().expect(204)
    wrong = [Upload(server, upload.bucket, "1" * 74), Upload(server, upload.bucket, upload.id, "k2"), ended, aborted]
    for other in wrong:
        other.copy(1, source).expect(404, "NoSuchUpload")
    assert upload.parts() == {}
    assert get(server, upload.bucket, "ended").body == CONTENT


# --- conditions -----------------------------------------------------------------------------------

MATCH = "x-cos-copy-source-If-Match"
NONE_MATCH = "x-cos-copy-source-If-None-Match"
MODIFIED = "x-cos-copy-source-If-Modified-Since"
UNMODIFIED = "x-cos-copy-source-If-Unmodified-Since"
ETAG = quoted_md5(CONTENT)
OTHER_ETAG = quoted_md5(b"something else")
SAME = "the source's own Last-Modified"


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ({MATCH: ETAG}, 200),
        ({MATCH: OTHER_ETAG}, 412),
        ({NONE_MATCH: OTHER_ETAG}, 200),
        ({NONE_MATCH: ETAG.strip('"')}, 412),
        ({MODIFIED: LONG_AGO}, 200),
        ({MODIFIED: SAME}, 412),
        ({UNMODIFIED: SAME}, 200),
        ({UNMODIFIED: LONG_AGO}, 412),
        ({UNMODIFIED: LONG_AGO, MATCH: ETAG}, 412),
        ({MODIFIED: LONG_AGO, NONE_MATCH: ETAG}, 412),
        ({MODIFIED: LONG_AGO, NONE_MATCH: OTHER_ETAG}, 200),
        ({UNMODIFIED: "yesterday"}, 400),
    ],
    ids=lambda case: " + ".join(f"{k[18:]}: {v[:9]}" for k, v in case.items()) if isinstance(case, dict) else str(case),
)
def test_u14_conditions(server: Server, upload: Upload, conditions: dict[str, str], status: int) -> None:
    """412 and never 304, also with a range; a failure leaves the part as it was."""
    modified = server.send("HEAD", "/source", bucket=upload.bucket).headers["Last-Modified"]
    headers = {name: modified if value == SAME else value for name, value in conditions.items()}
    before = upload.must_put(1, b"before")
    for bounds in (None, "bytes=0-3"):
        answer = upload.copy(1, source_of(upload.bucket), bounds, headers=headers)
        if status == 200:
            assert copied(answer) == (quoted_md5(CONTENT) if bounds is None else upload.parts()[1])
        else:
            answer.expect(status, "PreconditionFailed" if status == 412 else "InvalidArgument")
            assert upload.parts() == {1: before}


def test_u14_the_etag_of_a_multipart_source(server: Server, bucket: str) -> None:
    """A condition is held against the whole ETag, ``-N`` too."""
    model = make_object(server, bucket, "source", [LARGE, CONTENT])
    upload = initiate(server, bucket)
    etag = etag_of(LARGE, CONTENT)
    upload.copy(1, source_of(bucket), headers={MATCH: etag.split("-")[0] + '"'}).expect(412, "PreconditionFailed")
    upload.complete({1: copied(upload.copy(1, source_of(bucket), headers={MATCH: etag}))}).expect(200)
    assert get(server, bucket).body == model


def test_u27_a_source_that_changes(server: Server, upload: Upload) -> None:
    """Parts keep what they were copied from; If-Match pins the source."""
    source = source_of(upload.bucket, "large")
    put(server, upload.bucket, "large", LARGE)
    first = copied(upload.copy(1, source, f"bytes=0-{MIB - 1}"))
    put(server, upload.bucket, "large", LARGE[::-1])
    upload.copy(2, source, headers={MATCH: quoted_md5(LARGE)}).expect(412, "PreconditionFailed")
    second = copied(upload.copy(2, source, f"bytes=0-{MIB - 1}"))
    assert second != first
    upload.complete({1: first, 2: second}).expect(200)
    assert get(server, upload.bucket).body == LARGE[:MIB] + LARGE[::-1][:MIB]


# --- versions, classes, encryption -------------------------------------------------------------------


def test_u15_u20_versions_of_the_source(upload: Upload, data: Path) -> None:
    """U20: a version that was named is named in the answer, and only then. U15: a delete marker is 404, and 400 where
    it is named itself. ``null`` is the version of a bucket that keeps none."""
    answer = upload.copy(1, source_of(upload.bucket) + "?versionId=null")
    assert copied(answer) == quoted_md5(CONTENT)
    assert answer.headers["x-cos-copy-source-version-id"] == "null"

    versions = unique_bucket()
    with start(data) as cosine:
        own = cosine.client()
        own.create_bucket(Bucket=versions)
        own.put_bucket_versioning(Bucket=versions, Status="Enabled")
        old = put(cosine, versions, "source", b"old").headers["x-cos-version-id"]
        new = put(cosine, versions, "source", b"new").headers["x-cos-version-id"]
        source = source_of(versions)
        mine = initiate(cosine, versions)
        for version, content in [(old, b"old"), (new, b"new")]:
            answer = mine.copy(1, f"{source}?versionId={version}")
            assert copied(answer) == quoted_md5(content)
            assert answer.headers["x-cos-copy-source-version-id"] == version
        answer = mine.copy(1, source)
        assert copied(answer) == quoted_md5(b"new")
        assert "x-cos-copy-source-version-id" not in answer.headers
        mine.copy(1, f"{source}?versionId={old}", headers={MATCH: quoted_md5(b"new")}).expect(412)

        marker = cosine.send("DELETE", "/source", bucket=versions).expect(204).headers["x-cos-version-id"]
        mine.copy(1, source).expect(404, "NoSuchKey")
        mine.copy(1, f"{source}?versionId={marker}").expect(400, "InvalidRequest")
        assert mine.parts() == {1: quoted_md5(b"new")}
        answer = mine.copy(1, f"{source}?versionId={old}", "bytes=1-2")
        made = mine.complete({1: copied(answer)}).expect(200)
        assert made.headers["x-cos-version-id"] not in (old, new, marker)
        assert get(cosine, versions).body == b"ld"
    fsck(data)


@pytest.mark.parametrize("archive", ["ARCHIVE", "DEEP_ARCHIVE"])
def test_u26_an_archived_source(server: Server, upload: Upload, archive: str) -> None:
    """403 until it is restored."""
    put(server, upload.bucket, "archived", CONTENT, **{"x-cos-storage-class": archive})
    for bounds in (None, "bytes=0-0"):
        upload.copy(1, source_of(upload.bucket, "archived"), bounds).expect(403, "InvalidObjectState")
    assert upload.parts() == {}


def test_u26_an_archived_destination(server: Server, bucket: str) -> None:
    """The class is that of Initiate: what was copied may not be read before it is restored."""
    put(server, bucket, "source", CONTENT)
    upload = initiate(server, bucket, headers={"x-cos-storage-class": "ARCHIVE"})
    upload.complete({1: copied(upload.copy(1, source_of(bucket)))}).expect(200)
    get(server, bucket).expect(403, "InvalidObjectState")
    head = server.send("HEAD", "/k", bucket=bucket).expect(200)
    assert (head.headers["x-cos-storage-class"], head.headers["ETag"]) == ("ARCHIVE", etag_of(CONTENT))


# --- who may ------------------------------------------------------------------------------------------


def test_u02_who_may(server: Server, make_bucket: Callable[..., str]) -> None:
    """The destination must be writable, the source readable; neither alone is enough."""
    private, writable = make_bucket(), make_bucket(ACL="public-read-write")
    put(server, private, "source", CONTENT)
    put(server, private, "open", CONTENT, **{"x-cos-acl": "public-read"})
    here, there = initiate(server, private), initiate(server, writable)
    there.copy(1, source_of(private), auth=None).expect(403, "AccessDenied")
    here.copy(1, source_of(private, "open"), auth=None).expect(403, "AccessDenied")
    assert here.parts() == there.parts() == {}
    assert copied(there.copy(1, source_of(private, "open"), auth=None)) == quoted_md5(CONTENT)
    answer = there.copy(1, source_of("foreign-1250000001"))
    assert answer.status in (403, 404) and answer.code


def test_u02_source_and_range_are_signed(server: Server, upload: Upload) -> None:
    """Changed after signing, either breaks the signature."""
    put(server, upload.bucket, "secret", b"a secret that is long enough")
    fields = {
        "Content-Length": "0",
        "x-cos-copy-source": source_of(upload.bucket),
        "x-cos-copy-source-range": "bytes=0-1",
    }
    query = {"partNumber": "1", "uploadId": upload.id}
    head = server.head_bytes("PUT", "/k", host=bucket_host(upload.bucket), query=query, headers=fields)
    for old, new in [(b"com/source", b"com/secret"), (b"=0-1\r\n", b"=0-9\r\n")]:
        assert old in head
        with server.connect() as sock:
            sock.sendall(head.replace(old, new))
            read_answer(sock, "PUT").expect(403)
        assert upload.parts() == {}
    with server.connect() as sock:
        sock.sendall(head)
        read_answer(sock, "PUT").expect(200)


def test_from_another_bucket_and_region(server: Server, upload: Upload, make_bucket: Callable[..., str]) -> None:
    there = make_bucket(OTHER_REGION)
    server.send("PUT", "/source", bucket=there, region=OTHER_REGION, body=b"from there").expect(200)
    upload.complete({1: copied(upload.copy(1, source_of(there, region=OTHER_REGION)))}).expect(200)
    server.send("DELETE", "/source", bucket=there, region=OTHER_REGION).expect(204)
    server.send("DELETE", bucket=there, region=OTHER_REGION).expect(204)
    assert get(server, upload.bucket).body == b"from there"


# --- the SDK -----------------------------------------------------------------------------------------


def test_u06_sdk_upload_part_copy(client: CosS3Client, bucket: str) -> None:
    """U06: the SDK always sends a range, empty for the whole."""
    client.put_object(Bucket=bucket, Key=CJK_KEY, Body=LARGE)
    source = {"Bucket": bucket, "Key": CJK_KEY, "Region": REGION}
    upload = {"Bucket": bucket, "Key": "k"}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    whole = client.upload_part_copy(PartNumber=1, CopySource=source, **upload)
    assert (whole["ETag"], whole["CRC64"]) == (quoted_md5(LARGE), str(fast_crc64(LARGE)))
    half = client.upload_part_copy(PartNumber=2, CopySource=source, CopySourceRange="bytes=5-99999", **upload)
    assert half["CRC64"] == str(fast_crc64(LARGE[5:100_000]))
    for bounds, status in [("bytes=5-99999999", 416), ("bytes=-5", 400)]:
        with pytest.raises(CosServiceError) as caught:
            client.upload_part_copy(PartNumber=2, CopySource=source, CopySourceRange=bounds, **upload)
        assert caught.value.get_status_code() == status
    parts = [{"PartNumber": 1, "ETag": whole["ETag"]}, {"PartNumber": 2, "ETag": half["ETag"]}]
    result = client.complete_multipart_upload(MultipartUpload={"Part": parts}, **upload)
    assert result["ETag"] == multipart_etag(whole["ETag"], half["ETag"])
    assert body_of(client.get_object(Bucket=bucket, Key="k")) == LARGE + LARGE[5:100_000]


def test_u24_sdk_copy_by_parts(server: Server, make_bucket: Callable[..., str]) -> None:
    """Into another class and over its threshold the SDK copies part by part; otherwise at once, whatever the size."""
    client = server.proxy_client()
    client.get_conf().set_copy_part_threshold_size(MIB)
    source, target = make_bucket(), make_bucket()
    bodies = [random.Random(n).randbytes(MIB + 1) for n in range(3)] + [b"the end"]
    model = make_object(server, source, "a b/c+d", bodies)
    place = {"Bucket": source, "Key": "a b/c+d", "Region": REGION}
    once = client.copy(Bucket=target, Key="once", CopySource=place)
    assert once["ETag"] == etag_of(*bodies)
    by_parts = client.copy(
        Bucket=target, Key="parts", CopySource=place, PartSize=1, MAXThread=4, StorageClass="STANDARD_IA"
    )
    assert re.fullmatch(r'"[0-9a-f]{32}-4"', by_parts["ETag"])
    assert by_parts["x-cos-hash-crc64ecma"] == str(fast_crc64(model))
    got = client.get_object(Bucket=target, Key="parts")
    assert got["x-cos-storage-class"] == "STANDARD_IA"
    assert body_of(got) == body_of(client.get_object(Bucket=target, Key="once")) == model


@pytest.mark.parametrize("count", [1, 3])
def test_c162_a_copy_of_a_multipart_object(server: Server, client: CosS3Client, bucket: str, count: int) -> None:
    """It keeps the ETag with its ``-N``, and the checksum; on itself, with other metadata, too."""
    bodies = [random.Random(n).randbytes(MIB) for n in range(count - 1)] + [CONTENT]
    model = make_object(server, bucket, "source", bodies)
    etag, checksum = etag_of(*bodies), str(fast_crc64(model))
    source = {"Bucket": bucket, "Key": "source", "Region": REGION}
    copy = client.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert (copy["ETag"], copy["CRC64"]) == (etag, checksum)
    same = client.copy_object(Bucket=bucket, Key="source", CopySource=source, CopyStatus="Replaced", ContentType="a/b")
    assert (same["ETag"], same["CRC64"]) == (etag, checksum)
    server.send("DELETE", "/source", bucket=bucket).expect(204)
    got = get(server, bucket, "copy").expect(200)
    assert (got.body, got.headers["ETag"], got.headers["x-cos-hash-crc64ecma"]) == (model, etag, checksum)
    [entry] = client.list_objects(Bucket=bucket)["Contents"]
    assert (entry["ETag"], entry["Size"]) == (etag, str(len(model)))
    # As a part, it has no MD5 that is known, but an ETag that a part may have.
    upload = initiate(server, bucket)
    part = copied(upload.copy(1, source_of(bucket, "copy")))
    assert re.fullmatch(r'"[0-9a-f]{32}"', part)
    assert upload.complete({1: part}).expect(200).headers["x-cos-hash-crc64ecma"] == checksum
    assert get(server, bucket).body == model


# --- several at once ----------------------------------------------------------------------------------


def test_racing_for_one_part(server: Server, bucket: str) -> None:
    """Copies and uploads of one number from 8 threads: the part that is listed is the part that is read."""
    contents = [LARGE[n : n + 200_000 + n] for n in range(4)]
    for number, content in enumerate(contents):
        put(server, bucket, f"source-{number}", content)
    upload = initiate(server, bucket)
    bodies = [b"uploaded %d" % number for number in range(4)]
    answers = at_once(
        8,
        lambda n: upload.put(1, bodies[n]) if n < 4 else upload.copy(1, source_of(bucket, f"source-{n - 4}")),
    )
    assert {answer.status for answer in answers} == {200}
    [(number, etag)] = upload.parts().items()
    upload.complete({number: etag}).expect(200)
    assert {quoted_md5(body): body for body in [*bodies, *contents]}[etag] == get(server, bucket).body


def test_a_source_that_comes_and_goes(server: Server, bucket: str) -> None:
    """A part is the one content or the other, whole, or its source was not there."""
    contents = {quoted_md5(body): body for body in (LARGE[:150_000], LARGE[1:150_001])}
    put(server, bucket, "source", LARGE[:150_000])

    def change(_: int) -> list[Answer]:
        for _ in range(8):
            for content in contents.values():
                put(server, bucket, "source", content)
            server.send("DELETE", "/source", bucket=bucket).expect(204)
        return []

    def copy(number: int) -> list[Answer]:
        found = []
        for again in range(12):
            upload = initiate(server, bucket, f"{number}-{again}")
            answer = upload.copy(1, source_of(bucket))
            if answer.status == 404:
                answer.expect(404, "NoSuchKey")
                upload.abort().expect(204)
                continue
            etag = copied(answer)
            upload.complete({1: etag}).expect(200)
            got = get(server, bucket, upload.key)
            assert got.body == contents[etag]
            found.append(got)
        return found

    with ThreadPoolExecutor(4) as pool:
        changing = pool.submit(change, 0)
        copying = [pool.submit(copy, number) for number in range(3)]
        changing.result()
        assert all(isinstance(future.result(), list) for future in copying)
    assert uploads_in(server, bucket) == []


# --- slices of slices ------------------------------------------------------------------------------------


def test_a_source_that_is_deleted(data: Path) -> None:
    """What was copied from it reads on, before Complete and after, through the collector and a restart."""
    bucket = unique_bucket()
    with start(data) as cosine:
        cosine.client().create_bucket(Bucket=bucket)
        put(cosine, bucket, "plain", LARGE)
        model = make_object(cosine, bucket, "parts", [LARGE[:MIB], LARGE[::-1], CONTENT])
        upload = initiate(cosine, bucket)
        etags = {
            1: copied(upload.copy(1, source_of(bucket, "plain"), f"bytes=9-{MIB + 8}")),
            2: copied(upload.copy(2, source_of(bucket, "parts"), f"bytes=1000-{2 * MIB}")),
            3: copied(upload.copy(3, source_of(bucket, "parts"), f"bytes={len(model) - 20}-{len(model) - 1}")),
        }
        for key in ("plain", "parts"):
            cosine.send("DELETE", f"/{key}", bucket=bucket).expect(204)
        collect(cosine, data.parent)
    fsck(data)
    with start(data) as cosine:
        upload = Upload(cosine, bucket, upload.id)
        assert upload.parts() == etags
        wanted = LARGE[9 : MIB + 9] + model[1000 : 2 * MIB + 1] + model[-20:]
        completed = upload.complete(etags).expect(200)
        assert completed.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(wanted))
        collect(cosine, data.parent)
        assert get(cosine, bucket).body == wanted
        cosine.send("DELETE", "/k", bucket=bucket).expect(204)
        collect(cosine, data.parent)
        assert [path for path in (data / "blobs").glob("??/*") if path.stat().st_size > MIB // 2] == []
    fsck(data)


def test_copied_parts_move_no_bytes(data: Path) -> None:
    """Not a file changes below ``blobs``, however much is copied."""
    bucket = unique_bucket()
    with start(data) as cosine:
        cosine.client().create_bucket(Bucket=bucket)
        put(cosine, bucket, "plain", LARGE)
        model = make_object(cosine, bucket, "parts", [LARGE[:MIB], LARGE[::-1]])
        before = everything_under(data / "blobs")
        assert len(before) >= 3
        assemble(cosine, bucket, "slices", [("plain", 5, MIB + 5), ("parts", 77, 2 * MIB), ("parts", 0, len(model))])
        assemble(cosine, bucket, "again", [("slices", MIB // 2, 3 * MIB), ("slices", 0, 100)])
        assert everything_under(data / "blobs") == before
        slices = LARGE[5 : MIB + 5] + model[77 : 2 * MIB] + model
        assert get(cosine, bucket, "again").body == slices[MIB // 2 : 3 * MIB] + slices[:100]


def test_an_object_out_of_itself(data: Path) -> None:
    """Its own halves, swapped, again and again; neither overwriting it nor the collector takes a byte away."""
    bucket = unique_bucket()
    content = LARGE
    with start(data) as cosine:
        cosine.client().create_bucket(Bucket=bucket)
        put(cosine, bucket, "k", content)
        for number in range(10):
            middle = MIB + number
            ranges = [("k", len(content) - middle, len(content)), ("k", 0, len(content) - middle)]
            assemble(cosine, bucket, "k", ranges)
            content = content[-middle:] + content[:-middle]
            if number % 3 == 0:
                collect(cosine, data.parent)
            got = get(cosine, bucket, "k").expect(200)
            assert got.body == content, number
            assert got.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(content))
        collect(cosine, data.parent)
        assert get(cosine, bucket, "k").body == content
    fsck(data)


def random_ranges(rng: random.Random, model: Mapping[str, bytes], count: int) -> list[tuple[str, int, int]]:
    """Ranges of at least a part's size, but for the last, which may be of any."""
    ranges = []
    for number in range(count):
        key = rng.choice(sorted(model))
        length = rng.randrange(MIB, MIB + 300_000) if number < count - 1 else rng.randrange(1, 5000)
        first = rng.randrange(len(model[key]) - length)
        ranges.append((key, first, first + length))
    return ranges


def check(cosine: Cosine, bucket: str, model: Mapping[str, bytes], rng: random.Random) -> None:
    for key, content in model.items():
        got = get(cosine, bucket, key).expect(200)
        assert got.body == content, key
        assert got.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(content)), key
        read_ranges(cosine, bucket, key, content, [rng.randrange(len(content)) for _ in range(5)], rng)


def test_thirty_random_slices(data: Path) -> None:
    """Of plain, multipart, copied and sliced objects; each object is then a source. Compared with a model in memory,
    before and after the sources are gone and collected; and the store is sound."""
    rng = random.Random(30)
    bucket = unique_bucket()
    model: dict[str, bytes] = {}
    with start(data) as cosine:
        client = cosine.client()
        client.create_bucket(Bucket=bucket)
        model["plain"] = rng.randbytes(3 * MIB + 17)
        put(cosine, bucket, "plain", model["plain"])
        bodies = [rng.randbytes(size) for size in (MIB, MIB + 12_345, MIB + 1, 4321)]
        model["multipart"] = make_object(cosine, bucket, "multipart", bodies)
        client.copy_object(
            Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "multipart", "Region": REGION}
        )
        model["copied"] = model["multipart"]
        for step, count in enumerate([6, 6, 6, 6, 6]):
            ranges = random_ranges(rng, model, count)
            assemble(cosine, bucket, f"slices-{step}", ranges)
            model[f"slices-{step}"] = b"".join(model[key][first:end] for key, first, end in ranges)
        check(cosine, bucket, model, rng)
        for key in ["plain", "multipart", "copied", "slices-0", "slices-1"]:
            cosine.send("DELETE", f"/{key}", bucket=bucket).expect(204)
            del model[key]
        collect(cosine, data.parent)
        check(cosine, bucket, model, rng)
    fsck(data)


def test_ten_generations(data: Path) -> None:
    """An object of parts of an object of parts, and so on: each is exact, and the last needs no other."""
    rng = random.Random(10)
    bucket = unique_bucket()
    with start(data) as cosine:
        cosine.client().create_bucket(Bucket=bucket)
        content = rng.randbytes(2 * MIB + 99)
        put(cosine, bucket, "0", content)
        for number in range(1, 13):
            before = f"{number - 1}"
            first, new = rng.randrange(1, 50_000), rng.randbytes(100 + number)
            # The front half, a bit of the border between them, the back half, and something new.
            middle = len(content) // 2
            ranges = [(first, middle + MIB // 2), (middle - MIB // 2, len(content) - first)]
            upload = initiate(cosine, bucket, f"{number}")
            etags = {}
            for at, (begin, end) in enumerate(ranges, 1):
                answer = upload.copy(at, source_of(bucket, before), f"bytes={begin}-{end - 1}")
                etags[at] = copied(answer)
                assert answer.xml.findtext("CRC64") == str(fast_crc64(content[begin:end])), (number, at)
                again = upload.copy(at, source_of(bucket, before), f"bytes={begin}-{end - 1}")
                assert copied(again) == etags[at], "the same range of the same source has the same ETag"
            etags[3] = upload.must_put(3, new)
            completed = upload.complete(etags).expect(200)
            content = b"".join(content[begin:end] for begin, end in ranges) + new
            assert completed.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(content))
            assert get(cosine, bucket, f"{number}").body == content, number
        read_ranges(cosine, bucket, "12", content, [len(content) // 2, len(content) - 100, 0], rng)
        for number in range(12):
            cosine.send("DELETE", f"/{number}", bucket=bucket).expect(204)
        collect(cosine, data.parent)
        assert get(cosine, bucket, "12").body == content
    fsck(data)


def test_whole_parts_of_whole_parts(data: Path) -> None:
    """Ten uploads of one part, each of them the one before; then with a part of nothing before and behind."""
    bucket = unique_bucket()
    with start(data) as cosine:
        cosine.client().create_bucket(Bucket=bucket)
        for name, content in [("large", LARGE), ("small", CONTENT), ("nothing", b"")]:
            put(cosine, bucket, f"{name}-0", content)
            for number in range(1, 12):
                upload = initiate(cosine, bucket, f"{name}-{number}")
                etags = {1: copied(upload.copy(1, source_of(bucket, f"{name}-{number - 1}")))}
                if name != "large" or number % 2:
                    etags = etags if name == "small" else {**etags, 2: upload.must_put(2, b"")}
                if name == "nothing":
                    etags = {2: etags[2]}
                completed = upload.complete(etags).expect(200)
                assert completed.headers["x-cos-hash-crc64ecma"] == str(fast_crc64(content))
                got = get(cosine, bucket, f"{name}-{number}").expect(200)
                assert (got.body, got.headers["Content-Length"]) == (content, str(len(content)))
            for number in range(11):
                cosine.send("DELETE", f"/{name}-{number}", bucket=bucket).expect(204)
        # The empty object of an empty part, copied whole as a part and as an object.
        upload = initiate(cosine, bucket, "of-nothing")
        etag = copied(upload.copy(1, source_of(bucket, "nothing-11")))
        upload.complete({1: etag}).expect(200)
        fields = {"x-cos-copy-source": source_of(bucket, "of-nothing")}
        cosine.send("PUT", "/copy", bucket=bucket, headers=fields).expect(200)
        assert get(cosine, bucket, "copy").body == b""
        collect(cosine, data.parent)
        assert get(cosine, bucket, "large-11").body == LARGE
        assert get(cosine, bucket, "small-11").body == CONTENT
        assert get(cosine, bucket, "copy").body == b""
    fsck(data)


def test_u10_u24_c41_c42_more_than_five_gigabytes(data: Path) -> None:
    """Copies make 6 GiB of one MiB. U10: a part holds 5 GiB and not a byte more. C41 to C43, U24: a plain copy
    takes any size, as the SDK expects. Ranges over many hundred slices read exactly."""
    rng = random.Random(6)
    bucket = unique_bucket()
    base = rng.randbytes(MIB)
    with start(data) as cosine:
        client = cosine.client()
        client.create_bucket(Bucket=bucket)
        put(cosine, bucket, "base", base)
        upload = initiate(cosine, bucket, "600")
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda number: upload.copy(number, source_of(bucket, "base")), range(1, 601)))
        assert {copied(answer) for answer in answers} == {quoted_md5(base)}
        completed = upload.complete(dict.fromkeys(range(1, 601), quoted_md5(base))).expect(200)
        assert completed.xml.findtext("ETag") == etag_of(*[base] * 600)
        assemble(cosine, bucket, "6g", [("600", 0, 600 * MIB)] * 10 + [("base", 0, 144 * 1024)])
        size = 6000 * MIB + 144 * 1024
        head = cosine.send("HEAD", "/6g", bucket=bucket).expect(200)
        assert head.headers["Content-Length"] == str(size)

        def at(first: int, end: int) -> bytes:
            turned = base[first % MIB :] + base[: first % MIB]
            return (turned * ((end - first) // MIB + 1))[: end - first]

        for _ in range(30):
            first = rng.randrange(size - 3 * MIB)
            end = first + rng.choice([1, 100, 100_000, 2 * MIB])
            got = get(cosine, bucket, "6g", f"bytes={first}-{end - 1}").expect(206)
            assert got.body == at(first, end), (first, end)

        source = source_of(bucket, "6g")
        upload = initiate(cosine, bucket)
        upload.copy(1, source).expect(400, "EntityTooLarge")
        upload.copy(1, source, f"bytes=7-{5 * GIB + 7}").expect(400, "EntityTooLarge")
        assert upload.parts() == {}
        etags = {1: copied(upload.copy(1, source, f"bytes=7-{5 * GIB + 6}"))}
        # Less than half of 600 MiB: 200 and a bit, and 280 slices of it, both over the end of a page.
        for number, (first, length) in enumerate([(99 * MIB + 1, 200 * MIB), (3, 280 * MIB), (250 * MIB, 7 * MIB)], 2):
            answer = upload.copy(number, source_of(bucket, "600"), f"bytes={first}-{first + length - 1}")
            etags[number] = copied(answer)
            assert answer.xml.findtext("CRC64") == str(fast_crc64(at(first, first + length)))
        upload.complete(etags).expect(200)
        starts = {5 * GIB: 99 * MIB + 1, 5 * GIB + 200 * MIB: 3, 5 * GIB + 480 * MIB: 250 * MIB}
        for begin, origin in starts.items():
            got = get(cosine, bucket, "k", f"bytes={begin}-{begin + 3 * MIB - 1}").expect(206)
            assert got.body == at(origin, origin + 3 * MIB)
        got = get(cosine, bucket, "k", f"bytes=0-{MIB}").expect(206)
        assert got.body == at(7, MIB + 8)

        answer = client.copy_object(
            Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k", "Region": REGION}
        )
        assert answer["ETag"] == multipart_etag(*etags.values())
        for key in ("base", "600", "6g", "k"):
            cosine.send("DELETE", f"/{key}", bucket=bucket).expect(204)
        collect(cosine, data.parent)
        got = get(cosine, bucket, "copy", f"bytes={5 * GIB - 5}-{5 * GIB + 4}").expect(206)
        assert got.body == at(5 * GIB + 2, 5 * GIB + 7) + at(99 * MIB + 1, 99 * MIB + 6)
        assert list_keys(cosine, bucket) == ["copy"]
        assert cosine.peak_memory() < 300 * MIB
    fsck(data)
