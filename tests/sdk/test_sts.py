"""Temporary credentials: GetFederationToken, AssumeRole, and what they open."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from sts.sts import Sts

from harness import REGION, SECRET_ID, SECRET_KEY, Server, Who, body_of, bucket_host
from people import ANYONE, allow, deny, in_file, make_user, policy, set_policy, user_id

OWNER = 100000000001
DATA = b"for a while"
OBJECTS = "GetObject HeadObject PutObject DeleteObject"


def temporary(server: Server, config: dict[str, object], who: Who | None = None, role: str | None = None) -> Who:
    """From the official STS SDK, told where the service is."""
    keys = who or Who(SECRET_ID, SECRET_KEY)
    sts = Sts(
        {
            "url": f"http://{server.address}/",
            "secret_id": keys.secret_id,
            "secret_key": keys.secret_key,
            "region": REGION,
            **config,
        }
    )
    made = sts.get_role_credential(role) if role else sts.get_credential()
    assert made["expiredTime"] - made["startTime"] == config.get("duration_seconds", 1800)
    assert abs(made["startTime"] - time.time()) < 60
    keys = made["credentials"]
    return Who(keys["tmpSecretId"], keys["tmpSecretKey"], keys["sessionToken"])


def tc3(
    server: Server,
    action: str,
    params: dict[str, object],
    who: Who | None = None,
    *,
    host: str = "sts.tencentcloudapi.com",
    at: int | None = None,
    secret: str | None = None,
    lower: bool = True,
) -> dict[str, object]:
    """A call signed with TC3-HMAC-SHA256; what is within ``Response``."""
    keys = who or Who(SECRET_ID, SECRET_KEY)
    at = at or int(time.time())
    date = time.strftime("%Y-%m-%d", time.gmtime(at))
    body = json.dumps(params).encode()
    kind = "application/json; charset=utf-8"
    signed = action.lower() if lower else action
    headers = f"content-type:{kind}\nhost:{host}\nx-tc-action:{signed}\n"
    names = "content-type;host;x-tc-action"
    canonical = f"POST\n/\n\n{headers}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{date}/sts/tc3_request"
    to_sign = f"TC3-HMAC-SHA256\n{at}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"TC3{secret or keys.secret_key}".encode()
    for part in (date, "sts", "tc3_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    sent = {
        "Authorization": f"TC3-HMAC-SHA256 Credential={keys.secret_id}/{scope}, SignedHeaders={names}, Signature={signature}",
        "Content-Type": kind,
        "X-TC-Action": action,
        "X-TC-Version": "2018-08-13",
        "X-TC-Timestamp": str(at),
    }
    if keys.token:
        sent["X-TC-Token"] = keys.token
    answer = server.send("POST", "/", host=host, headers=sent, body=body, auth=None).expect(200)
    response = json.loads(answer.body)["Response"]
    assert response["RequestId"]
    return response


def made_by(response: dict[str, object]) -> Who:
    keys = response["Credentials"]
    return Who(keys["TmpSecretId"], keys["TmpSecretKey"], keys["Token"])


def token_for(server: Server, who: Who | None, *statements: dict[str, object], **more: object) -> Who:
    params = {"Name": "test", "Policy": policy(*statements), **more}
    return made_by(tc3(server, "GetFederationToken", params, who))


def test_the_python_sts_sdk_and_the_cos_sdk(server: Server, bucket: str) -> None:
    """As an application does it: a narrowed token for a client, which puts, gets and copies with it."""
    config = {"bucket": bucket, "allow_prefix": ["dir/*"], "allow_actions": [f"name/cos:{a}" for a in OBJECTS.split()]}
    who = temporary(server, config)
    client = server.client(**who.options())
    client.put_object(Bucket=bucket, Key="dir/a", Body=DATA)
    source = {"Bucket": bucket, "Key": "dir/a", "Region": REGION}
    client.copy_object(Bucket=bucket, Key="dir/b", CopySource=source)
    assert body_of(client.get_object(Bucket=bucket, Key="dir/b")) == DATA
    server.send("PUT", "/other", bucket=bucket, who=who, body=DATA).expect(403, "AccessDenied")
    server.send("GET", bucket=bucket, who=who).expect(403, "AccessDenied")
    headers = {"x-cos-copy-source": f"{bucket_host(bucket)}/dir/a"}
    server.send("PUT", "/other", bucket=bucket, who=who, headers=headers).expect(403, "AccessDenied")
    # A presigned URL carries the token in its query, and it need not be signed.
    token = {"x-cos-security-token": who.token}
    url = server.url_client(**who.options()).get_presigned_url(Method="GET", Bucket=bucket, Key="dir/a", Params=token)
    assert server.open_url("GET", url).expect(200).body == DATA
    bare = server.url_client(**who.options()).get_presigned_url(Method="GET", Bucket=bucket, Key="dir/a")
    server.open_url("GET", bare).expect(403, "InvalidAccessKeyId")
    assert server.open_url("GET", f"{bare}&x-cos-security-token={who.token}").expect(200).body == DATA


@pytest.mark.parametrize("domain", ["sts.tencentcloudapi.com", "own"])
def test_the_sdk_without_a_region_and_with_its_own_host(server: Server, domain: str) -> None:
    """The SDK signs a host that it need not send its request to."""
    config = {"region": None, "policy": json.loads(policy(allow("GetService"))), "duration_seconds": 900}
    config["domain"] = server.address if domain == "own" else domain
    who = temporary(server, config)
    server.send("GET", "/", who=who).expect(200)


def test_a_token_is_never_more_than_its_maker(server: Server, bucket: str) -> None:
    server.send("PUT", "/a", bucket=bucket, body=DATA).expect(200)
    user = make_user(server, allow("GetObject", f"{bucket}/*"))
    who = token_for(server, user, allow("*"))
    assert server.send("GET", "/a", bucket=bucket, who=who).expect(200).body == DATA
    server.send("PUT", "/a", bucket=bucket, who=who, body=b"x").expect(403, "AccessDenied")
    # What the maker loses, its tokens lose with it, at once.
    name = next(u["name"] for u in server.admin("user", "list")["users"] if u["uin"] == user.uin)
    with in_file(policy(allow("PutObject", f"{bucket}/*"))) as path:
        server.admin("user", "policy", "--name", name, "--policy", path)
    server.send("GET", "/a", bucket=bucket, who=who).expect(403, "AccessDenied")
    server.send("PUT", "/a", bucket=bucket, who=who, body=DATA).expect(200)
    server.admin("key", "disable", "--id", user.secret_id)
    server.send("PUT", "/a", bucket=bucket, who=who, body=DATA).expect(403, "InvalidAccessKeyId")


def test_a_deny_in_a_token_denies_even_what_is_public(server: Server, make_bucket: Callable[..., str]) -> None:
    bucket = make_bucket(ACL="public-read")
    server.send("PUT", "/a", bucket=bucket, body=DATA).expect(200)
    server.send("GET", "/a", bucket=bucket, who=token_for(server, None, allow("PutObject"))).expect(200)
    who = token_for(server, None, allow("*"), deny("GetObject"))
    server.send("GET", "/a", bucket=bucket, who=who).expect(403, "AccessDenied")


def test_a_token_belongs_to_its_keys(server: Server, bucket: str) -> None:
    one, two = (token_for(server, None, allow("GetService")) for _ in range(2))
    server.send("GET", "/", who=one).expect(200)
    forged = one.token[:-4] + ("AAAA" if one.token[-4:] != "AAAA" else "BBBB")
    for who in [
        Who(one.secret_id, one.secret_key, two.token),
        Who(one.secret_id, one.secret_key),
        Who(SECRET_ID, SECRET_KEY, one.token),
        Who(one.secret_id, one.secret_key, forged),
        Who(one.secret_id, one.secret_key, "x" * 20_000),
    ]:
        server.send("GET", "/", who=who).expect(403, "InvalidAccessKeyId")
    server.send("GET", "/", who=Who(one.secret_id, two.secret_key, one.token)).expect(403, "SignatureDoesNotMatch")


def test_a_token_expires(server: Server, bucket: str) -> None:
    who = token_for(server, None, allow("GetService"), DurationSeconds=1)
    deadline = time.monotonic() + 20
    while (answer := server.send("GET", "/", who=who)).status == 200:
        assert time.monotonic() < deadline
    answer.expect(400, "ExpiredToken")


def test_a_narrowed_token_of_the_owner_administrates_nothing(server: Server) -> None:
    who = token_for(server, None, allow("*"))
    assert server.send("GET", "/-/admin/gc", who=who).status == 403
    again = tc3(server, "GetFederationToken", {"Name": "x", "Policy": policy(allow("*"))}, who)
    assert again["Error"]["Code"] == "FailedOperation.TempKeyNotAllowed"


def test_a_token_in_another_account(server: Server, bucket: str) -> None:
    """It opens what its maker's account was given."""
    other = Who.of(server.admin("account", "add", "--appid", 1250000099, "--uin", 100000000099))
    server.send("PUT", "/dir/a", bucket=bucket, body=DATA).expect(200)
    set_policy(server, bucket, allow("GetObject", f"{bucket}/dir/*", to=user_id(other)))
    server.send("GET", "/dir/a", bucket=bucket, who=token_for(server, other, allow("*"))).expect(200)
    narrow = token_for(server, other, allow("GetObject", f"{bucket}/other/*"))
    server.send("GET", "/dir/a", bucket=bucket, who=narrow).expect(403, "AccessDenied")


