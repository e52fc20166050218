"""Who may do what, and how a refusal looks."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Callable
from email.utils import formatdate
from urllib.parse import quote, urlencode

import pytest
import requests
from qcloud_cos import CosS3Client, CosServiceError

from harness import (
    Answer,
    Server,
    authorization,
    body_of,
    bucket_host,
    list_keys,
    unique_bucket,
)

DATA = b"for those who may read it"


@pytest.fixture
def with_object(server: Server, bucket: str) -> str:
    """A private bucket with one object ``k``."""
    server.send("PUT", "/k", bucket=bucket, body=DATA).expect(200)
    return bucket


def window(start: int, end: int) -> str:
    """A key time relative to now."""
    now = int(time.time())
    return f"{now + start};{now + end}"


def test_the_suites_own_signer_makes_the_published_signature() -> None:
    """The vector of the signature document, so that a refusal is never this suite's fault."""
    host = "examplebucket-1250000000.cos.ap-beijing.myqcloud.com"
    value = authorization(
        "GET",
        "/exampleobject(腾讯云)",
        params={
            "response-content-type": "application/octet-stream",
            "response-cache-control": "max-age=600",
        },
        headers={"Date": "Thu, 16 May 2019 06:55:53 GMT", "Host": host},
        key_time="1557989753;1557996953",
        secret_id="AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q",
        secret_key="BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz",
    )
    assert value.endswith("&q-signature=01681b8c9d798a678e43b685a9f1bba0f6c0e012")


# --- presigned URLs ---------------------------------------------------------------------


def test_presigned_get_with_a_plain_http_client(server: Server, with_object: str) -> None:
    """A URL made by the SDK works in a client that knows nothing of COS."""
    url = server.url_client().get_presigned_url(with_object, "k", "GET")
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(url, proxies={"http": f"http://{server.address}"}, timeout=30)
    assert (answer.status_code, answer.content) == (200, DATA)


@pytest.mark.parametrize("key", ["k", "a b+c/腾讯.txt", "what?#", "%41", "dir/./x"])
@pytest.mark.parametrize("method", ["PUT", "GET", "HEAD", "DELETE"])
def test_presigned_methods(server: Server, bucket: str, method: str, key: str) -> None:
    if method != "PUT":
        server.send("PUT", "/" + key, bucket=bucket, body=DATA).expect(200)
    url = server.url_client().get_presigned_url(bucket, key, method)
    answer = server.open_url(method, url, body=DATA if method == "PUT" else b"")
    answer.expect(204 if method == "DELETE" else 200)
    if method == "GET":
        assert answer.body == DATA
    assert list_keys(server, bucket) == ([] if method == "DELETE" else [key])


def test_presigned_with_parameters(server: Server, with_object: str) -> None:
    """``+`` in a query is a space, although it was signed as ``%20``."""
    params = {
        "response-content-type": "text/plain; charset=utf-8",
        "response-content-disposition": 'attachment; filename="a+b c.txt"',
    }
    url = server.url_client().get_presigned_download_url(with_object, "k", Params=params)
    assert "+" in url
    answer = server.open_url("GET", url).expect(200)
    assert answer.headers["Content-Type"] == params["response-content-type"]
    assert answer.headers["Content-Disposition"] == params["response-content-disposition"]


def test_presigned_with_headers(server: Server, bucket: str) -> None:
    """A signed header must be sent as it was signed."""
    url = server.url_client().get_presigned_url(bucket, "k", "PUT", Headers={"x-cos-meta-a": "1"})
    server.open_url("PUT", url, body=b"x").expect(403, "SignatureDoesNotMatch")
    server.open_url("PUT", url, headers={"x-cos-meta-a": "2"}, body=b"x").expect(403, "SignatureDoesNotMatch")
    assert list_keys(server, bucket) == []
    server.open_url("PUT", url, headers={"x-cos-meta-a": "1"}, body=b"x").expect(200)
    assert server.send("HEAD", "/k", bucket=bucket).headers["x-cos-meta-a"] == "1"


