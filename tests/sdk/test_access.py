"""Accounts, users, roles, keys and policies: who may copy what, and everything else."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable, Iterator

import pytest
from qcloud_cos import CosServiceError

from harness import (
    APPID,
    SECRET_ID,
    SECRET_KEY,
    Answer,
    Server,
    Who,
    authorization,
    bucket_host,
    read_answer,
    unique_bucket,
)
from people import ANYONE, allow, deny, in_file, make_user, policy, set_policy, user_id

OWNER = 100000000001
DATA = b"who may read this"
COPIES = "GetObject HeadObject PutObject"


@pytest.fixture(scope="module")
def other(server: Server) -> Who:
    """Another account."""
    return Who.of(server.admin("account", "add", "--appid", 1250000077, "--uin", 100000000077))


@pytest.fixture
def others_bucket(server: Server, other: Who) -> Iterator[str]:
    name = f"o{unique_bucket().split('-')[0]}-{other.appid}"
    server.send("PUT", bucket=name, who=other).expect(200)
    yield name
    listed = server.send("GET", bucket=name, who=other).expect(200)
    for key in listed.xml.iterfind("Contents/Key"):
        server.send("DELETE", f"/{key.text}", bucket=name, who=other).expect(204)
    server.send("DELETE", bucket=name, who=other).expect(204)


@pytest.fixture
def source(server: Server, bucket: str) -> str:
    """A bucket of the server's own account with an object ``dir/k``."""
    server.send("PUT", "/dir/k", bucket=bucket, body=DATA).expect(200)
    return bucket


def get(server: Server, bucket: str, who: Who | None, key: str = "dir/k", **more: object) -> Answer:
    auth = "sdk" if who else None
    return server.send("GET", f"/{key}", bucket=bucket, who=who, auth=auth, **more)


def copy(server: Server, source: str, to: str, who: Who | None, **more: object) -> Answer:
    headers = {"x-cos-copy-source": f"{bucket_host(source)}/dir/k", **more.pop("headers", {})}
    return server.send("PUT", "/copy", bucket=to, who=who, auth="sdk" if who else None, headers=headers, **more)


def test_a_user_may_what_its_policy_allows(server: Server, source: str) -> None:
    reader = make_user(server, allow("GetObject", f"{source}/dir/*"))
    assert get(server, source, reader).expect(200).body == DATA
    server.send("HEAD", "/dir/k", bucket=source, who=reader).expect(403)
    server.send("PUT", "/dir/new", bucket=source, who=reader, body=b"x").expect(403, "AccessDenied")
    server.send("GET", "/", bucket=source, who=reader).expect(403, "AccessDenied")
    # Who may not list the bucket, nor read there, does not learn which keys it lacks.
    get(server, source, reader, "other/k").expect(403, "AccessDenied")
    get(server, source, reader, "dir/none").expect(404, "NoSuchKey")
    nobody = make_user(server)
    get(server, source, nobody).expect(403, "AccessDenied")


def test_a_list_is_asked_by_its_prefix(server: Server, source: str) -> None:
    lister = make_user(server, allow("GetBucket", f"{source}/dir/*"))
    found = server.send("GET", bucket=source, who=lister, query={"prefix": "dir/"}).expect(200)
    assert [key.text for key in found.xml.iterfind("Contents/Key")] == ["dir/k"]
    server.send("GET", bucket=source, who=lister).expect(403, "AccessDenied")
    server.send("GET", bucket=source, who=lister, query={"prefix": "di"}).expect(403, "AccessDenied")


def test_c131_a_copy_takes_getobject_and_putobject(server: Server, source: str, make_bucket: Callable[..., str]) -> None:
    """C131: no more, and no less; the name PutObjectCopy allows and denies as well."""
    to = make_bucket()
    for statements, allowed in [
        ([allow("GetObject", f"{source}/*"), allow("PutObject", f"{to}/*")], True),
        ([allow("GetObject", f"{source}/*"), allow("PutObjectCopy", f"{to}/*")], True),
        ([allow("GetObject", f"{source}/*")], False),
        ([allow("PutObject", f"{to}/*")], False),
        ([allow("GetObject", f"{source}/other/*"), allow("PutObject", f"{to}/*")], False),
        ([allow("*"), deny("GetObject", f"{source}/*")], False),
        ([allow("*"), deny("PutObjectCopy", f"{to}/*")], False),
        ([allow("*"), deny("HeadObject", f"{source}/*")], True),
    ]:
        who = make_user(server, *statements)
        answer = copy(server, source, to, who)
        answer.expect(200) if allowed else answer.expect(403, "AccessDenied")
        assert (server.send("HEAD", "/copy", bucket=to).status == 200) == allowed, statements
        server.send("DELETE", "/copy", bucket=to).expect(204)


