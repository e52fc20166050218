"""CORS: what pages of other origins may ask for, and see."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from qcloud_cos import CosServiceError

from harness import SECRET_ID, Answer, Server, authorization

PAGE = "http://page.example"
RULES = {
    "CORSRule": [
        {
            "ID": "one",
            "AllowedOrigin": [PAGE, "https://*.example.org"],
            "AllowedMethod": ["GET", "PUT"],
            "AllowedHeader": ["x-cos-*", "authorization"],
            "ExposeHeader": ["ETag", "x-cos-request-id"],
            "MaxAgeSeconds": "600",
        },
        {"AllowedOrigin": ["*"], "AllowedMethod": ["GET"]},
    ]
}
ALLOW = "Access-Control-Allow-"


def preflight(server: Server, bucket: str, origin: str, method: str, headers: str = "", path: str = "/k") -> Answer:
    fields = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        fields["Access-Control-Request-Headers"] = headers
    return server.send("OPTIONS", path, bucket=bucket, headers=fields, auth=None)


@pytest.fixture
def ruled(server: Server, bucket: str) -> str:
    server.client().put_bucket_cors(Bucket=bucket, CORSConfiguration=RULES)
    return bucket


def test_rules_are_kept_in_their_order(server: Server, bucket: str) -> None:
    client = server.client()
    with pytest.raises(CosServiceError) as none:
        client.get_bucket_cors(Bucket=bucket)
    assert none.value.get_error_code() == "NoSuchCORSConfiguration"
    client.put_bucket_cors(Bucket=bucket, CORSConfiguration=RULES)
    kept = client.get_bucket_cors(Bucket=bucket)["CORSRule"]
    assert [rule.get("ID") for rule in kept] == ["one", None]
    assert kept[0]["AllowedOrigin"] == RULES["CORSRule"][0]["AllowedOrigin"]
    client.delete_bucket_cors(Bucket=bucket)
    client.delete_bucket_cors(Bucket=bucket)
    with pytest.raises(CosServiceError):
        client.get_bucket_cors(Bucket=bucket)


def test_a_preflight(server: Server, ruled: str) -> None:
    answer = preflight(server, ruled, PAGE, "PUT", "X-Cos-Acl, authorization").expect(200)
    assert {name: answer.headers[ALLOW + name] for name in ("Origin", "Methods", "Headers", "Credentials")} == {
        "Origin": PAGE,
        "Methods": "GET,PUT",
        "Headers": "X-Cos-Acl, authorization",
        "Credentials": "true",
    }
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert answer.headers["Access-Control-Expose-Headers"] == "ETag,x-cos-request-id"
    assert answer.headers["Vary"] == "Origin"
    assert preflight(server, ruled, "https://a.example.org", "PUT").expect(200).headers[ALLOW + "Origin"] == "https://a.example.org"
    anyone = preflight(server, ruled, "http://elsewhere", "GET").expect(200)
    assert anyone.headers[ALLOW + "Origin"] == "*" and ALLOW + "Credentials" not in anyone.headers
    # Whatever it is about: a bucket, a sub-resource, a key that is not there.
    preflight(server, ruled, PAGE, "PUT", path="/").expect(200)
    query = {"uploads": ""}
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "PUT"}
    server.send("OPTIONS", "/k", bucket=ruled, query=query, headers=headers, auth=None).expect(200)
    # With the URL of the request that is to come, which is signed for that one, and not for this.
    for secret_id in (SECRET_ID, "AKIDnobody"):
        query = dict(parse_qsl(authorization("PUT", "/k", secret_id=secret_id), keep_blank_values=True))
        server.send("OPTIONS", "/k", bucket=ruled, query=query, headers=headers, auth=None).expect(200)


def test_a_preflight_that_no_rule_allows(server: Server, ruled: str, make_bucket) -> None:
    for origin, method, headers in [
        ("http://elsewhere", "PUT", ""),
        (PAGE, "DELETE", ""),
        (PAGE, "PUT", "content-type"),
        ("https://example.org", "PUT", ""),
        ("http://page.example.evil", "PUT", ""),
    ]:
        answer = preflight(server, ruled, origin, method, headers).expect(403, "AccessForbidden")
        assert ALLOW + "Origin" not in answer.headers
    preflight(server, make_bucket(), PAGE, "GET").expect(403, "AccessForbidden")
    server.send("OPTIONS", "/k", bucket=ruled, auth=None).expect(403, "AccessForbidden")
    server.send("OPTIONS", "/k", bucket=ruled, headers={"Origin": PAGE}, auth=None).expect(403, "AccessForbidden")
    preflight(server, "none-1250000000", PAGE, "GET").expect(404, "NoSuchBucket")


def test_pages_see_answers_and_errors(server: Server, ruled: str) -> None:
    server.send("PUT", "/k", bucket=ruled, body=b"x").expect(200)
    for headers, auth, status in [({}, "sdk", 200), ({}, None, 403), ({"If-None-Match": "*"}, "sdk", 304)]:
        answer = server.send("GET", "/k", bucket=ruled, headers={"Origin": PAGE, **headers}, auth=auth)
        assert (answer.status, answer.headers[ALLOW + "Origin"]) == (status, PAGE)
        assert answer.headers["Access-Control-Expose-Headers"] == "ETag,x-cos-request-id"
    missing = server.send("GET", "/none", bucket=ruled, headers={"Origin": PAGE}).expect(404)
    assert missing.headers[ALLOW + "Origin"] == PAGE
    other = server.send("DELETE", "/none", bucket=ruled, headers={"Origin": PAGE}).expect(204)
    assert ALLOW + "Origin" not in other.headers
    plain = server.send("GET", "/k", bucket=ruled).expect(200)
    assert ALLOW + "Origin" not in plain.headers


REFUSED = {
    "no rule": "<CORSConfiguration/>",
    "no method": "<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>",
    "no XML": "<CORSConfiguration>",
    "another root": "<Cors/>",
}


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_rule(server: Server, ruled: str, body: str) -> None:
    server.send("PUT", bucket=ruled, query={"cors": ""}, body=body.encode()).expect(400, "MalformedXML")
    preflight(server, ruled, PAGE, "PUT").expect(200)


def test_a_method_or_an_origin_that_is_none(server: Server, ruled: str) -> None:
    rule = "<CORSConfiguration><CORSRule><AllowedOrigin>{}</AllowedOrigin><AllowedMethod>{}</AllowedMethod></CORSRule></CORSConfiguration>"
    for origin, method in [("*", "OPTIONS"), ("*", "get"), ("http://*.*", "GET"), ("a b", "GET")]:
        body = rule.format(origin, method).encode()
        server.send("PUT", bucket=ruled, query={"cors": ""}, body=body).expect(400, "InvalidArgument")
    one = "<CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>"
    body = f"<CORSConfiguration>{one * 101}</CORSConfiguration>".encode()
    server.send("PUT", bucket=ruled, query={"cors": ""}, body=body).expect(400, "InvalidArgument")
