"""GET Bucket, compared with a few lines of Python that say what a page must be."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote, unquote

import pytest
from qcloud_cos import CosS3Client

from harness import APPID, REGION, Server, quoted_md5

# U+FFFD and U+10000 sort one way by UTF-8 bytes and the other way by UTF-16 units.
KEYS = sorted(
    [
        "!first",
        "A",
        "Z",
        "a",
        "a/",
        "a/1",
        "a/2",
        "a/b/",
        "a/b/1",
        "a/b/2",
        "a0",
        "a//x",
        "b b",
        "b+b",
        "b%20b",
        "dir-1/x",
        "dir-1/y",
        "dir-2/x",
        "dir.3/x",
        "z",
        "é",
        "腾讯/云",
        "腾讯/雨",
        "\ufffd",
        "\U00010000",
        "→",
    ],
    key=lambda key: key.encode(),
)


@dataclass(frozen=True)
class Page:
    contents: list[str]
    prefixes: list[str]
    next_marker: str | None


def expected_page(prefix: str, delimiter: str, marker: str, max_keys: int) -> Page:
    """The specification of one page: entries are keys or rolled-up prefixes, in byte order."""
    entries: dict[bytes, bool] = {}
    for key in KEYS:
        if not key.startswith(prefix):
            continue
        rest = key[len(prefix) :]
        rolled = bool(delimiter) and delimiter in rest
        entry = prefix + rest.split(delimiter)[0] + delimiter if rolled else key
        if entry.encode() > marker.encode():
            entries[entry.encode()] = rolled
    ordered = sorted(entries)
    page = ordered[:max_keys]
    return Page(
        [entry.decode() for entry in page if not entries[entry]],
        [entry.decode() for entry in page if entries[entry]],
        page[-1].decode() if len(ordered) > max_keys else None,
    )


@pytest.fixture(scope="module")
def filled(server: Server, module_buckets: Callable[..., str]) -> str:
    name = module_buckets()
    for key in KEYS:
        server.send("PUT", "/" + key, bucket=name, body=key.encode()).expect(200)
    return name


def sdk_page(client: CosS3Client, bucket: str, prefix: str, delimiter: str, marker: str, max_keys: int) -> Page:
    page = client.list_objects(Bucket=bucket, Prefix=prefix, Delimiter=delimiter, Marker=marker, MaxKeys=max_keys)
    assert page["MaxKeys"] == str(max_keys)
    assert (page["Prefix"] or "", page["Marker"] or "") == (prefix, marker)
    assert (page["IsTruncated"] == "true") == ("NextMarker" in page)
    return Page(
        [entry["Key"] for entry in page.get("Contents", [])],
        [entry["Prefix"] for entry in page.get("CommonPrefixes", [])],
        page.get("NextMarker"),
    )


@pytest.mark.parametrize("max_keys", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("delimiter", ["", "/", "-", "讯", "b"])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b/", "dir", "dir-", "腾讯/", "none", "A"])
def test_every_page(client: CosS3Client, filled: str, prefix: str, delimiter: str, max_keys: int) -> None:
    """Following NextMarker gives, page by page, what the specification gives."""
    marker = ""
    for _ in range(2 * len(KEYS)):
        page = sdk_page(client, filled, prefix, delimiter, marker, max_keys)
        assert page == expected_page(prefix, delimiter, marker, max_keys)
        if page.next_marker is None:
            return
        marker = page.next_marker
    pytest.fail("paging does not end")


ANYWHERE = ["", "a", "a/", "a/zzz", "a0", "dir", "dir-1/", "no such key", "腾讯/", "\U0010ffff"]
INSIDE_A_PREFIX = ["a/1", "a/b/", "dir-1/x"]


@pytest.mark.parametrize(
    ("delimiter", "marker"),
    [("", marker) for marker in ANYWHERE + INSIDE_A_PREFIX] + [("/", marker) for marker in ANYWHERE],
)
def test_any_marker(client: CosS3Client, filled: str, delimiter: str, marker: str) -> None:
    """A marker is exclusive and need not exist; as a common prefix it skips all below it."""
    assert sdk_page(client, filled, "", delimiter, marker, 1000) == expected_page("", delimiter, marker, 1000)


def test_order_is_by_utf8_bytes(client: CosS3Client, filled: str) -> None:
    listed = [entry["Key"] for entry in client.list_objects(Bucket=filled)["Contents"]]
    assert listed == KEYS
    assert listed.index("\ufffd") < listed.index("\U00010000")


def test_an_entry(client: CosS3Client, filled: str) -> None:
    """Key, time, ETag, size, owner and class, in their documented forms."""
    entry = client.list_objects(Bucket=filled, Prefix="腾讯/云")["Contents"][0]
    assert entry["ETag"] == quoted_md5("腾讯/云".encode())
    assert entry["Size"] == str(len("腾讯/云".encode()))
    assert entry["StorageClass"] == "STANDARD"
    assert entry["Owner"] == {"ID": APPID, "DisplayName": APPID}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", entry["LastModified"])


def test_the_document(server: Server, filled: str) -> None:
    """Root, order of the nodes, and the region header."""
    query = {"delimiter": "/", "max-keys": "8", "encoding-type": "url"}
    answer = server.send("GET", bucket=filled, query=query).expect(200)
    assert answer.headers["Content-Type"].startswith("application/xml")
    assert answer.headers["x-cos-bucket-region"] == REGION
    assert answer.xml.tag == "ListBucketResult"
    assert answer.xml.findtext("Name") == filled
    assert answer.xml.findtext("EncodingType") == "url"
    assert answer.xml.findtext("Delimiter") == "/"
    entry = [child.tag for child in answer.xml.find("Contents") or []]
    assert entry == ["Key", "LastModified", "ETag", "Size", "Owner", "StorageClass"]


def test_without_encoding_keys_are_escaped_xml(server: Server, bucket: str) -> None:
    keys = ["a&b<c>\"d'", "a b", "腾"]
    for key in keys:
        server.send("PUT", "/" + key, bucket=bucket, body=b"x").expect(200)
    answer = server.send("GET", bucket=bucket).expect(200)
    assert [element.text for element in answer.xml.iterfind("Contents/Key")] == sorted(keys)
    assert answer.xml.find("EncodingType") is None
    assert answer.xml.find("Delimiter") is None
    assert answer.xml.find("NextMarker") is None


def test_encoding_type_url(server: Server, filled: str) -> None:
    """Percent-encoded with ``/`` left bare and a space as ``%20``."""
    query = {"encoding-type": "url", "prefix": "b ", "marker": "b "}
    answer = server.send("GET", bucket=filled, query=query).expect(200)
    assert [element.text for element in answer.xml.iterfind("Contents/Key")] == ["b%20b"]
    assert answer.xml.findtext("Prefix") == "b%20"
    assert answer.xml.findtext("Marker") == "b%20"
    answer = server.send("GET", bucket=filled, query={"encoding-type": "url", "prefix": "腾"}).expect(200)
    texts = [element.text or "" for element in answer.xml.iterfind("Contents/Key")]
    assert texts == [quote(key, safe="/-_.~") for key in KEYS if key.startswith("腾")]
    assert [unquote(text) for text in texts] == [key for key in KEYS if key.startswith("腾")]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"delimiter": "//"}, "InvalidDelimiter"),
        ({"delimiter": "腾讯"}, "InvalidDelimiter"),
        ({"encoding-type": "base64"}, "InvalidArgument"),
        ({"max-keys": "0"}, "InvalidArgument"),
        ({"max-keys": "-1"}, "InvalidArgument"),
        ({"max-keys": "ten"}, "InvalidArgument"),
    ],
    ids=lambda case: str(case),
)
def test_bad_parameters(server: Server, filled: str, query: dict[str, str], code: str) -> None:
    server.send("GET", bucket=filled, query=query).expect(400, code)


def test_empty_parameters_mean_none(server: Server, filled: str) -> None:
    """SDKs send ``prefix=&delimiter=&marker=`` all the time."""
    query = {"prefix": "", "delimiter": "", "marker": ""}
    answer = server.send("GET", bucket=filled, query=query).expect(200)
    assert len(answer.xml.findall("Contents")) == len(KEYS)
    assert answer.xml.find("CommonPrefixes") is None


@pytest.fixture(scope="module")
def crowded(server: Server, module_buckets: Callable[..., str]) -> tuple[str, list[str]]:
    """A bucket with more keys than fit on a page."""
    name = module_buckets()
    keys = [f"k{number:05}" for number in range(1005)]

    def put(key: str) -> None:
        server.send("PUT", "/" + key, bucket=name).expect(200)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(put, keys))
    return name, keys


@pytest.mark.parametrize("max_keys", [None, "1000", "1001", "5000"])
def test_a_page_holds_a_thousand(server: Server, crowded: tuple[str, list[str]], max_keys: str | None) -> None:
    """1000 is the default and the most."""
    name, keys = crowded
    query = {} if max_keys is None else {"max-keys": max_keys}
    first = server.send("GET", bucket=name, query=query).expect(200).xml
    assert [element.text for element in first.iterfind("Contents/Key")] == keys[:1000]
    assert first.findtext("IsTruncated") == "true"
    assert first.findtext("MaxKeys") == "1000"
    marker = first.findtext("NextMarker") or ""
    assert marker == keys[999]
    second = server.send("GET", bucket=name, query={**query, "marker": marker}).expect(200).xml
    assert [element.text for element in second.iterfind("Contents/Key")] == keys[1000:]
    assert second.findtext("IsTruncated") == "false"
    assert second.find("NextMarker") is None


def test_a_page_that_just_fits_is_not_truncated(server: Server, filled: str) -> None:
    page = server.send("GET", bucket=filled, query={"max-keys": str(len(KEYS))}).expect(200).xml
    assert page.findtext("IsTruncated") == "false"
    assert page.find("NextMarker") is None


def test_list_after_write_and_after_delete(client: CosS3Client, bucket: str) -> None:
    """A list shows every acknowledged change at once."""
    for number in range(20):
        client.put_object(Bucket=bucket, Key=f"{number:02}", Body=b"x")
        assert len(client.list_objects(Bucket=bucket)["Contents"]) == number + 1
    for number in range(19):
        client.delete_object(Bucket=bucket, Key=f"{number:02}")
        assert len(client.list_objects(Bucket=bucket)["Contents"]) == 19 - number