def test_c132_between_accounts(server: Server, source: str, others_bucket: str, other: Who) -> None:
    """C132: refused by default; by public-read, by ACL grant, by policy; refused by a deny on either side."""
    copy(server, source, others_bucket, other).expect(403, "AccessDenied")

    server.send("PUT", "/dir/k", bucket=source, query={"acl": ""}, headers={"x-cos-acl": "public-read"}).expect(200)
    copy(server, source, others_bucket, other).expect(200)
    assert get(server, others_bucket, other, "copy").expect(200).body == DATA
    # The copy belongs to its bucket's owner, and is not public.
    get(server, others_bucket, None, "copy").expect(403, "AccessDenied")
    set_policy(server, source, deny("GetObject", f"{source}/*", to=user_id(other)))
    copy(server, source, others_bucket, other).expect(403, "AccessDenied")
    server.send("DELETE", bucket=source, query={"policy": ""}).expect(204)

    private = {"x-cos-acl": "private", "x-cos-grant-read": f'id="{other.uin}"'}
    server.send("PUT", "/dir/k", bucket=source, query={"acl": ""}, headers=private).expect(200)
    copy(server, source, others_bucket, other).expect(200)
    server.send("PUT", "/dir/k", bucket=source, query={"acl": ""}, headers={"x-cos-acl": "default"}).expect(200)
    copy(server, source, others_bucket, other).expect(403, "AccessDenied")

    set_policy(server, source, allow("GetObject", f"{source}/dir/*", to=user_id(other)))
    copy(server, source, others_bucket, other).expect(200)
    body = policy(deny("PutObject", f"{others_bucket}/*", to=ANYONE)).encode()
    server.send("PUT", bucket=others_bucket, query={"policy": ""}, who=other, body=body).expect(204)
    copy(server, source, others_bucket, other).expect(403, "AccessDenied")
    server.send("DELETE", bucket=others_bucket, query={"policy": ""}, who=other).expect(204)


def test_a_user_of_another_account_needs_its_own_leave(
    server: Server, source: str, others_bucket: str, other: Who
) -> None:
    set_policy(server, source, allow("GetObject", f"{source}/dir/*", to=user_id(other)))
    without = make_user(server, allow("PutObject", f"{others_bucket}/*"), account=other)
    copy(server, source, others_bucket, without).expect(403, "AccessDenied")
    both = [allow("PutObject", f"{others_bucket}/*"), allow("GetObject", f"{source}/*")]
    copy(server, source, others_bucket, make_user(server, *both, account=other)).expect(200)
    # Its own policy alone opens nothing that is another account's.
    alone = make_user(server, allow("*"), account=other)
    server.send("DELETE", bucket=source, query={"policy": ""}).expect(204)
    copy(server, source, others_bucket, alone).expect(403, "AccessDenied")


def test_tags_go_to_another_account_only_with_leave_to_see_them(
    server: Server, source: str, others_bucket: str, other: Who
) -> None:
    """A copy by reference carries no tag to where its caller could not have read it."""
    body = b"<Tagging><TagSet><Tag><Key>secret</Key><Value>v</Value></Tag></TagSet></Tagging>"
    server.send("PUT", "/dir/k", bucket=source, query={"tagging": ""}, body=body).expect(200)
    tags = lambda: server.send("GET", "/copy", bucket=others_bucket, query={"tagging": ""}, who=other).expect(200)
    set_policy(server, source, allow("GetObject", f"{source}/*", to=user_id(other)))
    copy(server, source, others_bucket, other).expect(200)
    assert tags().xml.find("TagSet/Tag") is None
    set_policy(server, source, allow("GetObject GetObjectTagging", f"{source}/*", to=user_id(other)))
    copy(server, source, others_bucket, other).expect(200)
    assert tags().xml.findtext("TagSet/Tag/Key") == "secret"


