"""ACLs of buckets and objects: canned ones, grants, documents, and the ``default``."""

from __future__ import annotations

import pytest
from qcloud_cos import CosServiceError

from harness import Answer, Server, Who, bucket_host
from people import make_user

OWNER = 100000000001
OWNERS_ID = f"qcs::cam::uin/{OWNER}:uin/{OWNER}"
ALL_USERS = "http://cam.qcloud.com/groups/global/AllUsers"
SIGNED = "http://cam.qcloud.com/groups/global/AuthenticatedUsers"
DATA = b"an object with an ACL"
GRANTS = ["read", "read-acp", "write-acp", "full-control"]


@pytest.fixture(scope="module")
def other(server: Server) -> Who:
    return Who.of(server.admin("account", "add", "--appid", 1250000088, "--uin", 100000000088))


def grants(answer: Answer) -> list[tuple[str, str]]:
    """Grantees and permissions of an AccessControlPolicy, but for the owner's own grant, which comes first."""
    answer.expect(200)
    assert answer.xml.findtext("Owner/ID") == OWNERS_ID
    found = [
        (grant.findtext("Grantee/ID") or grant.findtext("Grantee/URI"), grant.findtext("Permission"))
        for grant in answer.xml.iterfind("AccessControlList/Grant")
    ]
    assert found[0] == (OWNERS_ID, "FULL_CONTROL")
    return found[1:]


def acl(server: Server, bucket: str, path: str = "/", who: Who | None = None) -> Answer:
    return server.send("GET", path, bucket=bucket, query={"acl": ""}, who=who)


CANNED_BUCKET = {
    "private": [],
    "public-read": [(ALL_USERS, "READ")],
    "public-read-write": [(ALL_USERS, "READ"), (ALL_USERS, "WRITE")],
    "authenticated-read": [(SIGNED, "READ")],
}


@pytest.mark.parametrize(("canned", "expected"), CANNED_BUCKET.items())
def test_canned_acls_of_buckets(server: Server, new_bucket_name: str, canned: str, expected: list) -> None:
    """When a bucket is made, and afterwards."""
    server.send("PUT", bucket=new_bucket_name, headers={"x-cos-acl": canned}).expect(200)
    assert grants(acl(server, new_bucket_name)) == expected
    for other, shown in CANNED_BUCKET.items():
        headers = {"x-cos-acl": other}
        server.send("PUT", bucket=new_bucket_name, query={"acl": ""}, headers=headers).expect(200)
        assert grants(acl(server, new_bucket_name)) == shown


def test_the_sdk_sets_and_reads_acls(server: Server, bucket: str) -> None:
    client = server.client()
    client.put_object(Bucket=bucket, Key="k", Body=DATA)
    assert client.get_object_acl(Bucket=bucket, Key="k")["CannedACL"] == "default"
    client.put_object_acl(Bucket=bucket, Key="k", ACL="public-read")
    assert client.get_object_acl(Bucket=bucket, Key="k")["CannedACL"] == "public-read"
    client.put_object_acl(Bucket=bucket, Key="k", ACL="default")
    assert client.get_object_acl(Bucket=bucket, Key="k")["CannedACL"] == "default"
    client.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert client.get_bucket_acl(Bucket=bucket)["CannedACL"] == "public-read"
    policy = {
        "Owner": {"ID": OWNERS_ID},
        "AccessControlList": {
            "Grant": [
                {"Grantee": {"Type": "CanonicalUser", "ID": "qcs::cam::uin/7:uin/8"}, "Permission": "WRITE"},
                {"Grantee": {"Type": "Group", "URI": SIGNED}, "Permission": "READ"},
            ]
        },
    }
    client.put_bucket_acl(Bucket=bucket, AccessControlPolicy=policy)
    assert grants(acl(server, bucket)) == [("qcs::cam::uin/7:uin/8", "WRITE"), (SIGNED, "READ")]
    with pytest.raises(CosServiceError) as refused:
        client.put_bucket_acl(Bucket=bucket, ACL="nonsense")
    assert refused.value.get_error_code() == "InvalidArgument"