def test_presigned_without_a_signed_host(server: Server, with_object: str) -> None:
    """The host is recommended in the list, not required."""
    url = server.url_client().get_presigned_url(with_object, "k", "GET", SignHost=False)
    assert server.open_url("GET", url).expect(200).body == DATA


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda url: ("GET", url.replace("/k?", "/other?")), id="key"),
        pytest.param(lambda url: ("DELETE", url), id="method"),
        pytest.param(lambda url: ("GET", url.replace("max-age%3D1", "max-age%3D2")), id="parameter"),
        pytest.param(lambda url: ("GET", url.replace("&response-cache-control=max-age%3D1", "")), id="parameter-gone"),
    ],
)
def test_a_presigned_url_that_was_changed(
    server: Server, with_object: str, change: Callable[[str], tuple[str, str]]
) -> None:
    server.send("PUT", "/other", bucket=with_object, body=b"other").expect(200)
    url = server.url_client().get_presigned_url(with_object, "k", "GET", Params={"response-cache-control": "max-age=1"})
    server.open_url("GET", url).expect(200)
    method, changed = change(url)
    assert (method, changed) != ("GET", url)
    server.open_url(method, changed).expect(403, "SignatureDoesNotMatch")
    assert list_keys(server, with_object) == ["k", "other"]


def test_a_presigned_url_that_expired(server: Server, with_object: str) -> None:
    """403 AccessDenied with the exact message that makes clients correct their clock."""
    host = bucket_host(with_object)
    value = authorization("GET", "/k", headers={"host": host}, key_time=window(-7200, -3600))
    query = urlencode(dict(part.split("=", 1) for part in value.split("&")))
    answer = server.open_url("GET", f"http://{host}/k?{query}").expect(403, "AccessDenied")
    assert answer.xml.findtext("Message") == "Request has expired"


# --- the carriers of a signature -----------------------------------------------------------


@pytest.mark.parametrize("carrier", ["header", "query", "sign"])
def test_carriers(server: Server, with_object: str, carrier: str) -> None:
    """Header, seven query parameters, or one ``sign=`` parameter."""
    host = bucket_host(with_object)
    value = authorization("GET", "/k", headers={"Host": host})
    match carrier:
        case "header":
            answer = server.send("GET", "/k", host=host, auth=value)
        case "query":
            query = "&".join(f"{k}={quote(v, safe='')}" for k, v in (part.split("=", 1) for part in value.split("&")))
            answer = server.open_url("GET", f"http://{host}/k?{query}")
        case _:
            answer = server.open_url("GET", f"http://{host}/k?sign={quote(value, safe='')}")
    assert answer.expect(200).body == DATA


def test_sign_parameter_with_a_wrong_signature(server: Server, with_object: str) -> None:
    host = bucket_host(with_object)
    value = authorization("GET", "/k", headers={"Host": host}, secret_key="another")
    answer = server.open_url("GET", f"http://{host}/k?sign={quote(value, safe='')}")
    answer.expect(403, "SignatureDoesNotMatch")


def test_the_order_of_the_fields_does_not_matter(server: Server, with_object: str) -> None:
    host = bucket_host(with_object)
    value = authorization("GET", "/k", headers={"Host": host})
    backwards = "&".join(reversed(value.split("&")))
    assert server.send("GET", "/k", host=host, auth=backwards).expect(200).body == DATA


def test_empty_lists(server: Server, with_object: str) -> None:
    """Signing no header and no parameter is legal."""
    value = authorization("GET", "/k")
    assert "q-header-list=&q-url-param-list=&" in value
    assert server.send("GET", "/k", bucket=with_object, auth=value).expect(200).body == DATA


@pytest.mark.parametrize("with_port", [False, True], ids=["signed-without", "signed-with"])
def test_the_port_of_the_host(server: Server, with_object: str, with_port: bool) -> None:
    """The Python SDK signs the host without its port and sends it with the port."""
    host = bucket_host(with_object)
    sent = f"{host}:{server.port}"
    value = authorization("GET", "/k", headers={"Host": sent if with_port else host})
    assert server.send("GET", "/k", host=sent, auth=value).expect(200).body == DATA