def test_c117_tags_and_acls_of_a_copy_take_leave_of_their_own(server: Server, source: str, bucket: str) -> None:
    """C117: PutObjectACL for x-cos-acl and grants, PutObjectTagging for new tags."""
    copier = make_user(server, allow(COPIES, f"{source}/*"))
    copy(server, source, source, copier).expect(200)
    copy(server, source, source, copier, headers={"x-cos-acl": "default"}).expect(200)
    for headers in [
        {"x-cos-acl": "public-read"},
        {"x-cos-grant-read": f'id="{OWNER}"'},
        {"x-cos-tagging-directive": "Replaced", "x-cos-tagging": "a=b"},
    ]:
        copy(server, source, source, copier, headers=headers).expect(403, "AccessDenied")
    server.send("PUT", "/p", bucket=source, who=copier, headers={"x-cos-acl": "private"}).expect(403, "AccessDenied")
    more = make_user(server, allow(f"{COPIES} PutObjectACL PutObjectTagging", f"{source}/*"))
    copy(server, source, source, more, headers={"x-cos-acl": "public-read"}).expect(200)
    assert get(server, source, None, "copy").expect(200).body == DATA
    tagged = {"x-cos-tagging-directive": "Replaced", "x-cos-tagging": "a=b"}
    copy(server, source, source, more, headers=tagged).expect(200)


def test_u02_a_part_copy_takes_getobject_and_uploadpartcopy(server: Server, source: str) -> None:
    """U02: UploadPartCopy, or, as older pages have it, PutObject."""
    begun = server.send("POST", "/big", bucket=source, query={"uploads": ""}).expect(200)
    query = {"partNumber": "1", "uploadId": begun.xml.findtext("UploadId") or ""}
    headers = {"x-cos-copy-source": f"{bucket_host(source)}/dir/k"}
    for statements, status in [
        ([allow("GetObject UploadPartCopy", f"{source}/*")], 200),
        ([allow("GetObject PutObject", f"{source}/*")], 200),
        ([allow("UploadPartCopy", f"{source}/*")], 403),
        ([allow("GetObject UploadPart", f"{source}/*")], 403),
        ([allow("*"), deny("GetObject", f"{source}/dir/*")], 403),
    ]:
        who = make_user(server, *statements)
        server.send("PUT", "/big", bucket=source, query=query, headers=headers, who=who).expect(status)


def test_the_version_that_is_copied_is_the_one_that_is_asked_about(server: Server, source: str) -> None:
    """A condition on the version is about the copy source, and headers of the copy say nothing of its source."""
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    server.send("PUT", bucket=source, query={"versioning": ""}, body=body).expect(200)
    ids = [server.send("PUT", "/dir/k", bucket=source, body=text).headers["x-cos-version-id"] for text in (b"1", b"2")]
    condition = {"string_equal": {"cos:versionid": ids[0]}}
    who = make_user(server, allow("PutObject", f"{source}/*"), allow("GetObject", f"{source}/*", condition=condition))
    one, two = ({"x-cos-copy-source": f"{bucket_host(source)}/dir/k?versionId={id}"} for id in ids)
    server.send("PUT", "/copy", bucket=source, headers=one, who=who).expect(200)
    server.send("PUT", "/copy", bucket=source, headers=two, who=who).expect(403, "AccessDenied")
    copy(server, source, source, who).expect(403, "AccessDenied")
    lying = {**two, "x-cos-storage-class": "STANDARD", "content-type": "x"}
    server.send("PUT", "/copy", bucket=source, headers=lying, query={}, who=who).expect(403, "AccessDenied")


def test_a_symlink_is_no_way_around(server: Server, source: str) -> None:
    server.send("PUT", "/secret/k", bucket=source, body=b"secret").expect(200)
    link = {"x-cos-symlink-target": "secret/k"}
    server.send("PUT", "/dir/link", bucket=source, query={"symlink": ""}, headers=link).expect(200)
    who = make_user(server, allow("GetObject PutObject", f"{source}/dir/*"), allow("PutObject", f"{source}/copy"))
    get(server, source, who, "dir/link").expect(403, "AccessDenied")
    headers = {"x-cos-copy-source": f"{bucket_host(source)}/dir/link"}
    server.send("PUT", "/copy", bucket=source, headers=headers, who=who).expect(403, "AccessDenied")


