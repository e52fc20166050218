"""POST Object: forms, as browsers send them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from harness import APPID, SECRET_ID, SECRET_KEY, Answer, Server, Who, authorization, bucket_host, crc64, quoted_md5
from people import allow, make_user
from test_sts import token_for

DATA = b"from a form"
OWNER = Who(SECRET_ID, SECRET_KEY)
File = tuple[str, bytes]


def form(fields: list[tuple[str, str | bytes | File]]) -> tuple[dict[str, str], bytes]:
    """Fields in their order; a pair is a file's name and bytes."""
    boundary = uuid.uuid4().hex
    body = b""
    for name, value in fields:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if isinstance(value, tuple):
            body += f'; filename="{value[0]}"\r\nContent-Type: text/plain'.encode()
            value = value[1]
        body += b"\r\n\r\n" + (value.encode() if isinstance(value, str) else value) + b"\r\n"
    return {"Content-Type": f"multipart/form-data; boundary={boundary}"}, body + f"--{boundary}--\r\n".encode()


def signed(who: Who, *conditions: object, expires: int = 900, window: str | None = None) -> list[tuple[str, str]]:
    """The fields that sign a policy of these conditions."""
    now = int(time.time())
    window = window or f"{now - 60};{now + 900}"
    text = json.dumps(
        {
            "expiration": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now + expires)),
            "conditions": [
                *conditions,
                {"q-sign-algorithm": "sha1"},
                {"q-ak": who.secret_id},
                {"q-sign-time": window},
            ],
        }
    )
    mac = lambda key, message: hmac.new(key.encode(), message.encode(), hashlib.sha1).hexdigest()
    signature = mac(mac(who.secret_key, window), hashlib.sha1(text.encode()).hexdigest())
    fields = [
        ("policy", base64.b64encode(text.encode()).decode()),
        ("q-sign-algorithm", "sha1"),
        ("q-ak", who.secret_id),
        ("q-key-time", window),
        ("q-signature", signature),
    ]
    return [*fields, ("x-cos-security-token", who.token)] if who.token else fields


def post(server: Server, bucket: str, fields: list, **more: object) -> Answer:
    headers, body = form(fields)
    return server.send("POST", bucket=bucket, headers=headers, body=body, auth=None, **more)