def test_blanks_around_a_header_value(server: Server, with_object: str) -> None:
    """Some SDKs sign the trimmed value."""
    host = bucket_host(with_object)
    value = authorization("GET", "/k", headers={"Host": host, "x-cos-meta-a": "v"})
    answer = server.send("GET", "/k", host=host, headers={"x-cos-meta-a": "  v  "}, auth=value)
    assert answer.expect(200).body == DATA


# --- refusals -----------------------------------------------------------------------------


def expect_error(call: Callable[[], object], status: int, code: str) -> CosServiceError:
    with pytest.raises(CosServiceError) as caught:
        call()
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (status, code)
    return caught.value


def test_a_wrong_secret(server: Server, with_object: str) -> None:
    """SignatureDoesNotMatch, and the document shows what the server signed."""
    wrong = server.client(SecretKey="not-the-secret")
    error = expect_error(lambda: wrong.get_object(Bucket=with_object, Key="k"), 403, "SignatureDoesNotMatch")
    assert error.get_error_msg() == "The Signature you specified is invalid."
    assert "<StringToSign>sha1\n" in error.get_origin_msg().replace("&#10;", "\n").replace("&#xA;", "\n")
    expect_error(lambda: wrong.put_object(Bucket=with_object, Key="new", Body=b"x"), 403, "SignatureDoesNotMatch")
    expect_error(lambda: wrong.delete_object(Bucket=with_object, Key="k"), 403, "SignatureDoesNotMatch")
    expect_error(lambda: wrong.list_objects(Bucket=with_object), 403, "SignatureDoesNotMatch")
    assert list_keys(server, with_object) == ["k"]


def test_the_shown_string_to_sign_is_the_right_one(server: Server, with_object: str) -> None:
    """A user who compares it with his own finds them equal, but for the secret."""
    host = bucket_host(with_object)
    key_time = window(-60, 600)
    value = authorization("GET", "/k", headers={"Host": host}, key_time=key_time, secret_key="wrong")
    answer = server.send("GET", "/k", host=host, auth=value).expect(403, "SignatureDoesNotMatch")
    digest = hashlib.sha1(f"get\n/k\n\nhost={host}\n".encode()).hexdigest()
    shown = (answer.xml.findtext("StringToSign") or "").replace("\r\n", "\n")
    assert shown.rstrip("\n") == f"sha1\n{key_time}\n{digest}"
    for element in answer.xml:
        assert len(element) == 0, "nodes inside the error's nodes break the Java client"


@pytest.mark.parametrize(
    "name",
    [
        "x-cos-server-side-encryption-customer-key",
        "x-cos-copy-source-server-side-encryption-customer-key",
        "x-cos-security-token",
    ],
)
def test_secrets_are_not_echoed(server: Server, bucket: str, name: str) -> None:
    """What the document shows never includes a customer's key or a token."""
    secret = base64.b64encode(b"0123456789abcdef0123456789ABCDEF").decode()
    host = bucket_host(bucket)
    headers = {"Content-Length": "1", name: secret}
    value = authorization("PUT", "/k", headers={**headers, "Host": host}, secret_key="wrong")
    answer = server.send("PUT", "/k", host=host, headers=headers, body=b"x", auth=value).expect(403)
    for spelling in (secret, quote(secret, safe=""), secret.rstrip("=")):
        assert spelling.encode() not in answer.body


def test_a_wrong_id(server: Server, with_object: str) -> None:
    stranger = server.client(SecretId="AKIDnobody")
    expect_error(lambda: stranger.get_object(Bucket=with_object, Key="k"), 403, "InvalidAccessKeyId")
    expect_error(lambda: stranger.put_object(Bucket=with_object, Key="k", Body=b"x"), 403, "InvalidAccessKeyId")
    assert server.send("GET", "/k", bucket=with_object).body == DATA