def test_deletions_of_many_are_decided_one_by_one(server: Server, source: str) -> None:
    for key in ("dir/a", "keep/b"):
        server.send("PUT", f"/{key}", bucket=source, body=b"x").expect(200)
    who = make_user(server, allow("DeleteObject", f"{source}/dir/*"))
    objects = [{"Key": key} for key in ("dir/a", "keep/b", "dir/none")]
    deleted = server.client(**who.options()).delete_objects(Bucket=source, Delete={"Object": objects})
    assert [entry["Key"] for entry in deleted["Deleted"]] == ["dir/a", "dir/none"]
    assert [(entry["Key"], entry["Code"]) for entry in deleted["Error"]] == [("keep/b", "AccessDenied")]
    server.send("HEAD", "/dir/a", bucket=source).expect(404)
    server.send("HEAD", "/keep/b", bucket=source).expect(200)


def test_a_policy_is_kept_and_answered_as_it_was_sent(server: Server, bucket: str) -> None:
    client = server.client()
    with pytest.raises(CosServiceError) as none:
        client.get_bucket_policy(Bucket=bucket)
    assert (none.value.get_status_code(), none.value.get_error_code()) == (404, "NoSuchPolicyVersion")
    sent = {
        "Statement": [
            {
                "Principal": {"qcs": [ANYONE]},
                "Effect": "Allow",
                "Action": ["name/cos:GetObject"],
                "Resource": [f"qcs::cos:ap-guangzhou:uid/{APPID}:{bucket}/public/*"],
                "Condition": {"ip_equal": {"qcs:ip": ["127.0.0.0/8"]}},
            }
        ],
        "version": "2.0",
    }
    client.put_bucket_policy(Bucket=bucket, Policy=sent)
    assert json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"]) == sent
    for key, status in [("public/k", 200), ("k", 403)]:
        server.send("PUT", f"/{key}", bucket=bucket, body=DATA).expect(200)
        get(server, bucket, None, key).expect(status)
    server.send("DELETE", bucket=bucket, query={"policy": ""}).expect(204)
    server.send("DELETE", bucket=bucket, query={"policy": ""}).expect(204)
    get(server, bucket, None, "public/k").expect(403, "AccessDenied")


MALFORMED = {
    "not-json": (b"{", "not JSON"),
    "no-statement": (b'{"version":"2.0"}', "statement"),
    "no-principal": (policy(allow("GetObject")).encode(), "statement[0].principal"),
    "no-effect": (b'{"statement":[{"principal":"*","action":"*","resource":"*"}]}', "statement[0].effect"),
    "unknown-operator": (
        policy(allow("GetObject", to=ANYONE, condition={"likes": {"qcs:ip": "1"}})).encode(),
        "statement[0].condition.likes",
    ),
    "not-principal": (b'{"statement":[{"notprincipal":"*","effect":"deny","action":"*","resource":"*"}]}', "principal"),
}


