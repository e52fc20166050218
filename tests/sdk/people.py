"""Accounts, users and policies for the tests of who may do what."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

from harness import APPID, Server, Who

_COUNTER = itertools.count(1)
ANYONE = "qcs::cam::anyone:anyone"


def statement(
    effect: str,
    actions: str,
    resource: str = "*",
    *,
    to: str | None = None,
    condition: Mapping[str, Mapping[str, object]] | None = None,
) -> dict[str, object]:
    """A statement; ``actions`` are separated by blanks, and ``resource`` is ``<bucket>/<key pattern>`` or ``*``."""
    made: dict[str, object] = {
        "effect": effect,
        "action": [f"name/cos:{action}" for action in actions.split()],
        "resource": [resource if resource == "*" else f"qcs::cos::uid/{resource.split('/')[0].split('-')[-1]}:{resource}"],
    }
    if to:
        made["principal"] = {"qcs": [to]}
    if condition:
        made["condition"] = condition
    return made


def policy(*statements: Mapping[str, object]) -> str:
    return json.dumps({"version": "2.0", "statement": list(statements)})


def allow(actions: str, resource: str = "*", **more: object) -> dict[str, object]:
    return statement("allow", actions, resource, **more)


def deny(actions: str, resource: str = "*", **more: object) -> dict[str, object]:
    return statement("deny", actions, resource, **more)


@contextmanager
def in_file(text: str):
    """A file with a text."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "text"
        path.write_text(text)
        yield path


def make_user(server: Server, *statements: Mapping[str, object], account: Who | None = None) -> Who:
    """A user of the server's own account, or of another, with a policy of these statements."""
    appid = account.appid if account else int(APPID)
    arguments: list[object] = ["user", "add", "--name", f"user-{next(_COUNTER)}", "--appid", appid]
    if not statements:
        made = server.admin(*arguments)
    else:
        with in_file(policy(*statements)) as path:
            made = server.admin(*arguments, "--policy", path)
    return Who.of({**made, "appid": appid})


def user_id(account: Who | int, user: Who | None = None) -> str:
    """``qcs::cam::uin/<account>:uin/<user>``."""
    owner = account if isinstance(account, int) else account.uin
    return f"qcs::cam::uin/{owner}:uin/{user.uin if user else owner}"


def set_policy(server: Server, bucket: str, *statements: Mapping[str, object]) -> None:
    """Gives a bucket a policy of these statements."""
    body = policy(*statements).encode()
    server.send("PUT", bucket=bucket, query={"policy": ""}, body=body).expect(204)