@pytest.mark.parametrize("key_time", [(-7200, -3600), (-3600, -30), (3600, 7200)], ids=["old", "just-over", "future"])
def test_outside_the_time_window(server: Server, with_object: str, key_time: tuple[int, int]) -> None:
    host = bucket_host(with_object)
    value = authorization("GET", "/k", headers={"Host": host}, key_time=window(*key_time))
    answer = server.send("GET", "/k", host=host, auth=value).expect(403, "AccessDenied")
    assert answer.xml.findtext("Message") == "Request has expired"


@pytest.mark.parametrize("minutes", [-60, -16, 16, 60])
def test_a_date_that_is_far_off(server: Server, with_object: str, minutes: int) -> None:
    """Over 15 minutes from the server's clock: 403 RequestTimeTooSkewed."""
    headers = {"Date": formatdate(time.time() + minutes * 60, usegmt=True)}
    answer = server.send("GET", "/k", bucket=with_object, headers=headers)
    answer.expect(403, "RequestTimeTooSkewed")


@pytest.mark.parametrize("minutes", [-10, 0, 10])
def test_a_date_that_is_near_enough(server: Server, with_object: str, minutes: int) -> None:
    headers = {"Date": formatdate(time.time() + minutes * 60, usegmt=True)}
    assert server.send("GET", "/k", bucket=with_object, headers=headers).expect(200).body == DATA


def edited(**fields: str | None) -> Callable[[str], str]:
    """Change (or, with None, drop) fields of an Authorization value."""

    def edit(value: str) -> str:
        parts = dict(part.split("=", 1) for part in value.split("&"))
        for name, text in fields.items():
            name = name.replace("_", "-")
            if text is None:
                del parts[name]
            else:
                parts[name] = text
        return "&".join(f"{name}={text}" for name, text in parts.items())

    return edit


@pytest.mark.parametrize(
    ("edit", "codes"),
    [
        pytest.param(edited(q_signature="0" * 40), ("SignatureDoesNotMatch",), id="zero-signature"),
        pytest.param(edited(q_signature=""), ("SignatureDoesNotMatch", "AccessDenied"), id="empty-signature"),
        pytest.param(edited(q_header_list="host;x-cos-not-sent"), ("SignatureDoesNotMatch",), id="lists-absent-header"),
        pytest.param(edited(q_url_param_list="prefix"), ("SignatureDoesNotMatch",), id="lists-absent-parameter"),
        pytest.param(edited(q_header_list=""), ("SignatureDoesNotMatch",), id="drops-a-header"),
        pytest.param(edited(q_sign_algorithm="md5"), ("AccessDenied", "InvalidArgument"), id="algorithm"),
        pytest.param(edited(q_signature=None), ("AccessDenied", "InvalidArgument"), id="no-signature"),
        pytest.param(edited(q_ak=None), ("AccessDenied", "InvalidArgument"), id="no-id"),
        pytest.param(edited(q_key_time=None), ("AccessDenied", "InvalidArgument"), id="no-key-time"),
        pytest.param(
            edited(q_key_time="now;then", q_sign_time="now;then"), ("AccessDenied", "InvalidArgument"), id="no-numbers"
        ),
        pytest.param(
            edited(q_key_time="2;1", q_sign_time="2;1"), ("AccessDenied", "InvalidArgument"), id="ends-before-it-begins"
        ),
        pytest.param(lambda _: "Basic dXNlcjpwYXNz", ("AccessDenied", "InvalidArgument"), id="another-scheme"),
        pytest.param(lambda _: "&=&=;;&&", ("AccessDenied", "InvalidArgument"), id="garbage"),
        pytest.param(lambda _: "q-" * 4000, ("AccessDenied", "InvalidArgument"), id="long-garbage"),
    ],
)
def test_a_damaged_signature(
    server: Server, with_object: str, edit: Callable[[str], str], codes: tuple[str, ...]
) -> None:
    """Always a 403 (or 400 for what does not parse), and never a look at the object."""
    host = bucket_host(with_object)
    value = edit(authorization("GET", "/k", headers={"Host": host}))
    answer = server.send("GET", "/k", host=host, auth=value)
    assert answer.status == 403 or (answer.status == 400 and answer.code == "InvalidArgument")
    assert answer.code in codes
    assert DATA not in answer.body


