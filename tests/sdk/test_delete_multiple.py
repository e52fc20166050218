"""DELETE Multiple Objects."""

from __future__ import annotations

import base64
import hashlib
from xml.sax.saxutils import escape

import pytest
from qcloud_cos import CosS3Client, CosServiceError

from harness import Answer, Server, list_keys, unique_bucket

KEYS = ["a", "b/c", "d e+f", "x&y<z>\"'", "腾讯→", "..", "a//b", "%41", "dir/"]


def document(keys: list[str], quiet: bool = False) -> bytes:
    objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
    flag = "<Quiet>true</Quiet>" if quiet else ""
    return f"<Delete>{flag}{objects}</Delete>".encode()


def delete(server: Server, bucket: str, body: bytes, md5: str | None = "right") -> Answer:
    headers = {"Content-Type": "application/xml"}
    if md5 is not None:
        right = base64.b64encode(hashlib.md5(body).digest()).decode()
        headers["Content-MD5"] = right if md5 == "right" else md5
    return server.send("POST", bucket=bucket, query={"delete": ""}, headers=headers, body=body)


@pytest.fixture
def filled(server: Server, bucket: str) -> str:
    for key in [*KEYS, "kept"]:
        server.send("PUT", "/" + key, bucket=bucket, body=b"x").expect(200)
    return bucket


def test_each_deleted_key_is_reported(server: Server, client: CosS3Client, filled: str) -> None:
    """Keys with markup, spaces and dots are deleted and named as they were sent."""
    result = client.delete_objects(Bucket=filled, Delete={"Object": [{"Key": key} for key in KEYS]})
    assert sorted(entry["Key"] for entry in result["Deleted"]) == sorted(KEYS)
    assert "Error" not in result
    assert list_keys(server, filled) == ["kept"]


@pytest.mark.parametrize("quiet", ["true", "false"])
def test_quiet(server: Server, client: CosS3Client, filled: str, quiet: str) -> None:
    """Quiet leaves only errors in the answer; here there are none."""
    result = client.delete_objects(Bucket=filled, Delete={"Quiet": quiet, "Object": [{"Key": "a"}, {"Key": "b/c"}]})
    assert "Error" not in result
    assert ("Deleted" in result) == (quiet == "false")
    assert set(list_keys(server, filled)) == {*KEYS, "kept"} - {"a", "b/c"}


def test_the_answer(server: Server, filled: str) -> None:
    answer = delete(server, filled, document(["a", "missing"])).expect(200)
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.xml.tag == "DeleteResult"
    assert [element.text for element in answer.xml.iterfind("Deleted/Key")] == ["a", "missing"]
    quiet = delete(server, filled, document(["b/c"], quiet=True)).expect(200)
    assert quiet.xml.tag == "DeleteResult" and len(quiet.xml) == 0


def test_a_missing_key_is_reported_as_deleted(client: CosS3Client, bucket: str) -> None:
    result = client.delete_objects(Bucket=bucket, Delete={"Object": [{"Key": "never-was"}]})
    assert [entry["Key"] for entry in result["Deleted"]] == ["never-was"]


def test_the_same_key_twice(server: Server, filled: str) -> None:
    answer = delete(server, filled, document(["a", "a"])).expect(200)
    assert {element.text for element in answer.xml.iterfind("Deleted/Key")} == {"a"}
    assert answer.xml.find("Error") is None
    assert "a" not in list_keys(server, filled)


def test_a_declaration_and_blanks(server: Server, filled: str) -> None:
    """What other clients write around the same document changes nothing."""
    body = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Delete>\n  <Quiet>false</Quiet>\n'
        b"  <Object>\n    <Key>a</Key>\n  </Object>\n</Delete>\n"
    )
    answer = delete(server, filled, body).expect(200)
    assert [element.text for element in answer.xml.iterfind("Deleted/Key")] == ["a"]


# --- Content-MD5 -----------------------------------------------------------------------


def test_without_content_md5(server: Server, filled: str) -> None:
    """400 InvalidRequest: a mass deletion must prove that it arrived whole."""
    delete(server, filled, document(["a"]), md5=None).expect(400, "InvalidRequest")
    assert set(list_keys(server, filled)) == {*KEYS, "kept"}


@pytest.mark.parametrize("md5", ["1B2M2Y8AsgTpgAmY7PhCfg==", "nonsense", ""], ids=["of-nothing", "malformed", "empty"])
def test_a_wrong_content_md5(server: Server, filled: str, md5: str) -> None:
    answer = delete(server, filled, document(["a"]), md5=md5)
    answer.expect(400, "InvalidDigest", "BadDigest", *(["InvalidRequest"] if not md5 else []))
    assert set(list_keys(server, filled)) == {*KEYS, "kept"}


# --- limits and bad documents -------------------------------------------------------------


def test_a_thousand_keys(server: Server, bucket: str) -> None:
    """The limit itself is allowed."""
    server.send("PUT", "/k0999", bucket=bucket, body=b"x").expect(200)
    keys = [f"k{number:04}" for number in range(1000)]
    answer = delete(server, bucket, document(keys)).expect(200)
    assert [element.text for element in answer.xml.iterfind("Deleted/Key")] == keys
    assert list_keys(server, bucket) == []


def test_more_than_a_thousand_keys(server: Server, filled: str) -> None:
    keys = ["a"] + [f"k{number:04}" for number in range(1000)]
    delete(server, filled, document(keys)).expect(400, "MalformedXML")
    assert "a" in list_keys(server, filled)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"not xml", id="text"),
        pytest.param(b"<Delete><Object><Key>a</Key></Object>", id="cut"),
        pytest.param(b"<Delete><Object><Key>a</Object></Key></Delete>", id="crossed"),
        pytest.param(b"<Remove><Object><Key>a</Key></Object></Remove>", id="wrong-root"),
        pytest.param(b"<Delete></Delete>", id="no-object"),
        pytest.param(b"<Delete><Object></Object></Delete>", id="no-key"),
        pytest.param(b"<Delete><Object><Key>\xff\xfe</Key></Object></Delete>", id="not-utf8"),
    ],
)
def test_malformed_documents(server: Server, filled: str, body: bytes) -> None:
    answer = delete(server, filled, body)
    answer.expect(400, "MalformedXML", *(["MissingRequestBodyError", "InvalidRequest"] if not body else []))
    assert set(list_keys(server, filled)) == {*KEYS, "kept"}


def test_in_an_absent_bucket(client: CosS3Client) -> None:
    with pytest.raises(CosServiceError) as caught:
        client.delete_objects(Bucket=unique_bucket(), Delete={"Object": [{"Key": "a"}]})
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (404, "NoSuchBucket")


def test_anonymous_in_a_private_bucket(server: Server, filled: str) -> None:
    """Refused whole or key by key, but never done."""
    body = document(["a"])
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    answer = server.send("POST", bucket=filled, query={"delete": ""}, headers=headers, body=body, auth=None)
    if answer.status == 200:
        assert [element.text for element in answer.xml.iterfind("Error/Code")] == ["AccessDenied"]
        assert answer.xml.find("Deleted") is None
    else:
        answer.expect(403, "AccessDenied")
    assert "a" in list_keys(server, filled)