@pytest.mark.parametrize(("body", "where"), MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_policy(server: Server, bucket: str, body: bytes, where: str) -> None:
    """MalformedPolicy, with what and where; the policy before it stays."""
    set_policy(server, bucket, allow("GetObject", f"{bucket}/*", to=ANYONE))
    answer = server.send("PUT", bucket=bucket, query={"policy": ""}, body=body).expect(400, "MalformedPolicy")
    assert where in (answer.xml.findtext("Message") or "")
    kept = server.send("GET", bucket=bucket, query={"policy": ""}).expect(200)
    assert json.loads(kept.body)["statement"][0]["effect"] == "allow"


def test_a_policy_of_a_megabyte_and_one_of_wildcards(server: Server, source: str) -> None:
    large = policy(allow("GetObject", f"{source}/{'x' * (1 << 20)}", to=ANYONE)).encode()
    server.send("PUT", bucket=source, query={"policy": ""}, body=large).expect(400, "PolicyFull", "MalformedPolicy")
    bomb = policy(allow("GetObject", f"{source}/{'*a' * 8000}*b", to=ANYONE)).encode()
    server.send("PUT", bucket=source, query={"policy": ""}, body=bomb).expect(400, "MalformedPolicy")
    set_policy(server, source, allow("GetObject", f"{source}/{'*a' * 800}*b", to=ANYONE))
    server.send("PUT", "/" + "a" * 850, bucket=source, body=b"x").expect(200)
    get(server, source, None, "a" * 850).expect(403, "AccessDenied")


def test_the_owner_cannot_lock_itself_out(server: Server, source: str) -> None:
    set_policy(server, source, deny("*", "*", to=ANYONE))
    get(server, source, Who(SECRET_ID, SECRET_KEY)).expect(403, "AccessDenied")
    server.send("GET", bucket=source, query={"policy": ""}).expect(200)
    server.send("DELETE", bucket=source, query={"policy": ""}).expect(204)
    get(server, source, Who(SECRET_ID, SECRET_KEY)).expect(200)


def test_unknown_condition_keys_fail_closed(server: Server, source: str) -> None:
    unknown = {"string_equal": {"cos:nobody-knows": "x"}}
    set_policy(server, source, allow("GetObject", f"{source}/*", to=ANYONE, condition=unknown))
    get(server, source, None).expect(403, "AccessDenied")
    set_policy(
        server,
        source,
        allow("GetObject", f"{source}/*", to=ANYONE),
        deny("GetObject", f"{source}/dir/*", to=ANYONE, condition=unknown),
    )
    get(server, source, None).expect(403, "AccessDenied")
    server.send("DELETE", bucket=source, query={"policy": ""}).expect(204)


CONDITIONS = [
    ({"ip_equal": {"qcs:ip": "127.0.0.1"}}, {}, {}, True),
    ({"ip_equal": {"qcs:ip": "10.0.0.0/8"}}, {}, {}, False),
    ({"bool_equal": {"cos:secure-transport": "true"}}, {}, {}, False),
    ({"string_equal": {"cos:x-cos-storage-class": "ARCHIVE"}}, {}, {"x-cos-storage-class": "archive"}, True),
    ({"string_equal": {"cos:x-cos-storage-class": "ARCHIVE"}}, {}, {}, False),
    ({"string_like": {"cos:content-type": "image/*"}}, {}, {"content-type": "image/png"}, True),
    ({"string_like": {"cos:content-type": "image/*"}}, {}, {"content-type": "text/html"}, False),
    ({"numeric_less_than_equal": {"cos:content-length": 4}}, {}, {}, True),
    ({"numeric_less_than": {"cos:content-length": 4}}, {}, {}, False),
    ({"string_equal": {"cos:x-cos-forbid-overwrite": "true"}}, {}, {"x-cos-forbid-overwrite": "true"}, True),
    ({"date_less_than": {"qcs:current_time": "2020-01-01T00:00:00Z"}}, {}, {}, False),
]


@pytest.mark.parametrize(("condition", "query", "headers", "allowed"), CONDITIONS)
def test_conditions_are_about_the_request(
    server: Server, bucket: str, condition: dict, query: dict, headers: dict, allowed: bool
) -> None:
    who = make_user(server, allow("PutObject", f"{bucket}/*", condition=condition))
    answer = server.send("PUT", "/k", bucket=bucket, query=query, headers=headers, body=b"four", who=who)
    answer.expect(200) if allowed else answer.expect(403, "AccessDenied")


def test_parameters_stand_encoded_in_policies(server: Server, source: str) -> None:
    condition = {"string_equal": {"cos:response-content-type": "image%2Fpng"}}
    who = make_user(server, allow("GetObject", f"{source}/*", condition=condition))
    get(server, source, who, query={"response-content-type": "image/png"}).expect(200)
    get(server, source, who, query={"response-content-type": "text/html"}).expect(403, "AccessDenied")
    get(server, source, who).expect(403, "AccessDenied")


def test_keys_are_rotated_and_switched_off_at_once(server: Server, source: str) -> None:
    who = make_user(server, allow("*"))
    listed = server.admin("user", "list")["users"]
    name = next(user["name"] for user in listed if user["uin"] == who.uin)
    second = Who.of({**server.admin("key", "add", "--user", name), "uin": who.uin})
    for keys in (who, second):
        get(server, source, keys).expect(200)
    server.admin("key", "disable", "--id", who.secret_id)
    get(server, source, who).expect(403, "InvalidAccessKeyId")
    get(server, source, second).expect(200)
    shown = server.admin("key", "list", "--user", name)["keys"]
    assert {(key["secret_id"], key["enabled"]) for key in shown} == {(who.secret_id, False), (second.secret_id, True)}
    assert second.secret_key not in json.dumps(shown)
    server.admin("key", "enable", "--id", who.secret_id)
    get(server, source, who).expect(200)
    server.admin("key", "remove", "--id", who.secret_id)
    get(server, source, who).expect(403, "InvalidAccessKeyId")
    server.admin("user", "policy", "--name", name)
    get(server, source, second).expect(403, "AccessDenied")
    server.admin("user", "remove", "--name", name)
    get(server, source, second).expect(403, "InvalidAccessKeyId")


def test_who_administrates(server: Server, other: Who) -> None:
    """The keys of an account look after its own users; nobody else looks after anything."""
    with in_file(policy(allow("*"))) as path:
        made = Who.of(server.admin("user", "add", "--name", "hers", "--policy", path, who=other))
    assert "hers" in [user["name"] for user in server.admin("user", "list", who=other)["users"]]
    assert "hers" not in [user["name"] for user in server.admin("user", "list")["users"]]
    for arguments, who in [
        (["gc", "status"], other),
        (["account", "add", "--appid", 7, "--uin", 7], other),
        (["user", "list", "--appid", APPID], other),
        (["user", "list"], made),
        (["user", "list"], Who(SECRET_ID, "wrong")),
    ]:
        refused = server.try_admin(*arguments, who=who)
        assert refused.returncode != 0 and "AccessDenied" in refused.stderr + "AccessDenied" * ("wrong" in who.secret_key)
    for arguments, why in [
        (["account", "add", "--appid", other.appid, "--uin", 5], "EntityAlreadyExists"),
        (["account", "add", "--appid", 5, "--uin", other.uin], "EntityAlreadyExists"),
        (["account", "add", "--appid", APPID, "--uin", 5], "EntityAlreadyExists"),
        (["user", "add", "--name", "hers", "--appid", other.appid], "EntityAlreadyExists"),
        (["user", "add", "--name", "a/b"], "InvalidArgument"),
        (["user", "remove", "--name", "nobody"], "NoSuchEntity"),
        (["key", "disable", "--id", "AKIDnone"], "NoSuchEntity"),
        (["key", "disable", "--id", made.secret_id], "NoSuchEntity"),
    ]:
        refused = server.try_admin(*arguments)
        assert refused.returncode != 0 and why in refused.stderr, (arguments, refused.stderr)
    server.admin("user", "remove", "--name", "hers", who=other)


def test_why_somebody_may_or_not(server: Server, source: str) -> None:
    set_policy(server, source, deny("PutObject", f"{source}/dir/*", to=ANYONE))
    who = make_user(server, allow("GetObject PutObject", f"{source}/*"))
    explain = lambda action, *more: server.admin(
        "access", "explain", "--user", who.uin, "--action", f"name/cos:{action}", "--resource", f"{source}/dir/k", *more
    )
    assert (explain("GetObject")["allowed"], explain("GetObject")["reason"]) == (
        True,
        "allowed by statement 0 of the user's policy",
    )
    refused = explain("PutObject")
    assert (refused["allowed"], refused["reason"]) == (False, "denied by statement 0 of the resource's policy")
    assert [(one["policy"], one["says"]) for one in refused["statements"]] == [
        ("identity", "applies"),
        ("resource", "applies to everyone"),
    ]
    assert server.send("PUT", "/dir/k", bucket=source, who=who, body=b"x").status == 403
    assert server.send("GET", "/dir/k", bucket=source).body == DATA
    # A list is of the bucket and of the prefix.
    set_policy(server, source, deny("GetBucket", f"{source}/", to=ANYONE))
    lister = make_user(server, allow("GetBucket", f"{source}/*"))
    listing = ["--action", "name/cos:GetBucket", "--resource", f"{source}/dir/"]
    assert not server.admin("access", "explain", "--user", lister.uin, *listing)["allowed"]
    server.send("GET", bucket=source, who=lister, query={"prefix": "dir/"}).expect(403, "AccessDenied")


def test_identities_survive_a_restart_and_secrets_are_sealed(tmp_path) -> None:
    server = Server(tmp_path)
    who = make_user(server, allow("GetService"))
    server.send("GET", "/", who=who).expect(200)
    server.kill()
    server = Server(tmp_path)
    server.send("GET", "/", who=who).expect(200)
    server.stop()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        assert who.secret_key.encode() not in path.read_bytes(), path
    (tmp_path / "master-key").write_text("00" * 32 + "\n")
    with pytest.raises(AssertionError, match="master key is not the one that this store was made with"):
        Server(tmp_path)


def presigned(method: str, path: str, bucket: str) -> str:
    """A signature of a method, a path and a host, and of nothing else: what an ordinary presigned URL carries."""
    return authorization(method, path, headers={"host": bucket_host(bucket)})


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("PUT", "/dir/k", "acl"),
        ("PUT", "/", "policy"),
        ("PUT", "/", "cors"),
        ("PUT", "/", "versioning"),
        ("PUT", "/dir/k", "tagging"),
        ("DELETE", "/dir/k", "tagging"),
        ("DELETE", "/", "policy"),
        ("POST", "/", "delete"),
        ("POST", "/dir/k", "uploads"),
        ("GET", "/dir/k", "acl"),
        ("GET", "/dir/k", "versionId=null"),
        ("GET", "/dir/k", "versionid=null"),
        ("GET", "/dir/k", "response-content-type=text/html"),
        ("GET", "/", "policy"),
        ("GET", "/", "uploads"),
    ],
)
def test_a_signed_url_is_for_what_was_signed(server: Server, source: str, method: str, path: str, query: str) -> None:
    """What makes another request of it has to be signed as well."""
    auth = presigned(method, path, source)
    name, _, value = query.partition("=")
    answer = server.send(method, path, bucket=source, query={name: value}, auth=auth, body=b"")
    answer.expect(403, "AccessDenied")
    assert f"{name} is not covered" in (answer.xml.findtext("Message") or "")