# --- anonymous callers ----------------------------------------------------------------------


@pytest.fixture
def anonymous(server: Server) -> CosS3Client:
    """The SDK without credentials: it sends an empty Authorization header."""
    return server.client(Anonymous=True)


def refused(answer: Answer) -> bool:
    return answer.status == 403 and answer.code == "AccessDenied"


def test_anonymous_on_a_private_bucket(server: Server, with_object: str, anonymous: CosS3Client) -> None:
    """Everything is 403 AccessDenied, with an empty Authorization header or none."""
    for call in (
        lambda: anonymous.get_object(Bucket=with_object, Key="k"),
        lambda: anonymous.put_object(Bucket=with_object, Key="k", Body=b"x"),
        lambda: anonymous.delete_object(Bucket=with_object, Key="k"),
        lambda: anonymous.list_objects(Bucket=with_object),
        lambda: anonymous.delete_objects(Bucket=with_object, Delete={"Object": [{"Key": "k"}]}),
        lambda: anonymous.delete_bucket(Bucket=with_object),
        lambda: anonymous.create_bucket(Bucket=unique_bucket()),
    ):
        expect_error(call, 403, "AccessDenied")
    assert refused(server.send("GET", "/k", bucket=with_object, auth=None))
    head = server.send("HEAD", "/k", bucket=with_object, auth=None)
    assert (head.status, head.body) == (403, b"")
    assert server.send("GET", "/k", bucket=with_object).body == DATA


def test_anonymous_on_a_public_read_bucket(
    server: Server, make_bucket: Callable[..., str], anonymous: CosS3Client
) -> None:
    """READ is reading and listing, not writing; a private object stays private."""
    name = make_bucket(ACL="public-read")
    server.send("PUT", "/k", bucket=name, body=DATA).expect(200)
    server.send("PUT", "/hidden", bucket=name, headers={"x-cos-acl": "private"}, body=DATA).expect(200)
    assert body_of(anonymous.get_object(Bucket=name, Key="k")) == DATA
    assert anonymous.head_object(Bucket=name, Key="k")["Content-Length"] == str(len(DATA))
    assert [entry["Key"] for entry in anonymous.list_objects(Bucket=name)["Contents"]] == ["hidden", "k"]
    expect_error(lambda: anonymous.get_object(Bucket=name, Key="hidden"), 403, "AccessDenied")
    expect_error(lambda: anonymous.put_object(Bucket=name, Key="k", Body=b"x"), 403, "AccessDenied")
    expect_error(lambda: anonymous.put_object(Bucket=name, Key="new", Body=b"x"), 403, "AccessDenied")
    expect_error(lambda: anonymous.delete_object(Bucket=name, Key="k"), 403, "AccessDenied")
    assert list_keys(server, name) == ["hidden", "k"]


def test_anonymous_on_a_public_read_object(server: Server, bucket: str, anonymous: CosS3Client) -> None:
    """One public object in a private bucket can be read, and nothing else."""
    server.send("PUT", "/k", bucket=bucket, headers={"x-cos-acl": "public-read"}, body=DATA).expect(200)
    server.send("PUT", "/hidden", bucket=bucket, body=DATA).expect(200)
    assert body_of(anonymous.get_object(Bucket=bucket, Key="k")) == DATA
    assert body_of(anonymous.get_object(Bucket=bucket, Key="k", Range="bytes=0-2")) == DATA[:3]
    for call in (
        lambda: anonymous.get_object(Bucket=bucket, Key="hidden"),
        lambda: anonymous.put_object(Bucket=bucket, Key="k", Body=b"x"),
        lambda: anonymous.delete_object(Bucket=bucket, Key="k"),
        lambda: anonymous.list_objects(Bucket=bucket),
    ):
        expect_error(call, 403, "AccessDenied")