STS_REFUSES = {
    "unknown action": ("GetSecret", {}, {}, "InvalidAction"),
    "no name": ("GetFederationToken", {"Policy": policy(allow("*"))}, {}, "MissingParameter"),
    "no policy": ("GetFederationToken", {"Name": "x"}, {}, "MissingParameter"),
    "a policy that is none": ("GetFederationToken", {"Name": "x", "Policy": "{}"}, {}, "InvalidParameter.StrategyFormatError"),
    "a policy that is too long": (
        "GetFederationToken",
        {"Name": "x", "Policy": policy(*[allow("GetObject", f"b-1/{n}") for n in range(100)])},
        {},
        "InvalidParameter.PolicyTooLong",
    ),
    "too long a time": (
        "GetFederationToken",
        {"Name": "x", "Policy": policy(allow("*")), "DurationSeconds": 7201},
        {},
        "InvalidParameter.OverTimeError",
    ),
    "no such role": (
        "AssumeRole",
        {"RoleArn": f"qcs::cam::uin/{OWNER}:roleName/none", "RoleSessionName": "x"},
        {},
        "ResourceNotFound.RoleNotFound",
    ),
    "a wrong secret": ("GetFederationToken", {}, {"secret": "wrong"}, "AuthFailure.SignatureFailure"),
    "an old request": ("GetFederationToken", {}, {"at": 1_700_000_000}, "AuthFailure.SignatureExpire"),
    "an unknown key": ("GetFederationToken", {}, {"who": Who("AKIDnobody", "x")}, "AuthFailure.SecretIdNotFound"),
}