def test_a_download_may_be_named_afterwards(server: Server, source: str) -> None:
    """COS's own samples put response-content-disposition behind a signed URL."""
    query = {"response-content-disposition": "attachment"}
    answer = server.send("GET", "/dir/k", bucket=source, query=query, auth=presigned("GET", "/dir/k", source))
    assert answer.expect(200).headers["Content-Disposition"] == "attachment"


def test_a_request_that_was_begun_before_ends_with_the_rights_of_now(server: Server, source: str, other: Who) -> None:
    """Who may is decided when the body is there; and the ACL of one version is not that of the next."""
    grants = {"x-cos-grant-write-acp": f'id="{other.uin}"', "x-cos-grant-read-acp": f'id="{other.uin}"'}
    server.send("PUT", "/dir/k", bucket=source, query={"acl": ""}, headers=grants).expect(200)
    body = (
        "<AccessControlPolicy><AccessControlList><Grant><Grantee><ID>"
        f"{other.uin}</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
    ).encode()
    head = server.head_bytes(
        "PUT",
        "/dir/k",
        host=bucket_host(source),
        query={"acl": ""},
        headers={"Content-Length": str(len(body))},
        who=other,
    )
    with server.connect() as sock:
        sock.sendall(head + body[:10])
        server.send("PUT", "/dir/k", bucket=source, body=b"another secret").expect(200)
        sock.sendall(body[10:])
        read_answer(sock).expect(403, "AccessDenied")
    get(server, source, other).expect(403, "AccessDenied")