def test_overwriting_a_public_object_makes_it_private(server: Server, bucket: str, anonymous: CosS3Client) -> None:
    """The ACL belongs to the object that was replaced."""
    server.send("PUT", "/k", bucket=bucket, headers={"x-cos-acl": "public-read"}, body=DATA).expect(200)
    server.send("PUT", "/k", bucket=bucket, body=DATA).expect(200)
    expect_error(lambda: anonymous.get_object(Bucket=bucket, Key="k"), 403, "AccessDenied")


def test_anonymous_on_a_public_read_write_bucket(
    server: Server, make_bucket: Callable[..., str], anonymous: CosS3Client
) -> None:
    """WRITE is writing and deleting objects, not the bucket."""
    name = make_bucket(ACL="public-read-write")
    anonymous.put_object(Bucket=name, Key="k", Body=DATA)
    assert body_of(anonymous.get_object(Bucket=name, Key="k")) == DATA
    expect_error(lambda: anonymous.delete_bucket(Bucket=name), 403, "AccessDenied")
    anonymous.delete_object(Bucket=name, Key="k")
    assert list_keys(server, name) == []


def test_anonymous_is_not_an_authenticated_reader(
    server: Server, make_bucket: Callable[..., str], anonymous: CosS3Client
) -> None:
    name = make_bucket(ACL="authenticated-read")
    server.send("PUT", "/k", bucket=name, body=DATA).expect(200)
    expect_error(lambda: anonymous.get_object(Bucket=name, Key="k"), 403, "AccessDenied")


def test_anonymous_may_not_override_headers(server: Server, make_bucket: Callable[..., str]) -> None:
    """response-* works with a signature only."""
    name = make_bucket(ACL="public-read")
    server.send("PUT", "/k", bucket=name, body=DATA).expect(200)
    answer = server.send("GET", "/k", bucket=name, query={"response-content-type": "text/html"}, auth=None)
    assert (answer.status, answer.code) in [(400, "InvalidRequest"), (403, "AccessDenied")]


def test_a_bad_signature_is_not_anonymous(server: Server, make_bucket: Callable[..., str]) -> None:
    """Whoever signs, signs rightly, also where no signature is needed."""
    name = make_bucket(ACL="public-read")
    server.send("PUT", "/k", bucket=name, body=DATA).expect(200)
    wrong = server.client(SecretKey="not-the-secret")
    expect_error(lambda: wrong.get_object(Bucket=name, Key="k"), 403, "SignatureDoesNotMatch")


# --- the error document ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "headers", "signed", "code"),
    [
        ("GET", "/missing", {}, True, "NoSuchKey"),
        ("GET", "/k", {"Range": "bytes=9999-"}, True, "InvalidRange"),
        ("GET", "/k", {"If-Match": '"x"'}, True, "PreconditionFailed"),
        ("GET", "/k", {}, False, "AccessDenied"),
        ("PUT", "/k", {"Content-MD5": "x"}, True, "InvalidDigest"),
        ("PUT", "/" + "k" * 851, {}, True, "KeyTooLong"),
        ("PUT", "/", {}, True, "BucketAlreadyOwnedByYou"),
        ("DELETE", "/", {}, True, "BucketNotEmpty"),
        ("PUT", "/腾讯 &<云>", {"x-cos-copy-source": "nonsense"}, True, "InvalidCopySource"),
    ],
)
def test_the_error_document(
    server: Server, with_object: str, method: str, path: str, headers: dict[str, str], signed: bool, code: str
) -> None:
    """Five text nodes in their order, none empty, equal to the headers."""
    answer = server.send(method, path, bucket=with_object, headers=headers, auth="sdk" if signed else None)
    assert answer.code == code
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.body.startswith(b"<?xml version='1.0' encoding='utf-8' ?>")
    nodes = [(element.tag, element.text) for element in answer.xml]
    assert [tag for tag, _ in nodes[:5]] == ["Code", "Message", "Resource", "RequestId", "TraceId"]
    assert all(text for _, text in nodes[:5])
    values = dict(nodes)
    assert values["RequestId"] == answer.headers["x-cos-request-id"]
    assert values["TraceId"] == answer.headers["x-cos-trace-id"]
    resource = values["Resource"] or ""
    assert resource.startswith(bucket_host(with_object))
    if path == "/":
        assert resource.rstrip("/") == bucket_host(with_object)
    elif path.isascii():
        assert resource == bucket_host(with_object) + path