@pytest.mark.parametrize(("action", "params", "more", "code"), STS_REFUSES.values(), ids=STS_REFUSES.keys())
def test_what_sts_refuses(server: Server, action: str, params: dict, more: dict, code: str) -> None:
    response = tc3(server, action, params, **more)
    assert response["Error"]["Code"] == code and response["Error"]["Message"]


def test_a_signature_for_another_host_or_of_plain_values(server: Server) -> None:
    params = {"Name": "x", "Policy": policy(allow("GetService"))}
    assert "Credentials" in tc3(server, "GetFederationToken", params, lower=False)
    assert "Credentials" in tc3(server, "GetFederationToken", params, host=f"sts.localhost:{server.port}")
    assert "Credentials" in tc3(server, "GetFederationToken", params, host=server.address)


def test_a_user_that_is_denied_to_make_tokens(server: Server) -> None:
    denied = policy(allow("*"), {"effect": "deny", "action": ["name/sts:GetFederationToken"], "resource": ["*"]})
    with in_file(denied) as path:
        who = Who.of(server.admin("user", "add", "--name", "no-tokens", "--policy", path))
    response = tc3(server, "GetFederationToken", {"Name": "x", "Policy": policy(allow("*"))}, who)
    assert response["Error"]["Code"] == "UnauthorizedOperation"


