"""Object keys are bytes, not paths: nothing is normalised, everything is decoded once."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

import pytest
from qcloud_cos import CosS3Client, CosServiceError

from harness import Server, body_of, bucket_host, encode_path, list_keys

PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))

# Keys that the SDK can send as they are.
SDK_KEYS = {
    "all-printable-ascii": PRINTABLE,
    "cjk": "腾讯云/对象存储 示例.txt",
    "arrows": "→⇒←↑↓↔",
    "beyond-the-bmp": "🦀/𠀀",
    "double-slash": "a//b",
    "dot-slash": "./x",
    "inner-dot": "x/./y",
    "parent": "../x",
    "inner-parent": "a/../b",
    "three-dots": "...",
    "trailing-slash": "dir/",
    "trailing-slashes": "dir//",
    "percent-41": "%41",
    "percent-2f": "a%2Fb",
    "lone-percent": "100%",
    "plus": "a+b",
    "only-plus": "+",
    "question-mark": "what?x=1&y",
    "only-question-mark": "?",
    "hash": "a#b",
    "only-hash": "#",
    "one-space": " ",
    "spaces-around": "  two  ",
    "markup": "a&b<c>\"d'&amp;",
    "backslash": "back\\slash",
    "control": "tab\tline\ncr\r\x01\x7f",
    "query-words": "a=b;c,d:e@f",
    "tilde": "~",
    "acl": "?acl",
}

# Keys that URL libraries rewrite before they are sent.
RAW_KEYS = {
    "dot": ".",
    "dot-dot": "..",
    "ends-in-dot": "a/.",
    "ends-in-dot-dot": "a/..",
    "climbs-out": "../../../../etc/passwd",
}

ALL_KEYS = {**SDK_KEYS, **RAW_KEYS}


def by_id(keys: dict[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("key", keys.values(), ids=keys.keys())


def data_of(key: str) -> bytes:
    return b"the bytes of " + key.encode()


@by_id(SDK_KEYS)
def test_through_the_sdk(client: CosS3Client, bucket: str, key: str) -> None:
    """put, get, head, list, copy and delete all mean the same key."""
    source = {"Bucket": bucket, "Key": key, "Region": "ap-guangzhou"}
    client.put_object(Bucket=bucket, Key=key, Body=data_of(key))
    assert body_of(client.get_object(Bucket=bucket, Key=key, KeySimplifyCheck=False)) == data_of(key)
    assert client.head_object(Bucket=bucket, Key=key)["Content-Length"] == str(len(data_of(key)))
    listed = client.list_objects(Bucket=bucket)
    assert [entry["Key"] for entry in listed["Contents"]] == [key]
    listed = client.list_objects(Bucket=bucket, Prefix=key)
    assert [entry["Key"] for entry in listed["Contents"]] == [key]
    client.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert body_of(client.get_object(Bucket=bucket, Key="copy")) == data_of(key)
    client.delete_object(Bucket=bucket, Key=key)
    assert not client.object_exists(bucket, key)
    assert client.object_exists(bucket, "copy")


@by_id(ALL_KEYS)
def test_through_exact_requests(server: Server, bucket: str, key: str) -> None:
    """The same, with request lines that no library has touched."""
    path = "/" + key
    copy = {"x-cos-copy-source": f"{bucket_host(bucket)}{encode_path(path)}"}
    server.send("PUT", path, bucket=bucket, body=data_of(key)).expect(200)
    assert server.send("GET", path, bucket=bucket).expect(200).body == data_of(key)
    assert server.send("HEAD", path, bucket=bucket).expect(200).headers["Content-Length"] == str(len(data_of(key)))
    assert list_keys(server, bucket) == [key]
    server.send("PUT", "/copy", bucket=bucket, headers=copy).expect(200)
    assert server.send("GET", "/copy", bucket=bucket).body == data_of(key)
    server.send("DELETE", path, bucket=bucket).expect(204)
    server.send("GET", path, bucket=bucket).expect(404, "NoSuchKey")
    assert list_keys(server, bucket) == ["copy"]


@by_id(ALL_KEYS)
def test_as_the_destination_of_a_copy(server: Server, bucket: str, key: str) -> None:
    server.send("PUT", "/source", bucket=bucket, body=b"copied").expect(200)
    copy = {"x-cos-copy-source": f"{bucket_host(bucket)}/source"}
    server.send("PUT", "/" + key, bucket=bucket, headers=copy).expect(200)
    assert server.send("GET", "/" + key, bucket=bucket).body == b"copied"


@by_id(ALL_KEYS)
def test_every_byte_percent_encoded(server: Server, bucket: str, key: str) -> None:
    """``%2F`` is a slash and ``%2E`` a dot: the encoding of a path never matters."""
    everything = "/" + "".join(f"%{byte:02X}" for byte in key.encode())
    lower_case = everything.lower()
    server.send("PUT", "/" + key, bucket=bucket, target=everything, body=data_of(key)).expect(200)
    assert server.send("GET", "/" + key, bucket=bucket, target=lower_case).expect(200).body == data_of(key)
    assert server.send("GET", "/" + key, bucket=bucket).expect(200).body == data_of(key)


def test_slashes_encoded_as_the_go_client_does(server: Server, bucket: str) -> None:
    server.send("PUT", "/dir/a b.txt", bucket=bucket, target="/dir%2Fa%20b.txt", body=b"x").expect(200)
    assert list_keys(server, bucket) == ["dir/a b.txt"]


def test_each_printable_character_is_a_key_of_its_own(server: Server, bucket: str) -> None:
    """No two keys fold into one, and each keeps its own bytes."""
    keys = [f"a{character}b" for character in PRINTABLE]
    for key in keys:
        server.send("PUT", "/" + key, bucket=bucket, body=data_of(key)).expect(200)
    assert list_keys(server, bucket) == sorted(keys)
    for key in keys:
        assert server.send("GET", "/" + key, bucket=bucket).body == data_of(key)


@pytest.mark.parametrize(
    "pair",
    [
        ("a/b", "a//b"),
        ("x", "./x"),
        ("b", "a/../b"),
        ("A", "%41"),
        ("a b", "a+b"),
        ("dir", "dir/"),
        ("case", "CASE"),
        (unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")),
        ("a", "a\x01"),
    ],
    ids=ascii,
)
def test_keys_that_only_look_alike(server: Server, bucket: str, pair: tuple[str, str]) -> None:
    for key in pair:
        server.send("PUT", "/" + key, bucket=bucket, body=data_of(key)).expect(200)
    for key in pair:
        assert server.send("GET", "/" + key, bucket=bucket).body == data_of(key)
    server.send("DELETE", "/" + pair[0], bucket=bucket).expect(204)
    assert server.send("GET", "/" + pair[1], bucket=bucket).expect(200).body == data_of(pair[1])


def test_a_folder_object(client: CosS3Client, bucket: str) -> None:
    """A key that ends in ``/`` is an ordinary zero-byte object."""
    client.put_object(Bucket=bucket, Key="dir/", Body=b"")
    client.put_object(Bucket=bucket, Key="dir/file", Body=b"x")
    assert client.head_object(Bucket=bucket, Key="dir/")["Content-Length"] == "0"
    client.delete_object(Bucket=bucket, Key="dir/")
    assert client.object_exists(bucket, "dir/file")


@pytest.mark.parametrize("key", ["k" * 850, "腾" * 283 + "x", "%" * 850], ids=["ascii", "cjk", "percent"])
def test_850_bytes_are_allowed(client: CosS3Client, bucket: str, key: str) -> None:
    """The limit counts decoded bytes."""
    assert len(key.encode()) == 850
    client.put_object(Bucket=bucket, Key=key, Body=b"long")
    assert body_of(client.get_object(Bucket=bucket, Key=key)) == b"long"
    assert [entry["Key"] for entry in client.list_objects(Bucket=bucket)["Contents"]] == [key]
    client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key, "Region": "ap-guangzhou"})
    assert body_of(client.get_object(Bucket=bucket, Key="copy")) == b"long"


@pytest.mark.parametrize("key", ["k" * 851, "腾" * 284, "k" * 8000], ids=["ascii", "cjk", "very-long"])
def test_851_bytes_are_too_long(client: CosS3Client, bucket: str, key: str) -> None:
    with pytest.raises(CosServiceError) as caught:
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (400, "KeyTooLong")
    assert "Contents" not in client.list_objects(Bucket=bucket)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("//key", id="slash"),
        pytest.param("/%2Fkey", id="encoded-slash"),
        pytest.param("/%5Ckey", id="backslash"),
        pytest.param("/a%18b", id="cancel"),
        pytest.param("/a%19b", id="end-of-medium"),
        pytest.param("/a%1Ab", id="substitute"),
        pytest.param("/a%1Bb", id="escape"),
    ],
)
def test_forbidden_keys(server: Server, bucket: str, target: str) -> None:
    """A leading ``/`` or ``\\`` and four control characters are refused."""
    decoded = {"//key": "//key", "/%2Fkey": "//key", "/%5Ckey": "/\\key"}
    path = decoded.get(target) or "/a" + chr(int(target[3:5], 16)) + "b"
    answer = server.send("PUT", path, bucket=bucket, target=target, body=b"x").expect(400)
    assert answer.code
    assert list_keys(server, bucket) == []


@pytest.mark.parametrize("target", ["/%FF%FE", "/%C3", "/%ED%A0%80"], ids=["never", "cut", "surrogate"])
def test_a_key_that_is_not_utf8(server: Server, bucket: str, target: str) -> None:
    """400, whether or not the signature could be computed over it."""
    answer = server.send("PUT", "/x", bucket=bucket, target=target, body=b"x")
    assert answer.status in (400, 403) and answer.code
    assert list_keys(server, bucket) == []


def test_quoting_agrees_with_the_sdk() -> None:
    """The exact sender encodes paths as the SDK does, so both test one server."""
    for key in SDK_KEYS.values():
        assert encode_path(key) == quote(key.encode(), "/-_.~")