def test_a_form_is_a_put(server: Server, bucket: str) -> None:
    """With everything that a PUT may say; the file's own type says nothing."""
    fields = [
        ("key", "dir/${filename}"),
        ("Content-Type", "image/x-mine"),
        ("Cache-Control", "max-age=5"),
        ("x-cos-meta-color", "green"),
        ("x-cos-storage-class", "STANDARD_IA"),
        ("x-cos-tagging", "a=b"),
        ("acl", "public-read"),
        ("Content-MD5", base64.b64encode(hashlib.md5(DATA).digest()).decode()),
        ("unknown", "ignored"),
        *signed(OWNER, {"bucket": bucket}, ["starts-with", "$key", "dir/"], {"acl": "public-read"}),
        ("file", ("C:\\home\\näme.txt", DATA)),
        ("after", "ignored"),
    ]
    answer = post(server, bucket, fields).expect(204)
    assert answer.headers["ETag"] == quoted_md5(DATA)
    assert answer.headers["x-cos-hash-crc64ecma"] == str(crc64(DATA))
    assert answer.headers["Location"] == f"http://{bucket_host(bucket)}/dir/n%C3%A4me.txt"
    stored = server.send("GET", "/dir/näme.txt", bucket=bucket, auth=None).expect(200)
    assert stored.body == DATA
    assert [stored.headers[name] for name in ("Content-Type", "Cache-Control", "x-cos-meta-color")] == [
        "image/x-mine",
        "max-age=5",
        "green",
    ]
    assert (stored.headers["x-cos-storage-class"], stored.headers["x-cos-tagging-count"]) == ("STANDARD_IA", "1")


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 5 << 20])
def test_every_byte_of_a_file(server: Server, bucket: str, size: int) -> None:
    """Also of one that looks like the end of a form all the time."""
    data = (b"\r\n--\r\n-" * (size // 7 + 1))[:size]
    post(server, bucket, [("key", "k"), *signed(OWNER), ("file", ("f", data))]).expect(204)
    assert server.send("GET", "/k", bucket=bucket).body == data


@pytest.mark.parametrize(("asked", "status"), [("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204)])
def test_success_action_status(server: Server, bucket: str, asked: str, status: int) -> None:
    fields = [("key", "a k"), ("success_action_status", asked), *signed(OWNER), ("file", ("f", DATA))]
    answer = post(server, bucket, fields).expect(status)
    if status == 201:
        assert answer.xml.tag == "PostResponse"
        nodes = {node.tag: node.text for node in answer.xml}
        location = f"http://{bucket_host(bucket)}/a%20k"
        assert nodes == {"Location": location, "Bucket": bucket, "Key": "a k", "ETag": quoted_md5(DATA)}
    else:
        assert answer.body == b""


def test_success_action_redirect(server: Server, bucket: str) -> None:
    url = "http://page.example/done?x=1"
    fields = [("key", "a&b"), ("success_action_redirect", url), ("success_action_status", "201"), *signed(OWNER)]
    answer = post(server, bucket, [*fields, ("file", ("f", DATA))]).expect(303)
    to = urlsplit(answer.headers["Location"])
    query = {"x": ["1"], "bucket": [bucket], "key": ["a&b"], "etag": [quoted_md5(DATA)]}
    assert (to.netloc, to.path, parse_qs(to.query)) == ("page.example", "/done", query)
    for bad in ["javascript:alert(1)", "http://a\r\nSet-Cookie: x"]:
        fields = [("key", "k"), ("success_action_redirect", bad), *signed(OWNER), ("file", ("f", DATA))]
        answer = post(server, bucket, fields).expect(204)
        assert "Set-Cookie" not in answer.headers


def test_who_may_post(server: Server, make_bucket: Callable[..., str]) -> None:
    bucket = make_bucket()
    file = ("file", ("f", DATA))
    post(server, bucket, [("key", "k"), file]).expect(403, "AccessDenied")
    assert server.send("HEAD", "/k", bucket=bucket).status == 404
    poster = make_user(server, allow("PostObject", f"{bucket}/dir/*"))
    post(server, bucket, [("key", "dir/k"), *signed(poster), file]).expect(204)
    post(server, bucket, [("key", "k"), *signed(poster), file]).expect(403, "AccessDenied")
    post(server, bucket, [("key", "dir/k"), ("acl", "public-read"), *signed(poster), file]).expect(403, "AccessDenied")
    post(server, bucket, [("key", "dir/k"), ("x-cos-tagging", "a=b"), *signed(poster), file]).expect(403)
    putter = make_user(server, allow("PutObject"))
    post(server, bucket, [("key", "k"), *signed(putter), file]).expect(403, "AccessDenied")
    temporary = token_for(server, poster, allow("*", f"{bucket}/dir/a/*"))
    post(server, bucket, [("key", "dir/a/k"), *signed(temporary), file]).expect(204)
    post(server, bucket, [("key", "dir/k"), *signed(temporary), file]).expect(403, "AccessDenied")
    without = Who(temporary.secret_id, temporary.secret_key)
    post(server, bucket, [("key", "dir/a/k"), *signed(without), file]).expect(403, "InvalidAccessKeyId")
    everyone = make_bucket(ACL="public-read-write")
    post(server, everyone, [("key", "k"), file]).expect(204)
    post(server, everyone, [("key", "k2"), ("acl", "public-read"), file]).expect(403, "AccessDenied")
    post(server, everyone, [("key", "k"), ("x-cos-security-token", ""), *signed(OWNER), file]).expect(204)


def test_a_form_that_is_not_what_its_policy_says(server: Server, bucket: str) -> None:
    file = ("file", ("f", DATA))
    for conditions, fields, code in [
        ([{"key": "other"}], [], "AccessDenied"),
        ([{"bucket": "other-1250000000"}], [], "AccessDenied"),
        ([["starts-with", "$key", "dir/"]], [], "AccessDenied"),
        ([["starts-with", "$Content-Type", "image/"]], [("Content-Type", "text/html")], "AccessDenied"),
        ([["starts-with", "$x-cos-meta-a", ""]], [], "AccessDenied"),
        ([["content-length-range", 0, 3]], [], "EntityTooLarge"),
        ([["content-length-range", 100, 200]], [], "EntityTooSmall"),
        ([["like", "$key", "k"]], [], "InvalidPolicyDocument"),
    ]:
        answer = post(server, bucket, [("key", "k"), *fields, *signed(OWNER, *conditions), file])
        answer.expect(403 if code == "AccessDenied" else 400, code)
        assert server.send("HEAD", "/k", bucket=bucket).status == 404, conditions
    answer = post(server, bucket, [("key", "k"), *signed(OWNER, {"key": "other"}), file])
    assert answer.xml.findtext("Message") == "Condition key key doesn't match the value k"
    late = post(server, bucket, [("key", "k"), *signed(OWNER, expires=-5), file]).expect(403, "AccessDenied")
    assert "expired" in (late.xml.findtext("Message") or "")
    old = signed(OWNER, window="1567150692;1567157892")
    answer = post(server, bucket, [("key", "k"), *old, file]).expect(403, "AccessDenied")
    assert answer.xml.findtext("Message") == "Request has expired"


def test_a_signature_that_is_wrong(server: Server, bucket: str) -> None:
    file = ("file", ("f", DATA))
    right = dict(signed(OWNER, {"key": "k"}))
    wrong = dict(signed(OWNER, {"key": "l"}))
    for changes, code in [
        ({"policy": wrong["policy"]}, "SignatureDoesNotMatch"),
        ({"q-signature": "0" * 40}, "SignatureDoesNotMatch"),
        ({"q-ak": "AKIDnobody"}, "InvalidAccessKeyId"),
        ({"q-sign-algorithm": "md5"}, "AccessDenied"),
        ({"q-key-time": "1;2"}, "AccessDenied"),
    ]:
        answer = post(server, bucket, [("key", "k"), *{**right, **changes}.items(), file])
        answer.expect(403, code)
    for missing in ["q-signature", "q-ak", "q-key-time"]:
        left = [(name, value) for name, value in right.items() if name != missing]
        post(server, bucket, [("key", "k"), *left, file]).expect(403, "AccessDenied")
    only = [("key", "k"), ("policy", right["policy"]), file]
    post(server, bucket, only).expect(403, "AccessDenied")
    assert server.send("HEAD", "/k", bucket=bucket).status == 404


def test_a_form_that_is_none(server: Server, bucket: str) -> None:
    file = ("file", ("f", DATA))
    ok = [("key", "k"), *signed(OWNER)]
    for fields, code in [
        ([*ok], "IncorrectNumberOfFilesInPostRequest"),
        ([*ok, file, file], "IncorrectNumberOfFilesInPostRequest"),
        ([*signed(OWNER), file], "MalformedPOSTRequest"),
        ([file, *ok], "MalformedPOSTRequest"),
        ([("key", "l"), *ok, file], "MalformedPOSTRequest"),
        ([*ok, ("acl", "private"), ("x-cos-acl", "public-read"), file], "MalformedPOSTRequest"),
        ([*ok, ("x-cos-meta-a", "x" * 40_000), file], "MalformedPOSTRequest"),
        ([*ok, ("x-cos-meta-a", "x" * 3_000), file], "KeyTooLong"),
        ([*ok, ("x-cos-meta-a", "a\r\nb: c"), file], "InvalidArgument"),
        ([*ok, ("Content-Type", b"\xff"), file], "MalformedPOSTRequest"),
        ([*ok, ("Content-MD5", base64.b64encode(b"0" * 16).decode()), file], "BadDigest"),
        ([*ok, ("x-cos-storage-class", "COLDEST"), file], "InvalidArgument"),
        ([("key", "k" * 900), *signed(OWNER), file], "KeyTooLong"),
    ]:
        post(server, bucket, fields).expect(400, code)
        assert server.send("HEAD", "/k", bucket=bucket).status == 404, code
    headers, body = form([*ok, file])
    for sent, bytes_ in [
        ({"Content-Type": "text/plain"}, body),
        ({"Content-Type": "multipart/form-data"}, body),
        ({"Content-Type": "multipart/form-data; boundary=other"}, body),
        (headers, body[: len(body) // 2]),
        (headers, body[:-60]),
        (headers, b""),
    ]:
        answer = server.send("POST", bucket=bucket, headers=sent, body=bytes_, auth=None)
        answer.expect(400, "MalformedPOSTRequest", "IncorrectNumberOfFilesInPostRequest")
    server.send("POST", bucket=bucket, headers=headers, body=[body], auth=None).expect(411, "MissingContentLength")
    encrypted = [*ok, ("x-cos-server-side-encryption", "AES"), file]
    post(server, bucket, encrypted).expect(400, "InvalidArgument")
    assert server.send("HEAD", "/k", bucket=bucket).status == 404


def test_a_header_without_an_end_does_not_fill_the_memory(server: Server, bucket: str) -> None:
    headers, body = form([("key", "k")])
    boundary = headers["Content-Type"].split("=")[1]
    before = server.peak_memory()
    for endless in [
        f"--{boundary}\r\nContent-Disposition: form-data; name=\"a\"; x=".encode() + b"x" * (64 << 20),
        f"--{boundary}\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n".encode() + b"x" * (64 << 20),
        b"x" * (64 << 20),
    ]:
        answer = server.send("POST", bucket=bucket, headers=headers, body=endless, auth=None)
        answer.expect(400)
    assert server.peak_memory() - before < 48 << 20


def test_a_large_form_takes_little_memory(tmp_path: Path) -> None:
    """However fast it comes. A server of its own: the peak of another one says nothing of this form."""
    server, bucket = Server(tmp_path / "data"), f"forms-{APPID}"
    server.send("PUT", bucket=bucket).expect(200)
    data = bytes(range(256)) * (1 << 17)
    before = server.peak_memory()
    post(server, bucket, [("key", "k"), *signed(OWNER), ("file", ("f", data))]).expect(204)
    assert server.peak_memory() - before < 24 << 20
    assert server.send("HEAD", "/k", bucket=bucket).headers["x-cos-hash-crc64ecma"] == str(crc64(data))
    server.stop()


def test_what_gives_access_away_is_in_the_policy(server: Server, bucket: str) -> None:
    """Who holds a signed form adds no ACL to it; nor does a signature that covers no field at all."""
    file = ("file", ("f", DATA))
    everyone = 'id="qcs::cam::anyone:anyone"'
    for field in [("acl", "public-read"), ("x-cos-acl", "public-read"), ("x-cos-grant-full-control", everyone)]:
        fields = [("key", "k"), field, *signed(OWNER, ["starts-with", "$key", ""]), file]
        post(server, bucket, fields).expect(403, "AccessDenied")
        old = authorization("POST", "/", headers={"host": bucket_host(bucket)})
        post(server, bucket, [("key", "k"), field, ("Signature", old), file]).expect(403, "AccessDenied")
        headers, body = form([("key", "k"), field, file])
        sent = server.send("POST", bucket=bucket, headers=headers, body=body)
        sent.expect(403, "AccessDenied")
        assert server.send("HEAD", "/k", bucket=bucket).status == 404
    both = [("key", "k"), ("acl", ""), ("x-cos-acl", "public-read"), *signed(OWNER, {"acl": ""}), file]
    post(server, bucket, both).expect(400, "MalformedPOSTRequest")
    allowed = [("key", "k"), ("x-cos-acl", "public-read"), *signed(OWNER, {"acl": "public-read"}), file]
    post(server, bucket, allowed).expect(204)
    assert server.send("GET", "/k", bucket=bucket, auth=None).expect(200).body == DATA


def test_the_old_form_of_a_signature(server: Server, bucket: str) -> None:
    """One field with a whole Authorization, for POST and the path."""
    file = ("file", ("f", DATA))
    old = authorization("POST", "/", headers={"host": bucket_host(bucket)})
    post(server, bucket, [("key", "k"), ("Signature", old), file]).expect(204)
    assert server.send("GET", "/k", bucket=bucket).body == DATA
    other = authorization("PUT", "/", headers={"host": bucket_host(bucket)})
    post(server, bucket, [("key", "l"), ("Signature", other), file]).expect(403, "SignatureDoesNotMatch")