def make_role(server: Server, name: str, trust: dict[str, object], *statements: dict[str, object]) -> str:
    trusted = {"statement": [{"effect": "allow", "action": "name/sts:AssumeRole", "resource": "*", **trust}]}
    with in_file(json.dumps(trusted)) as trust_path, in_file(policy(*statements)) as path:
        return server.admin("role", "set", "--name", name, "--trust", trust_path, "--policy", path)["arn"]


def test_a_role_is_assumed_by_whom_it_trusts(server: Server, bucket: str) -> None:
    """It takes the role's trust and the leave of the caller's own policy; the role's policy is what it may."""
    server.send("PUT", "/a", bucket=bucket, body=DATA).expect(200)
    reads = allow("GetObject", f"{bucket}/*")
    arn = make_role(server, "reader", {"principal": {"qcs": [f"qcs::cam::uin/{OWNER}:root"]}}, reads)
    assume = lambda who, **more: tc3(server, "AssumeRole", {"RoleArn": arn, "RoleSessionName": "s", **more}, who)
    role = made_by(assume(None))
    assert server.send("GET", "/a", bucket=bucket, who=role).expect(200).body == DATA
    server.send("PUT", "/a", bucket=bucket, who=role, body=b"x").expect(403, "AccessDenied")
    narrowed = made_by(assume(None, Policy=policy(allow("GetObject", f"{bucket}/b"))))
    server.send("GET", "/a", bucket=bucket, who=narrowed).expect(403, "AccessDenied")

    sts_leave = {"effect": "allow", "action": ["name/sts:AssumeRole"], "resource": ["*"]}
    for statements, allowed in [([sts_leave], True), ([allow("*")], False)]:
        with in_file(policy(*statements)) as path:
            name = f"assumer-{allowed}".lower()
            user = Who.of(server.admin("user", "add", "--name", name, "--policy", path))
        response = assume(user)
        assert ("Credentials" in response) == allowed, response
    other = Who.of(server.admin("account", "add", "--appid", 1250000111, "--uin", 100000000111))
    assert assume(other)["Error"]["Code"] == "UnauthorizedOperation"
    make_role(server, "reader", {"principal": {"qcs": [user_id(other)]}}, reads)
    server.send("GET", "/a", bucket=bucket, who=made_by(assume(other))).expect(200)
    assert assume(None)["Error"]["Code"] == "UnauthorizedOperation"
    server.admin("role", "remove", "--name", "reader")
    server.send("GET", "/a", bucket=bucket, who=role).expect(403, "InvalidAccessKeyId")


def test_the_sdk_assumes_a_role(server: Server) -> None:
    arn = make_role(server, "lister", {"principal": {"qcs": [f"qcs::cam::uin/{OWNER}:root"]}}, allow("GetService"))
    config = {"policy": json.loads(policy(allow("GetService")))}
    server.send("GET", "/", who=temporary(server, config, role=arn)).expect(200)


def test_nobody_makes_a_role_for_everyone(server: Server) -> None:
    trust = policy({"effect": "allow", "action": ["*"], "resource": ["*"], "principal": {"qcs": [ANYONE]}})
    with in_file(trust) as path:
        refused = server.try_admin("role", "set", "--name", "open", "--trust", path)
    assert refused.returncode != 0 and "MalformedPolicy" in refused.stderr