def test_versions_in_a_deletion_of_many_are_asked_about(server: Server, source: str) -> None:
    body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    server.send("PUT", bucket=source, query={"versioning": ""}, body=body).expect(200)
    version = server.send("PUT", "/dir/v", bucket=source, body=b"1").headers["x-cos-version-id"]
    named = {"null_equal": {"cos:versionid": "false"}}
    who = make_user(server, allow("*"), deny("DeleteObject", condition=named))
    server.send("DELETE", "/dir/v", bucket=source, query={"versionId": version}, who=who).expect(403, "AccessDenied")
    objects = [{"Key": "dir/v", "VersionId": version}, {"Key": "dir/k"}]
    deleted = server.client(**who.options()).delete_objects(Bucket=source, Delete={"Object": objects})
    assert [entry["Code"] for entry in deleted["Error"]] == ["AccessDenied"]
    assert [entry["Key"] for entry in deleted["Deleted"]] == ["dir/k"]
    server.send("GET", "/dir/v", bucket=source, query={"versionId": version}).expect(200)


def test_a_deny_on_the_bucket_denies_every_list(server: Server, source: str) -> None:
    whole = allow("GetBucket", f"{source}")
    who = make_user(server, whole)
    server.send("GET", bucket=source, who=who).expect(200)
    server.send("GET", bucket=source, who=who, query={"prefix": "dir/"}).expect(200)
    who = make_user(server, allow("GetBucket"), deny("GetBucket", f"{source}/"))
    server.send("GET", bucket=source, who=who, query={"prefix": "dir/"}).expect(403, "AccessDenied")


