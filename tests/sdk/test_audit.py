"""The audit: who did what, from where, and by which rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness import APPID, Server, Who, bucket_host
from people import allow, deny, make_user
from test_sts import token_for

BUCKET = f"audited-{APPID}"
OTHERS = "audited-1250000066"


def records(path: Path, server: Server) -> list[dict[str, object]]:
    """All of them, once the server has stopped."""
    server.stop()
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_c165_a_copy_is_one_read_and_one_write(tmp_path: Path) -> None:
    """C165: on the buckets that it reads and writes, with one request id."""
    audit = tmp_path / "audit.log"
    server = Server(tmp_path / "data", "--audit", str(audit))
    server.send("PUT", bucket=BUCKET).expect(200)
    other = Who.of(server.admin("account", "add", "--appid", 1250000066, "--uin", 100000000066))
    server.send("PUT", bucket=OTHERS, who=other).expect(200)
    headers = {"x-cos-acl": "public-read"}
    server.send("PUT", "/k", bucket=BUCKET, headers=headers, body=b"x").expect(200)
    copy = {"x-cos-copy-source": f"{bucket_host(BUCKET)}/k"}
    done = server.send("PUT", "/c", bucket=OTHERS, who=other, headers=copy).expect(200)
    server.send("GET", "/c", bucket=OTHERS, who=other).expect(200)
    kept = [one for one in records(audit, server) if one["request_id"] == done.headers["x-cos-request-id"]]
    who = "qcs::cam::uin/100000000066:uin/100000000066"
    assert [(one["action"], one["resource"], one["who"], one["reason"]) for one in kept] == [
        ("PutObject", f"{OTHERS}/c", who, "owner"),
        ("GetObject", f"{BUCKET}/k", who, "READ granted to Everyone by ACL"),
    ]
    assert all(one["allowed"] and one["ip"] == "127.0.0.1" and one["time"].endswith("Z") for one in kept)
    assert audit.stat().st_mode & 0o777 == 0o600


def test_refusals_and_changes_are_kept_and_reads_are_not(tmp_path: Path) -> None:
    audit = tmp_path / "audit.log"
    server = Server(tmp_path / "data", "--audit", str(audit))
    server.send("PUT", bucket=BUCKET).expect(200)
    server.send("PUT", "/k", bucket=BUCKET, body=b"x").expect(200)
    server.send("GET", "/k", bucket=BUCKET).expect(200)
    user = make_user(server, allow("*"), deny("GetObject", f"{BUCKET}/k"))
    name = next(one["name"] for one in server.admin("user", "list")["users"])
    server.send("GET", "/k", bucket=BUCKET, who=user).expect(403)
    server.send("GET", "/k", bucket=BUCKET, auth=None).expect(403)
    server.send("GET", "/k", bucket=BUCKET, who=Who(user.secret_id, "wrong")).expect(403)
    server.send("GET", "/k", bucket=BUCKET, who=Who("AKID\"nobody", "x")).expect(403)
    session = token_for(server, user, allow("PutObject"))
    server.send("DELETE", "/k", bucket=BUCKET, who=session).expect(403)
    server.send("PUT", "/a b", bucket=BUCKET, who=session, body=b"x").expect(200)
    kept = records(audit, server)
    uin = f"qcs::cam::uin/100000000001:uin/{user.uin}"
    seen = [(one["who"], one["action"], one["resource"], one["allowed"], one["reason"].split(":")[0]) for one in kept]
    root = "qcs::cam::uin/100000000001:uin/100000000001"
    host = f"{bucket_host(BUCKET)}/k"
    assert seen == [
        (root, "PutBucket", f"{BUCKET}/", True, "owner"),
        (root, "PutObject", f"{BUCKET}/k", True, "owner"),
        (root, "/-/admin/user/add", f'appid={APPID} name="{name}"', True, "done"),
        (root, "/-/admin/user/list", "", True, "done"),
        (uin, "GetObject", f"{BUCKET}/k", False, "denied by statement 1 of the user's policy"),
        ("anonymous", "GetObject", f"{BUCKET}/k", False, "nothing allows it"),
        (f"unverified {user.secret_id}", "GET", host, False, "SignatureDoesNotMatch"),
        ('unverified AKID"nobody', "GET", host, False, "InvalidAccessKeyId"),
        (uin, "sts", "test", True, "made"),
        (f"{uin} session test", "DeleteObject", f"{BUCKET}/k", False, "not allowed by the session's policy"),
        (f"{uin} session test", "PutObject", f"{BUCKET}/a b", True, "allowed by statement 0 of the user's policy"),
    ]
    text = audit.read_text()
    assert user.secret_key not in text and (session.token or "") not in text


def test_the_file_is_put_aside_when_it_is_full(tmp_path: Path) -> None:
    audit = tmp_path / "audit.log"
    server = Server(tmp_path / "data", "--audit", str(audit), "--audit-size", "2KiB", "--audit-files", "2")
    server.send("PUT", bucket=BUCKET).expect(200)
    for number in range(60):
        server.send("PUT", f"/{number}", bucket=BUCKET, body=b"x").expect(200)
    server.stop()
    files = [audit, tmp_path / "audit.log.1", tmp_path / "audit.log.2"]
    assert sorted(tmp_path.glob("audit.log*")) == files
    lines = [json.loads(line) for path in reversed(files) for line in path.read_text().splitlines()]
    assert all(path.stat().st_size <= 2 << 10 for path in files)
    numbers = [int(line["resource"].split("/")[1]) for line in lines]
    assert numbers == list(range(60 - len(numbers), 60)) and len(numbers) > 15


def test_a_file_that_somebody_else_put_aside_is_made_again(tmp_path: Path) -> None:
    """And those that were put aside before stay: they are not moved on once for each line."""
    audit = tmp_path / "audit.log"
    server = Server(tmp_path / "data", "--audit", str(audit), "--audit-size", "2KiB", "--audit-files", "3")
    server.send("PUT", bucket=BUCKET).expect(200)
    older = tmp_path / "audit.log.1"
    older.write_text("older")
    audit.rename(tmp_path / "elsewhere")
    for number in range(12):
        server.send("PUT", f"/{number}", bucket=BUCKET, body=b"x").expect(200)
    server.stop()
    assert audit.stat().st_size > 0
    assert (tmp_path / "audit.log.2").read_text() == "older" or older.read_text() == "older"


def test_an_audit_that_cannot_be_kept_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="cannot open the audit"):
        Server(tmp_path / "data", "--audit", str(tmp_path / "none" / "audit.log"))