def test_conditions_hold_for_sts_as_well(server: Server) -> None:
    """A key that is bound to an address makes no tokens elsewhere, and a role is assumed from where it may be."""
    elsewhere = {"ip_not_equal": {"qcs:ip": "10.0.0.0/8"}}
    bound = make_user(server, allow("*"), {**deny("*"), "action": ["*"], "condition": elsewhere})
    made = tc3(server, "GetFederationToken", {"Name": "x", "Policy": policy(allow("*"))}, bound)
    assert made["Error"]["Code"] == "UnauthorizedOperation"
    principal = {"principal": {"qcs": [f"qcs::cam::uin/{OWNER}:root"]}}
    for network, allowed in [("127.0.0.0/8", True), ("10.0.0.0/8", False)]:
        condition = {"condition": {"ip_equal": {"qcs:ip": network}}}
        arn = make_role(server, "near", {**principal, **condition}, allow("GetService"))
        made = tc3(server, "AssumeRole", {"RoleArn": arn, "RoleSessionName": "x"})
        assert ("Credentials" in made) == allowed, made


def test_nothing_outlives_what_it_was_made_with(server: Server) -> None:
    principal = {"principal": {"qcs": [f"qcs::cam::uin/{OWNER}:root"]}}
    arn = make_role(server, "chained", principal, allow("GetService"))
    leave = {"effect": "allow", "action": ["name/sts:AssumeRole"], "resource": ["*"]}
    short = token_for(server, None, leave, DurationSeconds=600)
    made = tc3(server, "AssumeRole", {"RoleArn": arn, "RoleSessionName": "x", "DurationSeconds": 43200}, short)
    assert made["ExpiredTime"] <= time.time() + 600


def test_a_token_ends_with_the_key_that_made_it(server: Server) -> None:
    """Rotation: whoever has the other pair of the same user goes on."""
    user = server.admin("user", "add", "--name", "rotating")
    pairs = [Who.of(user), Who.of({**server.admin("key", "add", "--user", "rotating"), "uin": user["uin"]})]
    tokens = [token_for(server, pair, allow("GetService")) for pair in pairs]
    server.admin("key", "disable", "--id", pairs[0].secret_id)
    server.send("GET", "/", who=tokens[0]).expect(403, "InvalidAccessKeyId")
    server.send("GET", "/", who=tokens[1]).expect(403, "AccessDenied")


def test_a_form_does_not_sign_two_parameters_as_one(server: Server) -> None:
    """The older signature joins values as they are: what narrows a role could be signed away as a nonce."""
    params = {
        "Action": "AssumeRole",
        "DurationSeconds": "600",
        "Name": "x",
        "Nonce": "1",
        "Policy": policy(allow("GetService")),
        "Region": REGION,
        "RoleArn": "qcs::cam::uin/1:roleName/x",
        "RoleSessionName": "x",
        "SecretId": SECRET_ID,
        "Timestamp": str(int(time.time())),
        "Version": "2018-08-13",
    }
    joined = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    digest = hmac.new(SECRET_KEY.encode(), f"POSTsts.tencentcloudapi.com/?{joined}".encode(), hashlib.sha1).digest()
    signature = base64.b64encode(digest).decode()
    merged = dict(params)
    merged["Nonce"] += f"&Policy={merged.pop('Policy')}"
    for sent, code in [(params, "UnauthorizedOperation"), (merged, "InvalidParameter")]:
        answer = server.send(
            "POST",
            "/",
            host="sts.tencentcloudapi.com",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({**sent, "Signature": signature}).encode(),
            auth=None,
        ).expect(200)
        assert json.loads(answer.body)["Response"]["Error"]["Code"] == code


def test_other_accounts_do_not_learn_which_roles_there_are(server: Server) -> None:
    other = Who.of(server.admin("account", "add", "--appid", 1250000122, "--uin", 100000000122))
    arn = make_role(server, "hidden", {"principal": {"qcs": [f"qcs::cam::uin/{OWNER}:root"]}}, allow("GetService"))
    asked = [tc3(server, "AssumeRole", {"RoleArn": name, "RoleSessionName": "x"}, other) for name in (arn, arn + "x")]
    assert [one["Error"] for one in asked] == [asked[0]["Error"]] * 2