def test_a_prefix_that_no_key_has_is_bounded(server: Server, source: str) -> None:
    who = make_user(server, allow("GetBucket", f"{source}/dir/*"))
    server.send("GET", bucket=source, who=who, query={"prefix": "dir/" + "k" * 846}).expect(200)
    server.send("GET", bucket=source, who=who, query={"prefix": "dir/" + "k" * 847}).expect(403, "AccessDenied")


def test_who_may_not_is_told_before_the_body(server: Server, source: str) -> None:
    """Nobody takes memory for a body that nobody will read."""
    for method, path, query in [("POST", "/", "delete"), ("POST", "/k", "uploadId=1")]:
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            head = f"{method} {path}?{query} HTTP/1.1\r\nHost: {bucket_host(source)}\r\nContent-Length: 4000000\r\n\r\n"
            connection.sendall(head.encode())
            assert connection.recv(64).startswith(b"HTTP/1.1 403")


def test_what_conditions_look_at_is_what_is_stored(server: Server, bucket: str) -> None:
    who = make_user(server, allow("*"), deny("PutObject", condition={"string_like": {"cos:content-type": "text/*"}}))
    keys = {"secret_id": who.secret_id, "secret_key": who.secret_key}
    auth = authorization("PUT", "/k", headers={"host": bucket_host(bucket)}, **keys)
    two = {"Content-Type": "image/png", "content-type": "text/html"}
    server.send("PUT", "/k", bucket=bucket, auth=auth, headers=two, body=b"x").expect(400, "InvalidArgument")
    odd = {"Content-Type": b"text/html; a=\xe9"}
    server.send("PUT", "/k", bucket=bucket, auth=auth, headers=odd, body=b"x").expect(403, "AccessDenied")
    long = {"Content-Type": "image/" + "a" * 1100}
    server.send("PUT", "/k", bucket=bucket, who=who, headers=long, body=b"x").expect(403, "AccessDenied")
    assert server.send("HEAD", "/k", bucket=bucket).status == 404


def test_a_bucket_is_opened_by_who_may(server: Server, new_bucket_name: str) -> None:
    who = make_user(server, allow("PutBucket"))
    headers = {"x-cos-acl": "public-read-write"}
    server.send("PUT", bucket=new_bucket_name, who=who, headers=headers).expect(403, "AccessDenied")
    server.send("PUT", bucket=new_bucket_name, who=who).expect(200)


def test_an_account_learns_nothing_of_others_users(server: Server, others_bucket: str, other: Who) -> None:
    user = make_user(server, allow("*"))
    ask = ["access", "explain", "--user", user.uin, "--action", "name/cos:GetObject", "--resource", f"{others_bucket}/k"]
    refused = server.try_admin(*ask, who=other)
    assert refused.returncode != 0 and "NoSuchEntity" in refused.stderr
    assert server.admin(*ask)["allowed"] is False


def test_administration_is_signed_with_its_host(server: Server) -> None:
    """A signature of an upload to a key that is called like a command is not one of the command."""
    path, body = "/-/admin/key/list", b"{}"
    digest = {"x-cosine-content-sha256": hashlib.sha256(body).hexdigest()}
    for headers, status in [(digest, 403), ({**digest, "host": server.address}, 200)]:
        auth = authorization("POST", path, headers=headers)
        server.send("POST", path, headers=digest, body=body, auth=auth).expect(status)
    signed = {"x-cosine-content-sha256": digest["x-cosine-content-sha256"], "host": server.address}
    auth = authorization("POST", path, headers=signed)
    server.send("POST", path, headers=digest, body=b'{"a":1}', auth=auth).expect(403, "AccessDenied")
    server.send("POST", path, headers=digest, query={"a": ""}, body=body, auth=auth).expect(403, "AccessDenied")