def test_what_the_sdk_shows(server: Server, client: CosS3Client, bucket: str) -> None:
    """Every accessor of the SDK's exception has something to say."""
    error = expect_error(lambda: client.get_object(Bucket=bucket, Key="missing"), 404, "NoSuchKey")
    digest = error.get_digest_msg()
    assert isinstance(digest, dict), "the SDK could not read the document"
    assert error.get_error_msg()
    assert error.get_resource_location() == f"{bucket_host(bucket)}/missing"
    assert base64.b64decode(error.get_request_id(), validate=True)
    assert base64.b64decode(error.get_trace_id(), validate=True)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"x-cos-copy-source": "/{bucket}/secret"}, id="copy-source"),
        pytest.param({"x-cos-acl": "public-read"}, id="acl"),
        pytest.param({"x-cos-copy-source": "/{bucket}/secret", "x-cos-acl": "public-read"}, id="both"),
    ],
)
def test_c134_a_presigned_put_gives_nothing_else_away(server: Server, bucket: str, headers: dict[str, str]) -> None:
    """Whoever may put one object may neither have another one copied there, nor open it to everyone."""
    server.send("PUT", "/secret", bucket=bucket, body=b"secret").expect(200)
    url = server.url_client().get_presigned_url(bucket, "k", "PUT")
    sent = {name: value.format(bucket=bucket) for name, value in headers.items()}
    server.open_url("PUT", url, headers=sent).expect(403, "AccessDenied")
    assert list_keys(server, bucket) == ["secret"]
    server.open_url("PUT", url, body=b"mine").expect(200)


@pytest.mark.parametrize("signed", ["parameter", "header", "neither", "both"])
def test_c134_a_presigned_put_makes_no_symlink(server: Server, bucket: str, signed: str) -> None:
    """A link in place of an object would show any other object of the bucket, as a copy would."""
    server.send("PUT", "/secret", bucket=bucket, body=b"secret").expect(200)
    headers = {"x-cos-symlink-target": "secret"}
    url = server.url_client().get_presigned_url(
        bucket,
        "k",
        "PUT",
        Params={"symlink": ""} if signed in ("parameter", "both") else {},
        Headers=headers if signed in ("header", "both") else {},
    )
    if signed in ("header", "neither"):
        url += "&symlink"
    answer = server.open_url("PUT", url, headers=headers)
    if signed == "both":
        answer.expect(200)
    else:
        answer.expect(403, "AccessDenied")
        assert list_keys(server, bucket) == ["secret"]


def test_a_presigned_delete_removes_no_version_for_good(server: Server, bucket: str) -> None:
    server.send("PUT", "/k", bucket=bucket, body=b"kept").expect(200)
    client = server.url_client()
    url = client.get_presigned_url(bucket, "k", "DELETE")
    server.open_url("DELETE", url + "&versionId=null").expect(403, "AccessDenied")
    assert server.send("GET", "/k", bucket=bucket).expect(200).body == b"kept"
    named = client.get_presigned_url(bucket, "k", "DELETE", Params={"versionId": "null"})
    server.open_url("DELETE", named).expect(204)
    assert list_keys(server, bucket) == []


def test_a_signed_empty_parameter_cannot_be_dropped(server: Server, bucket: str) -> None:
    """A signature for ``DELETE /?cors`` is none for ``DELETE /``."""
    url = server.url_client().get_presigned_url(bucket, "k", "DELETE", Params={"tagging": ""})
    server.send("PUT", "/k", bucket=bucket, body=b"x").expect(200)
    stripped = url.replace("tagging=&", "").replace("&tagging=", "")
    assert stripped != url
    server.open_url("DELETE", stripped).expect(403, "SignatureDoesNotMatch")
    assert list_keys(server, bucket) == ["k"]
