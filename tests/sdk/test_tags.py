"""Object tags: the header on put and copy, the sub-resource, limits. Ids such as C95 are statements of
the checklist of PUT Object - Copy."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlencode

import pytest
from qcloud_cos import CosS3Client, CosServiceError

from harness import REGION, Answer, Server, body_of, bucket_host

PAIRS = [("team", "storage"), ("键 + key", "a/b=c@d"), ("empty", "")]
HEADER = urlencode(PAIRS)


def tag_set(*pairs: tuple[str, str]) -> dict:
    return {"TagSet": {"Tag": [{"Key": key, "Value": value} for key, value in pairs]}}


def document(*pairs: tuple[str, str]) -> bytes:
    tags = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return f"<Tagging><TagSet>{tags}</TagSet></Tagging>".encode()


def tags_of(client: CosS3Client, bucket: str, key: str) -> list[tuple[str, str]]:
    found = client.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]
    # The SDK makes a missing list, and an empty value, None.
    return [(tag["Key"], tag["Value"] or "") for tag in (found or {}).get("Tag", [])]


def set_tags(server: Server, bucket: str, body: bytes, key: str = "k", **headers: str) -> Answer:
    return server.send("PUT", "/" + key, bucket=bucket, query={"tagging": ""}, body=body, headers=headers)


@pytest.fixture
def tagged(client: CosS3Client, bucket: str) -> str:
    """A bucket with a tagged object ``k``."""
    client.put_object(Bucket=bucket, Key="k", Body=b"data", Tagging=HEADER, Metadata={"x-cos-meta-a": "b"})
    return bucket


def test_tags_of_a_new_object(client: CosS3Client, tagged: str) -> None:
    """They come in the order in which they were sent, and are counted on GET and HEAD."""
    assert tags_of(client, tagged, "k") == PAIRS
    for answer in [client.head_object(Bucket=tagged, Key="k"), client.get_object(Bucket=tagged, Key="k")]:
        assert answer["x-cos-tagging-count"] == "3"
    client.put_object(Bucket=tagged, Key="k", Body=b"data")
    assert tags_of(client, tagged, "k") == []
    assert "x-cos-tagging-count" not in client.head_object(Bucket=tagged, Key="k")


def test_tags_of_an_object_that_is_there(client: CosS3Client, tagged: str) -> None:
    """A set replaces the whole set, and nothing else about the object."""
    before = client.head_object(Bucket=tagged, Key="k")
    client.put_object_tagging(Bucket=tagged, Key="k", Tagging=tag_set(("one", "1")))
    assert tags_of(client, tagged, "k") == [("one", "1")]
    after = client.head_object(Bucket=tagged, Key="k")
    for name in ["ETag", "Last-Modified", "x-cos-meta-a", "x-cos-hash-crc64ecma"]:
        assert after[name] == before[name]
    assert body_of(client.get_object(Bucket=tagged, Key="k")) == b"data"
    client.delete_object_tagging(Bucket=tagged, Key="k")
    assert tags_of(client, tagged, "k") == []


def test_the_answers(server: Server, tagged: str) -> None:
    answer = set_tags(server, tagged, document(("a", "1"))).expect(200)
    assert answer.body == b""
    got = server.send("GET", "/k", bucket=tagged, query={"tagging": ""}).expect(200)
    assert got.headers["content-type"] == "application/xml"
    assert (
        got.body.split()
        == (
            b'<?xml version="1.0" encoding="UTF-8"?> <Tagging> <TagSet> <Tag> <Key>a</Key> <Value>1</Value>'
            b" </Tag> </TagSet> </Tagging>"
        ).split()
    )
    assert server.send("DELETE", "/k", bucket=tagged, query={"tagging": ""}).expect(204).body == b""


# --- copies -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({}, PAIRS, id="C78-by-default"),
        pytest.param({"x-cos-tagging-directive": "Copy"}, PAIRS, id="C96-copy"),
        pytest.param({"x-cos-tagging-directive": "Copy", "x-cos-tagging": "new=1"}, PAIRS, id="C98"),
        pytest.param({"x-cos-tagging": "new=1"}, PAIRS, id="C98-by-default"),
        pytest.param(
            {"x-cos-tagging-directive": "Replaced", "x-cos-tagging": "new=1"}, [("new", "1")], id="C96-replaced"
        ),
        pytest.param({"x-cos-tagging-directive": "Replaced"}, [], id="C96-replaced-by-none"),
        pytest.param({"x-cos-metadata-directive": "Replaced"}, PAIRS, id="C96-not-the-metadata"),
    ],
)
def test_c78_c95_c96_c98_tags_of_a_copy(
    server: Server, client: CosS3Client, tagged: str, headers: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    source = f"{bucket_host(tagged, REGION)}/k"
    fields = {"x-cos-copy-source": source, **headers}
    server.send("PUT", "/copy", bucket=tagged, headers=fields).expect(200)
    assert tags_of(client, tagged, "copy") == expected
    assert tags_of(client, tagged, "k") == PAIRS
    metadata = "x-cos-meta-a" in client.head_object(Bucket=tagged, Key="copy")
    assert metadata == ("x-cos-metadata-directive" not in headers)


def test_c97_an_object_onto_itself(server: Server, client: CosS3Client, tagged: str) -> None:
    """Tags change with Replaced, and with nothing else."""
    source = f"{bucket_host(tagged, REGION)}/k"
    fields = {"x-cos-copy-source": source, "x-cos-tagging": "new=1"}
    server.send("PUT", "/k", bucket=tagged, headers=fields).expect(400, "InvalidRequest")
    assert tags_of(client, tagged, "k") == PAIRS
    fields["x-cos-tagging-directive"] = "Replaced"
    server.send("PUT", "/k", bucket=tagged, headers=fields).expect(200)
    assert tags_of(client, tagged, "k") == [("new", "1")]
    assert client.head_object(Bucket=tagged, Key="k")["x-cos-meta-a"] == "b"


@pytest.mark.parametrize("directive", ["Bogus", "Copy,Replaced", "true"])
def test_c96_an_unknown_directive(server: Server, tagged: str, directive: str) -> None:
    """400, as for metadata."""
    fields = {"x-cos-copy-source": f"{bucket_host(tagged, REGION)}/k", "x-cos-tagging-directive": directive}
    server.send("PUT", "/copy", bucket=tagged, headers=fields).expect(400, "InvalidArgument")
    assert server.send("HEAD", "/copy", bucket=tagged).status == 404


def test_c100_who_may_read_may_copy_the_tags(
    server: Server, client: CosS3Client, make_bucket: Callable[..., str]
) -> None:
    """They come with an object that is public, though nobody but its owner is told them."""
    private, writable = make_bucket(), make_bucket(ACL="public-read-write")
    client.put_object(Bucket=private, Key="k", Body=b"data", Tagging=HEADER, ACL="public-read")
    server.send("GET", "/k", bucket=private, query={"tagging": ""}, auth=None).expect(403, "AccessDenied")
    fields = {"x-cos-copy-source": f"{bucket_host(private, REGION)}/k"}
    server.send("PUT", "/copy", bucket=writable, headers=fields, auth=None).expect(200)
    assert tags_of(client, writable, "copy") == PAIRS


def test_c99_a_bad_copy_makes_nothing(server: Server, tagged: str) -> None:
    """C99."""
    fields = {
        "x-cos-copy-source": f"{bucket_host(tagged, REGION)}/k",
        "x-cos-tagging-directive": "Replaced",
        "x-cos-tagging": "cos:a=1",
    }
    server.send("PUT", "/copy", bucket=tagged, headers=fields).expect(400, "InvalidTag")
    assert server.send("HEAD", "/copy", bucket=tagged).status == 404


# --- what is refused --------------------------------------------------------------------

BAD = {
    "too-many": ([(f"k{n}", "v") for n in range(11)], "BadRequest"),
    "no-key": ([("", "v")], "InvalidTag"),
    "long-key": ([("k" * 129, "v")], "InvalidTag"),
    "long-value": ([("k", "v" * 257)], "InvalidTag"),
    "reserved": ([("cos:k", "v")], "InvalidTag"),
    "twice": ([("k", "1"), ("k", "2")], "InvalidTag"),
    "character": ([("k", "a*b")], "InvalidTag"),
}


@pytest.mark.parametrize(("pairs", "code"), BAD.values(), ids=BAD.keys())
def test_c99_bad_tags(
    server: Server, client: CosS3Client, tagged: str, pairs: list[tuple[str, str]], code: str
) -> None:
    """The same by the header and by the sub-resource; what was there stays."""
    headers = {"x-cos-tagging": urlencode(pairs, quote_via=quote)}
    server.send("PUT", "/k", bucket=tagged, body=b"new", headers=headers).expect(400, code)
    set_tags(server, tagged, document(*pairs)).expect(400, code)
    assert body_of(client.get_object(Bucket=tagged, Key="k")) == b"data"
    assert tags_of(client, tagged, "k") == PAIRS


def test_the_largest_set(client: CosS3Client, tagged: str) -> None:
    pairs = [(f"{n}" * 128, "v" * 256) for n in range(10)]
    client.put_object_tagging(Bucket=tagged, Key="k", Tagging=tag_set(*pairs))
    assert tags_of(client, tagged, "k") == pairs
    assert client.head_object(Bucket=tagged, Key="k")["x-cos-tagging-count"] == "10"


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        pytest.param(b"<Tagging>", {}, "MalformedXML", id="cut-off"),
        pytest.param(b"", {}, "MalformedXML", id="empty"),
        pytest.param(b"<!DOCTYPE a><Tagging/>", {}, "MalformedXML", id="doctype"),
        pytest.param(b"<Tagging>" + b" " * 100_000 + b"</Tagging>", {}, "XMLSizeLimit", id="too-large"),
        pytest.param(b"<Tagging/>", {"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}, "BadDigest", id="other-md5"),
    ],
)
def test_bad_documents(
    server: Server, client: CosS3Client, tagged: str, body: bytes, headers: dict[str, str], code: str
) -> None:
    set_tags(server, tagged, body, **headers).expect(400, code)
    assert tags_of(client, tagged, "k") == PAIRS


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_who_and_what(server: Server, tagged: str, method: str) -> None:
    """No object, no tags; and no canned ACL gives them to anyone but the owner."""
    body = document(("a", "1")) if method == "PUT" else b""
    query = {"tagging": ""}
    server.send(method, "/none", bucket=tagged, query=query, body=body).expect(404, "NoSuchKey")
    server.send("PUT", "/public", bucket=tagged, body=b"x", headers={"x-cos-acl": "public-read"}).expect(200)
    anonymous = server.send(method, "/public", bucket=tagged, query=query, body=body, auth=None)
    anonymous.expect(403, "AccessDenied")


def test_an_anonymous_writer_sets_no_tags(server: Server, new_bucket_name: str) -> None:
    headers = {"x-cos-acl": "public-read-write"}
    server.send("PUT", bucket=new_bucket_name, headers=headers).expect(200)
    put = server.send("PUT", "/k", bucket=new_bucket_name, body=b"x", headers={"x-cos-tagging": "a=1"}, auth=None)
    put.expect(403, "AccessDenied")
    server.send("PUT", "/k", bucket=new_bucket_name, body=b"x", auth=None).expect(200)


def test_an_unknown_object_through_the_sdk(client: CosS3Client, bucket: str) -> None:
    with pytest.raises(CosServiceError) as refused:
        client.get_object_tagging(Bucket=bucket, Key="none")
    assert refused.value.get_error_code() == "NoSuchKey"