@pytest.mark.parametrize("method", ["PUT", "COPY", "APPEND", "UPLOAD", "ACL"])
def test_c116_the_four_grant_headers(server: Server, bucket: str, method: str) -> None:
    """C116: on every way that an object is written, and on PUT Object acl; long ids, and several."""
    headers = {f"x-cos-grant-{name}": f'id="{number}",id="qcs::cam::uin/9:uin/{number}"' for number, name in enumerate(GRANTS, 1)}
    source = {"x-cos-copy-source": f"{bucket_host(bucket)}/k"}
    if method in ("COPY", "ACL"):
        server.send("PUT", "/k", bucket=bucket, body=DATA).expect(200)
    match method:
        case "PUT":
            server.send("PUT", "/new", bucket=bucket, headers=headers, body=DATA).expect(200)
        case "COPY":
            server.send("PUT", "/new", bucket=bucket, headers={**headers, **source}).expect(200)
        case "APPEND":
            query = {"append": "", "position": "0"}
            server.send("POST", "/new", bucket=bucket, query=query, headers=headers, body=DATA).expect(200)
        case "UPLOAD":
            begun = server.send("POST", "/new", bucket=bucket, query={"uploads": ""}, headers=headers).expect(200)
            query = {"uploadId": begun.xml.findtext("UploadId") or ""}
            etag = server.send("PUT", "/new", bucket=bucket, query={**query, "partNumber": "1"}, body=DATA).headers["ETag"]
            body = f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part></CompleteMultipartUpload>"
            server.send("POST", "/new", bucket=bucket, query=query, body=body.encode()).expect(200)
        case _:
            server.send("PUT", "/new", bucket=bucket, body=DATA).expect(200)
            server.send("PUT", "/new", bucket=bucket, query={"acl": ""}, headers=headers).expect(200)
    answer = acl(server, bucket, "/new")
    assert "x-cos-acl" not in answer.headers
    permissions = ["READ", "READ_ACP", "WRITE_ACP", "FULL_CONTROL"]
    assert grants(answer) == [
        (f"qcs::cam::uin/{who}", permission)
        for number, permission in enumerate(permissions, 1)
        for who in (f"{number}:uin/{number}", f"9:uin/{number}")
    ]
    if method == "COPY":
        assert acl(server, bucket, "/k").headers["x-cos-acl"] == "default"


def test_what_grants_allow(server: Server, bucket: str, other: Who) -> None:
    server.send("PUT", "/k", bucket=bucket, body=DATA).expect(200)

    def granted(permission: str, path: str = "/k") -> None:
        name = permission.lower().replace("_", "-")
        headers = {f"x-cos-grant-{name}": f'id="{other.uin}"'}
        server.send("PUT", path, bucket=bucket, query={"acl": ""}, headers=headers).expect(200)

    def allowed(who: Who = other) -> set[str]:
        asked = {
            "read": server.send("GET", "/k", bucket=bucket, who=who),
            "head": server.send("HEAD", "/k", bucket=bucket, who=who),
            "list": server.send("GET", bucket=bucket, who=who),
            "write": server.send("PUT", "/new", bucket=bucket, body=DATA, who=who),
            "delete": server.send("DELETE", "/new", bucket=bucket, who=who),
            "read acl": server.send("GET", "/k", bucket=bucket, query={"acl": ""}, who=who),
            "read bucket acl": server.send("GET", bucket=bucket, query={"acl": ""}, who=who),
            "configure": server.send("GET", bucket=bucket, query={"versioning": ""}, who=who),
        }
        assert all(answer.status in (200, 204, 403) for answer in asked.values())
        return {name for name, answer in asked.items() if answer.status != 403}

    assert allowed() == set()
    granted("READ")
    assert allowed() == {"read", "head"}
    granted("READ_ACP")
    assert allowed() == {"read acl"}
    granted("FULL_CONTROL")
    assert allowed() == {"read", "head", "read acl"}
    # An object without an ACL of its own has that of its bucket.
    server.send("PUT", "/k", bucket=bucket, query={"acl": ""}, headers={"x-cos-acl": "default"}).expect(200)
    granted("READ", "/")
    assert allowed() == {"read", "head", "list"}
    granted("WRITE", "/")
    assert allowed() == {"write", "delete"}
    granted("FULL_CONTROL", "/")
    assert allowed() == {"read", "head", "list", "write", "delete", "read acl", "read bucket acl"}
    # Its users need the leave of their own account as well.
    assert allowed(make_user(server, account=other)) == set()
    # WRITE_ACP changes the ACL, and with it everything else.
    granted("WRITE_ACP")
    mine = {"x-cos-grant-full-control": f'id="{other.uin}"'}
    server.send("PUT", "/k", bucket=bucket, query={"acl": ""}, headers=mine, who=other).expect(200)
    assert {"read", "read acl"} <= allowed()


def test_versions_have_acls_of_their_own(server: Server, bucket: str) -> None:
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    server.send("PUT", bucket=bucket, query={"versioning": ""}, body=body).expect(200)
    ids = [server.send("PUT", "/k", bucket=bucket, body=text).headers["x-cos-version-id"] for text in (b"1", b"2")]
    query = {"acl": "", "versionId": ids[0]}
    server.send("PUT", "/k", bucket=bucket, query=query, headers={"x-cos-acl": "public-read"}).expect(200)
    server.send("GET", "/k", bucket=bucket, query={"versionId": ids[0]}, auth=None).expect(200)
    server.send("GET", "/k", bucket=bucket, auth=None).expect(403, "AccessDenied")
    server.send("DELETE", "/k", bucket=bucket).expect(204)
    acl(server, bucket, "/k").expect(404, "NoSuchKey")
    acl(server, bucket, "/none").expect(404, "NoSuchKey")
    for path, status in [("/k", 200), ("/none", 404)]:
        query = {"acl": "", "versionId": ids[1]}
        server.send("GET", path, bucket=bucket, query=query).expect(status)


def document(*grants: str, owner: str = OWNERS_ID) -> bytes:
    listed = "".join(f"<Grant>{grant}</Grant>" for grant in grants)
    owners = f"<Owner><ID>{owner}</ID></Owner>"
    return f"<AccessControlPolicy>{owners}<AccessControlList>{listed}</AccessControlList></AccessControlPolicy>".encode()


def grant(grantee: str, permission: str) -> str:
    return f"<Grantee>{grantee}</Grantee><Permission>{permission}</Permission>"


REFUSED = {
    "header and body": ({"x-cos-acl": "private"}, document(), 400, "InvalidRequest"),
    "neither": ({}, b"", 400, "MissingRequestBodyError"),
    "an unknown canned one": ({"x-cos-acl": "public"}, b"", 400, "InvalidArgument"),
    "a malformed id": ({"x-cos-grant-read": 'id="me"'}, b"", 400, "InvalidArgument"),
    "a malformed header": ({"x-cos-grant-read": "100000000001"}, b"", 400, "InvalidArgument"),
    "no XML": ({}, b"<Acl", 400, "MalformedXML"),
    "an unknown permission": ({}, document(grant("<ID>1</ID>", "DELETE")), 400, "MalformedXML"),
    "no grantee": ({}, document("<Permission>READ</Permission>"), 400, "MalformedXML"),
    "an unknown group": ({}, document(grant("<URI>http://x</URI>", "READ")), 400, "InvalidArgument"),
    "another owner": ({}, document(owner="qcs::cam::uin/5:uin/5"), 403, "AccessDenied"),
    "too many": ({}, document(*(grant(f"<ID>{n}</ID>", "READ") for n in range(1, 102))), 400, "AttachmentFull"),
    "too many in a header": (
        {"x-cos-grant-read": ",".join(f'id="{n}"' for n in range(1, 102))},
        b"",
        400,
        "AttachmentFull",
    ),
}


@pytest.mark.parametrize(("headers", "body", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("path", ["/", "/k"])
def test_what_is_no_acl(
    server: Server, bucket: str, path: str, headers: dict, body: bytes, status: int, code: str
) -> None:
    """Nothing is changed by it."""
    server.send("PUT", "/k", bucket=bucket, body=DATA).expect(200)
    before = {"x-cos-grant-read": 'id="77"'}
    server.send("PUT", path, bucket=bucket, query={"acl": ""}, headers=before).expect(200)
    server.send("PUT", path, bucket=bucket, query={"acl": ""}, headers=headers, body=body).expect(status, code)
    assert grants(acl(server, bucket, path)) == [("qcs::cam::uin/77:uin/77", "READ")]


def test_a_hundred_grants_are_kept(server: Server, bucket: str) -> None:
    body = document(*(grant(f"<ID>{n}</ID>", "READ") for n in range(1, 101)))
    server.send("PUT", bucket=bucket, query={"acl": ""}, body=body).expect(200)
    assert len(grants(acl(server, bucket))) == 100


def test_an_object_has_no_write(server: Server, bucket: str) -> None:
    server.send("PUT", "/k", bucket=bucket, body=DATA).expect(200)
    headers = {"x-cos-grant-write": 'id="1"'}
    server.send("PUT", "/k", bucket=bucket, query={"acl": ""}, headers=headers).expect(400, "InvalidArgument")
    server.send("PUT", "/k", bucket=bucket, headers=headers, body=b"x").expect(400, "InvalidArgument")
    body = document(grant("<ID>1</ID>", "WRITE"))
    server.send("PUT", "/k", bucket=bucket, query={"acl": ""}, body=body).expect(400, "InvalidArgument")
    assert server.send("GET", "/k", bucket=bucket).body == DATA


def test_grants_of_a_new_bucket(server: Server, new_bucket_name: str) -> None:
    headers = {"x-cos-acl": "public-read", "x-cos-grant-write": 'id="7"'}
    server.send("PUT", bucket=new_bucket_name, headers=headers).expect(200)
    assert grants(acl(server, new_bucket_name)) == [(ALL_USERS, "READ"), ("qcs::cam::uin/7:uin/7", "WRITE")]


def test_no_unsigned_header_gives_anything_away(server: Server, bucket: str) -> None:
    """A URL that was signed to put an object does not serve to open it, or the bucket."""
    client = server.url_client()
    url = client.get_presigned_url(Method="PUT", Bucket=bucket, Key="k", Headers={})
    for headers in [{"x-cos-acl": "public-read"}, {"x-cos-grant-full-control": 'id="66"'}]:
        server.open_url("PUT", url, headers=headers, body=DATA).expect(403, "AccessDenied")
    assert server.open_url("PUT", url, headers={}, body=DATA).status == 200
