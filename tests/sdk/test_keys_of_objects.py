"""Keys that objects are encrypted under: the built-in key management, the Transit engine, the master key; and that
nothing which tells is on a disk."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import SECRET_KEY, Answer, Server, Who, bucket_host, read_answer, unique_bucket
from program import KEYS, Cosine, run_cosine, serve_arguments
from sse import CONTEXT, KMS_KEY_ID, SSE, A, B, context, spellings
from vault import TOKEN, Vault, settled

CONTENT = b"[Object Content]"
LARGE = bytes(range(256)) * 4096


def kms(key_id: str, text: str = "") -> dict[str, str]:
    headers = {SSE: "cos/kms", KMS_KEY_ID: key_id}
    return {**headers, CONTEXT: context(text)} if text else headers


def put(server: Server, bucket: str, key: str, headers: dict[str, str], body: bytes = CONTENT) -> Answer:
    return server.send("PUT", f"/{key}", bucket=bucket, headers=headers, body=body)


def read(server: Server, bucket: str, key: str, headers: dict[str, str] | None = None) -> bytes:
    return server.send("GET", f"/{key}", bucket=bucket, headers=headers).expect(200).body


def copy(server: Server, bucket: str, source: str, key: str, headers: dict[str, str]) -> Answer:
    named = {"x-cos-copy-source": f"{bucket_host(bucket)}/{source}", "x-cos-metadata-directive": "Replaced"}
    return server.send("PUT", f"/{key}", bucket=bucket, headers={**named, **headers})


# --- the built-in key management -----------------------------------------------------------------------


def state(server: Server, key_id: str) -> str:
    return server.admin("kms", "key", "describe", "--id", key_id)["state"]


def test_a_key_from_its_making_to_its_end(server: Server, bucket: str) -> None:
    key_id = server.admin("kms", "key", "add")["key_id"]
    put(server, bucket, "k", kms(key_id)).expect(200)
    put(server, bucket, "plain", {}).expect(200)

    def refused(code: str) -> None:
        """Nothing is written, nothing is read, and HEAD, which needs no bytes, answers."""
        put(server, bucket, "new", kms(key_id)).expect(400, code)
        copy(server, bucket, "plain", "new", kms(key_id)).expect(400, code)
        begin = server.send("POST", "/new", bucket=bucket, query={"uploads": ""}, headers=kms(key_id))
        begin.expect(400, code)
        assert server.send("HEAD", "/new", bucket=bucket).status == 404
        server.send("GET", "/k", bucket=bucket).expect(400, code)
        copy(server, bucket, "k", "new", {}).expect(400, code)
        server.send("HEAD", "/k", bucket=bucket).expect(200)

    server.admin("kms", "key", "disable", "--id", key_id)
    assert state(server, key_id) == "Disabled"
    refused("KmsKeyDisabled")
    assert server.try_admin("kms", "key", "rotate", "--id", key_id).returncode != 0
    server.admin("kms", "key", "enable", "--id", key_id)
    assert read(server, bucket, "k") == CONTENT

    server.admin("kms", "key", "rotate", "--id", key_id)
    assert server.admin("kms", "key", "describe", "--id", key_id)["versions"] == 2
    put(server, bucket, "newer", kms(key_id)).expect(200)
    assert read(server, bucket, "k") == read(server, bucket, "newer") == CONTENT

    server.admin("kms", "key", "schedule-deletion", "--id", key_id)
    assert server.try_admin("kms", "key", "disable", "--id", key_id).returncode != 0, "it would keep it"
    assert state(server, key_id) == "PendingDeletion"
    refused("KmsKeyDisabled")
    server.admin("kms", "key", "enable", "--id", key_id)
    assert read(server, bucket, "k") == CONTENT

    server.admin("kms", "key", "schedule-deletion", "--id", key_id, "--days", 0)
    refused("KmsKeyNotExist")
    assert server.try_admin("kms", "key", "enable", "--id", key_id).returncode != 0
    assert key_id not in [key["key_id"] for key in server.admin("kms", "key", "list")["keys"]]


def test_a_default_key_that_is_gone_has_a_successor(server: Server, bucket: str) -> None:
    first = put(server, bucket, "k", {SSE: "cos/kms"}).expect(200).headers[KMS_KEY_ID]
    server.admin("kms", "key", "schedule-deletion", "--id", first, "--days", 0)
    second = put(server, bucket, "k", {SSE: "cos/kms"}).expect(200).headers[KMS_KEY_ID]
    assert second != first
    assert put(server, bucket, "k", {SSE: "cos/kms"}).expect(200).headers[KMS_KEY_ID] == second
    assert read(server, bucket, "k") == CONTENT


@pytest.mark.parametrize("key_id", ["none", "48ba38aa-26c5-11ea-855c-525400850000", "x" * 300, "a/../b"])
def test_keys_that_do_not_exist(server: Server, bucket: str, key_id: str) -> None:
    put(server, bucket, "k", kms(key_id)).expect(400, "KmsKeyNotExist")
    assert server.send("HEAD", "/k", bucket=bucket).status == 404
    for command in ("describe", "enable", "disable", "rotate", "schedule-deletion"):
        assert server.try_admin("kms", "key", command, "--id", key_id).returncode != 0


def test_ids_that_are_longer_than_any(server: Server) -> None:
    for arguments in (("kms", "key", "describe"), ("key", "remove")):
        refused = server.try_admin(*arguments, "--id", "x" * 100_000)
        assert refused.returncode != 0 and " refuses: " in refused.stderr, refused.stderr[:200]
    assert "panicked" not in server.log()


def test_keys_belong_to_an_account(server: Server, bucket: str) -> None:
    """Its objects alone are encrypted under them, and it alone looks after them."""
    made = server.admin("account", "add", "--appid", 1250000044, "--uin", 100000000044)
    other = Who.of(made)
    own = server.admin("kms", "key", "add")["key_id"]
    theirs = server.admin("kms", "key", "add", who=other)["key_id"]
    put(server, bucket, "k", kms(theirs)).expect(400, "KmsKeyNotExist")
    there = f"{unique_bucket().rsplit('-', 1)[0]}-1250000044"
    server.send("PUT", bucket=there, who=other).expect(200)
    answers = [
        server.send("PUT", "/k", bucket=there, who=other, headers=headers, body=CONTENT)
        for headers in (kms(theirs), kms(own), {SSE: "cos/kms"})
    ]
    answers[0].expect(200)
    answers[1].expect(400, "KmsKeyNotExist")
    assert answers[2].expect(200).headers[KMS_KEY_ID] not in (own, theirs)
    assert server.send("GET", "/k", bucket=there, who=other).expect(200).body == CONTENT
    listed = [key["key_id"] for key in server.admin("kms", "key", "list", who=other)["keys"]]
    assert theirs in listed and own not in listed
    assert server.try_admin("kms", "key", "disable", "--id", own, who=other).returncode != 0
    assert server.try_admin("kms", "master", "status", who=other).returncode != 0


# --- the Transit engine --------------------------------------------------------------------------------


@pytest.fixture
def vault() -> Iterator[Vault]:
    with Vault() as vault:
        vault.add("my-key")
        yield vault


def with_vault(directory: Path, vault: Vault, **more: str) -> Cosine:
    token = directory / "token"
    token.write_text(TOKEN + "\n")
    env = {
        **KEYS,
        "COSINE_KMS_ENDPOINT": vault.endpoint,
        "COSINE_KMS_TOKEN_FILE": str(token),
        "COSINE_KMS_DEFAULT_KEY": "my-key",
        "COSINE_KMS_TIME": "1",
        **more,
    }
    return Cosine(*serve_arguments(directory / "data"), cwd=directory, env=env, secret_key=SECRET_KEY)


def make_bucket(server: Server) -> str:
    name = unique_bucket()
    server.send("PUT", bucket=name).expect(200)
    return name


def test_the_transit_engine_has_the_keys(vault: Vault, tmp_path: Path) -> None:
    vault.namespace = "team/a"
    with with_vault(tmp_path, vault, COSINE_KMS_NAMESPACE="team/a") as server:
        bucket = make_bucket(server)
        stored = put(server, bucket, "k", kms("my-key", '{"a": "b"}')).expect(200)
        assert stored.headers[KMS_KEY_ID] == "my-key"
        assert put(server, bucket, "default", {SSE: "cos/kms"}).expect(200).headers[KMS_KEY_ID] == "my-key"
        assert read(server, bucket, "k") == read(server, bucket, "default") == CONTENT
        copy(server, bucket, "k", "copy", {SSE: "AES256"}).expect(200)
        vault.asked.clear()
        assert read(server, bucket, "copy") == CONTENT
        assert vault.asked == [], "it needs the engine no more"
        put(server, bucket, "none", kms("no-key")).expect(400, "KmsKeyNotExist")
        assert ("encrypt", "no-key") not in vault.asked, "that would make one"
        put(server, bucket, "none", kms("../my-key")).expect(400, "KmsKeyNotExist")
        # Another key of the same name, and none.
        kept = dict(vault.keys)
        vault.add("my-key")
        server.send("GET", "/k", bucket=bucket).expect(400, "KmsException")
        vault.keys.clear()
        server.send("GET", "/k", bucket=bucket).expect(400, "KmsKeyNotExist")
        vault.keys.update(kept)
        assert read(server, bucket, "k") == CONTENT


FAULTS = [
    ((429, "rate limit quota exceeded"), 503, "KmsFreqControl"),
    ((403, "permission denied"), 500, "KmsInternalException"),
    ((400, "refusing to use soft-deleted key"), 400, "KmsKeyDisabled"),
    ((503, "Vault is sealed"), 503, "ServiceUnavailable"),
    ((500, "internal error"), 503, "ServiceUnavailable"),
]


@pytest.mark.parametrize(("fault", "status", "code"), FAULTS, ids=[code + str(f[0]) for f, _, code in FAULTS])
def test_an_engine_that_refuses(vault: Vault, tmp_path: Path, fault: tuple[int, str], status: int, code: str) -> None:
    with with_vault(tmp_path, vault) as server:
        bucket = make_bucket(server)
        put(server, bucket, "k", kms("my-key")).expect(200)
        vault.fault = fault
        put(server, bucket, "new", kms("my-key")).expect(status, code)
        copy(server, bucket, "k", "new", kms("my-key")).expect(status, code)
        server.send("GET", "/k", bucket=bucket).expect(status, code)
        assert server.send("HEAD", "/new", bucket=bucket).status == 404
        vault.fault = None
        assert read(server, bucket, "k") == CONTENT


def test_an_engine_that_hangs_keeps_nobody_waiting(vault: Vault, tmp_path: Path) -> None:
    """Many wait for it, and others are served meanwhile: they would wait for ever otherwise."""
    with with_vault(tmp_path, vault, COSINE_KMS_TIME="600") as server:
        bucket = make_bucket(server)
        put(server, bucket, "k", kms("my-key")).expect(200)
        put(server, bucket, "plain", {}).expect(200)
        vault.hold()
        waiting = []
        for _ in range(64):
            sock = server.connect()
            sock.sendall(server.head_bytes("GET", "/k", host=bucket_host(bucket)))
            waiting.append(sock)
        settled(lambda: vault.held == 64)
        assert read(server, bucket, "plain") == CONTENT
        put(server, bucket, "cos", {SSE: "AES256"}).expect(200)
        assert vault.held == 64
        vault.let_go()
        for sock in waiting:
            assert read_answer(sock).expect(200).body == CONTENT
            sock.close()


def test_an_engine_that_is_slow_or_away(vault: Vault, tmp_path: Path) -> None:
    """503, and nothing is written."""
    with with_vault(tmp_path, vault) as server:
        bucket = make_bucket(server)
        put(server, bucket, "k", kms("my-key")).expect(200)
        vault.hold()
        for _ in range(2):
            server.send("GET", "/k", bucket=bucket).expect(503, "ServiceUnavailable")
            put(server, bucket, "new", kms("my-key")).expect(503, "ServiceUnavailable")
            copy(server, bucket, "k", "new", {}).expect(503, "ServiceUnavailable")
            assert server.send("HEAD", "/new", bucket=bucket).status == 404
            vault.__exit__(None, None, None)


def test_a_token_that_cannot_be_had(vault: Vault, tmp_path: Path) -> None:
    """No file, or one that nobody writes to: others are served, and the request ends in its time."""
    with with_vault(tmp_path, vault) as server:
        bucket = make_bucket(server)
        token = tmp_path / "token"
        token.unlink()
        put(server, bucket, "new", kms("my-key")).expect(500, "KmsInternalException")
        os.mkfifo(token)
        many = 200
        waiting = [server.connect() for _ in range(many)]
        for sock in waiting:
            headers = {**kms("my-key"), "Content-Length": "0"}
            sock.sendall(server.head_bytes("PUT", "/new", host=bucket_host(bucket), headers=headers))
        for sock in waiting:
            read_answer(sock).expect(503, "ServiceUnavailable")
            sock.close()
        put(server, bucket, "plain", {}, LARGE).expect(200)
        assert read(server, bucket, "plain") == LARGE
        # A read that hangs keeps a thread; few are begun.
        threads = re.search(r"Threads:\s+(\d+)", Path(f"/proc/{server.process.pid}/status").read_text())
        assert threads and int(threads[1]) < many / 2
        # Whoever still waits for it reads an end.
        os.close(os.open(token, os.O_RDWR))


def test_accounts_have_keys_of_their_own_in_the_engine(vault: Vault, tmp_path: Path) -> None:
    vault.add("1250000088-my-key")
    with with_vault(tmp_path, vault) as server:
        who = Who.of(server.admin("account", "add", "--appid", 1250000088, "--uin", 100000000088))
        bucket = f"{unique_bucket().rsplit('-', 1)[0]}-1250000088"
        server.send("PUT", bucket=bucket, who=who).expect(200)

        def theirs(headers: dict[str, str]) -> Answer:
            return server.send("PUT", "/k", bucket=bucket, who=who, headers=headers, body=CONTENT)

        theirs(kms("my-key")).expect(400, "KmsKeyNotExist")
        assert theirs({SSE: "cos/kms"}).expect(200).headers[KMS_KEY_ID] == "1250000088-my-key"
        assert server.send("GET", "/k", bucket=bucket, who=who).expect(200).body == CONTENT
        assert server.try_admin("kms", "key", "add").returncode != 0, "nothing would use it"


def test_objects_of_the_built_in_keys_open_beside_an_engine(vault: Vault, tmp_path: Path) -> None:
    """And those of an engine that is not configured any more say so."""
    data = tmp_path / "data"
    with Cosine(*serve_arguments(data), cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY) as server:
        bucket = make_bucket(server)
        put(server, bucket, "old", {SSE: "cos/kms"}).expect(200)
    with with_vault(tmp_path, vault) as server:
        assert read(server, bucket, "old") == CONTENT
        put(server, bucket, "new", {SSE: "cos/kms"}).expect(200)
    with Cosine(*serve_arguments(data), cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY) as server:
        server.send("GET", "/new", bucket=bucket).expect(503, "ServiceUnavailable")
        assert "not configured" in server.log()


# --- the master key ------------------------------------------------------------------------------------


def test_a_store_whose_commits_are_not_durable_keeps_former_keys(tmp_path: Path) -> None:
    """A power cut may bring back what was sealed under them."""
    data = tmp_path / "data"
    with start(data, COSINE_DURABILITY="os") as server:
        bucket = make_bucket(server)
        put(server, bucket, "kms", {SSE: "cos/kms"}).expect(200)
        for count in (2, 3):
            server.admin("kms", "master", "rotate")
            settled(lambda: not server.admin("kms", "master", "status")["running"])
            assert server.admin("kms", "master", "status")["keys"] == count
            assert len((data / "master-key").read_text().split()) == count
    with start(data) as server:
        settled(lambda: len((data / "master-key").read_text().split()) == 1)
        assert read(server, bucket, "kms") == CONTENT


def hex_key(seed: str) -> str:
    return hashlib.sha256(seed.encode()).hexdigest()


def start(data: Path, **env: str) -> Cosine:
    return Cosine(*serve_arguments(data), cwd=data.parent, env={**KEYS, **env}, secret_key=SECRET_KEY)


def test_the_master_key_of_a_data_directory(tmp_path: Path) -> None:
    """Made once, for its owner only; replaced on demand, while it serves; and nothing opens with the old one."""
    data = tmp_path / "data"
    with start(data) as server:
        bucket = make_bucket(server)
        put(server, bucket, "kms", {SSE: "cos/kms"}).expect(200)
        put(server, bucket, "cos", {SSE: "AES256"}).expect(200)
        file = data / "master-key"
        assert file.stat().st_mode & 0o777 == 0o600
        old = file.read_text()
        assert re.fullmatch("[0-9a-f]{64}\n", old)
        server.admin("kms", "master", "rotate")
        settled(lambda: not server.admin("kms", "master", "status")["running"])
        status = server.admin("kms", "master", "status")
        assert (status["keys"], status["seen"], status["rewrapped"], status["lost"]) == (1, 2, 2, 0)
        new = file.read_text()
        assert re.fullmatch("[0-9a-f]{64}\n", new) and new != old
        assert file.stat().st_mode & 0o777 == 0o600
        assert read(server, bucket, "kms") == read(server, bucket, "cos") == CONTENT
    with start(data) as server:
        assert read(server, bucket, "kms") == read(server, bucket, "cos") == CONTENT
    file.unlink()
    missing = run_cosine(*serve_arguments(data), cwd=tmp_path, env=KEYS)
    assert "master-key is missing" in missing.stderr and not file.exists()
    file.write_text(old)
    refused = run_cosine(*serve_arguments(data), cwd=tmp_path, env=KEYS)
    assert refused.returncode == 1
    assert "the master key is not the one that this store was made with" in refused.stderr
    file.write_text(new)
    with start(data) as server:
        assert read(server, bucket, "kms") == CONTENT


def test_a_master_key_that_is_replaced_by_its_owner(tmp_path: Path) -> None:
    """From the environment, a file or a command: a new one in front, and later the old one taken away."""
    data, file = tmp_path / "data", tmp_path / "key"
    one, two = hex_key("one"), hex_key("two")
    with start(data, COSINE_MASTER_KEY=one) as server:
        bucket = make_bucket(server)
        put(server, bucket, "kms", {SSE: "cos/kms"}).expect(200)
        assert not (data / "master-key").exists()
        assert server.try_admin("kms", "master", "rotate").returncode != 0
    file.write_text(f"{two}\n{one}\n")
    with start(data, COSINE_MASTER_KEY_FILE=str(file)) as server:
        settled(lambda: "take the others away" in server.log())
        status = server.admin("kms", "master", "status")
        assert (status["keys"], status["rewrapped"], status["running"]) == (2, 2, False)
        assert read(server, bucket, "kms") == CONTENT
    file.write_text(two)
    with start(data, COSINE_MASTER_KEY_COMMAND=f"cat {file}") as server:
        assert read(server, bucket, "kms") == CONTENT
    refused = run_cosine(*serve_arguments(data), cwd=tmp_path, env={**KEYS, "COSINE_MASTER_KEY": one})
    assert "the master key is not the one" in refused.stderr
    both = {"COSINE_MASTER_KEY": two, "COSINE_MASTER_KEY_FILE": str(file)}
    alone = {"COSINE_KMS_DEFAULT_KEY": "key"}
    for wrong in ({"COSINE_MASTER_KEY": "00"}, {"COSINE_MASTER_KEY_COMMAND": "false"}, both, alone):
        refused = run_cosine(*serve_arguments(data), cwd=tmp_path, env={**KEYS, **wrong})
        assert refused.returncode != 0 and one not in refused.stderr


# --- at rest, and what a re-wrap may not do ------------------------------------------------------------


def blobs(data: Path) -> list[Path]:
    return [path for path in (data / "blobs").rglob("*") if re.fullmatch("[0-9a-f]{32}", path.name)]


def test_everything_is_sealed_and_nothing_shows_it(tmp_path: Path) -> None:
    """Then a copy into any kind moves no byte, whatever its source is said to be."""
    data, config = tmp_path / "data", tmp_path / "cosine.toml"
    config.write_text("encrypt_at_rest = true\n")
    arguments = [*serve_arguments(data), "--config", str(config)]
    with Cosine(*arguments, cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY) as server:
        bucket = make_bucket(server)
        stored = put(server, bucket, "k", {}, LARGE).expect(200)
        assert stored.headers["ETag"] == f'"{hashlib.md5(LARGE).hexdigest()}"'
        assert not [name for name in stored.headers if "encryption" in name.lower()]
        for key, headers, reads in [
            ("cos", {SSE: "AES256"}, {}),
            ("kms", {SSE: "cos/kms"}, {}),
            ("c", A.headers(), A.headers()),
            ("none", {}, {}),
        ]:
            copy(server, bucket, "k", key, headers).expect(200)
            assert read(server, bucket, key, reads) == LARGE
        assert len(blobs(data)) == 1
        assert LARGE[:64] not in blobs(data)[0].read_bytes()
    # Without, what is sealed stays so and is read as before.
    with start(data) as server:
        assert read(server, bucket, "k") == read(server, bucket, "none") == LARGE
        put(server, bucket, "plain", {}, LARGE).expect(200)
        assert len([path for path in blobs(data) if LARGE[:64] in path.read_bytes()]) == 1


def test_buckets_in_which_nothing_is_rewrapped(tmp_path: Path) -> None:
    data = tmp_path / "data"
    bucket, other = unique_bucket(), unique_bucket()
    config = tmp_path / "cosine.toml"
    config.write_text(f'[buckets.{bucket}]\nrewrap = "never"\n')
    arguments = [*serve_arguments(data), "--config", str(config)]
    with Cosine(*arguments, cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY) as server:
        for name, moved in [(bucket, 1), (other, 0)]:
            server.send("PUT", bucket=name).expect(200)
            put(server, name, "k", A.headers(), LARGE).expect(200)
            before = len(blobs(data))
            copy(server, name, "k", "copy", {**A.source_headers, **B.headers()}).expect(200)
            assert read(server, name, "copy", B.headers()) == LARGE
            assert len(blobs(data)) - before == moved
    for text in ('[buckets.x]\nrewrap = "never"\n', f'[buckets.{bucket}]\nrewrap = "no"\n', 'rewrap = "x"\n'):
        config.write_text(text)
        assert run_cosine(*arguments, cwd=tmp_path, env=KEYS).returncode == 2


def test_a_new_version_of_a_key_of_the_engine(vault: Vault, tmp_path: Path) -> None:
    """Where nothing is re-wrapped, it is another key."""
    with with_vault(tmp_path, vault, COSINE_REWRAP="never") as server:
        bucket = make_bucket(server)
        put(server, bucket, "k", kms("my-key"), LARGE).expect(200)
        for version, moved in [(1, 0), (2, 1)]:
            vault.latest_version = version
            before = len(blobs(tmp_path / "data"))
            copy(server, bucket, "k", f"copy-{version}", kms("my-key")).expect(200)
            assert len(blobs(tmp_path / "data")) - before == moved


def test_keys_of_customers_over_plain_http(tmp_path: Path) -> None:
    with start(tmp_path / "data", COSINE_CUSTOMER_KEYS_NEED_TLS="true") as server:
        bucket = make_bucket(server)
        answer = put(server, bucket, "k", A.headers()).expect(400, "InvalidRequest")
        assert b"HTTPS" in answer.body
        put(server, bucket, "k", {SSE: "AES256"}).expect(200)


# --- what is on a disk ---------------------------------------------------------------------------------

MARKER = b"MARKER OF PLAIN BYTES, "


def test_nothing_that_tells_is_on_a_disk(tmp_path: Path) -> None:
    """No key of a customer, no byte and no checksum of what is encrypted: not in the data directory, not in the log at
    its most talkative, not in a core file, since there is none."""
    data = tmp_path / "data"
    # The server would leave one where it may.
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    env = {"COSINE_LOG": "trace", "COSINE_AUDIT": str(tmp_path / "audit"), "COSINE_ENCRYPT_AT_REST": "true"}
    needles: dict[str, bytes] = {"the marker": MARKER}
    server = start(data, **env)
    resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    bucket = make_bucket(server)
    kinds = [({SSE: "AES256"}, {}, {}), (kms_of(server), {}, {}), (A.headers(), A.headers(), A.source_headers), ({}, {}, {})]
    for n, (asks, reads, as_source) in enumerate(kinds):
        for size in (600, 200_000):
            body = (MARKER * (size // len(MARKER) + 1))[n : size + n]
            key = f"{n}-{size}"
            put(server, bucket, key, asks, body).expect(200)
            assert read(server, bucket, key, reads) == body
            copy(server, bucket, key, f"{key}-copy", {**as_source, **B.headers()}).expect(200)
            server.send("GET", f"/{key}", bucket=bucket, headers={**reads, "Range": "bytes=5-99"}).expect(206)
            digest = hashlib.md5(body)
            for how, text in spellings(digest.digest()).items():
                needles[f"MD5 of {key}, {how}"] = text
            crc64 = int(server.send("HEAD", f"/{key}", bucket=bucket, headers=reads).headers["x-cos-hash-crc64ecma"])
            needles[f"CRC64 of {key}"] = str(crc64).encode()
            needles[f"CRC64 of {key}, LE"] = crc64.to_bytes(8, "little")
            needles[f"CRC64 of {key}, BE"] = crc64.to_bytes(8, "big")
    # What is wrong is not repeated either.
    wrong = {**A.headers(), f"{SSE}-customer-key-MD5": B.md5}
    put(server, bucket, "wrong", wrong).expect(400, "InvalidArgument")
    read_wrong = server.send("GET", "/2-600", bucket=bucket, headers=B.headers())
    read_wrong.expect(400, "SsecDecryptHeaderInvalid")
    master = bytes.fromhex((data / "master-key").read_text().strip())
    for name, secret in [("A", A.raw), ("B", B.raw), ("the root's", SECRET_KEY.encode()), ("the master", master)]:
        for how, text in spellings(secret).items():
            needles[f"key {name}, {how}"] = text
    limits = Path(f"/proc/{server.process.pid}/limits").read_text()
    assert re.search(r"Max core file size +0 +0", limits), limits
    log = server.log().encode()
    server.process.send_signal(signal.SIGABRT)
    server.process.wait(30)
    server.kill()
    places = {str(path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert not [path for path in places if "core" in Path(path).name]
    places["the log"] = log + server.log().encode()
    del places[str(data / "master-key")]
    assert len(places) > 10 and len(places["the log"]) > 1000
    for what, needle in needles.items():
        found = [place for place, content in places.items() if needle in content]
        assert not found, (what, found)


def kms_of(server: Server) -> dict[str, str]:
    return kms(server.admin("kms", "key", "add")["key_id"], '{"context": "of a test"}')


def test_a_flipped_segment_is_an_error_and_a_line_in_the_log(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with start(data) as server:
        bucket = make_bucket(server)
        put(server, bucket, "k", {SSE: "AES256"}, LARGE).expect(200)
        [blob] = blobs(data)
        content = bytearray(blob.read_bytes())
        content[3 * 65552 + 100] ^= 1
        blob.write_bytes(content)
        ranged = {"Range": f"bytes={3 * 65536}-{3 * 65536 + 9}"}
        server.send("GET", "/k", bucket=bucket, headers=ranged).expect(500, "InternalError")
        assert "sealed bytes are not what was sealed there" in server.log()
        before = {"Range": "bytes=0-196607"}
        assert server.send("GET", "/k", bucket=bucket, headers=before).expect(206).body == LARGE[:196608]
        copy(server, bucket, "k", "copy", {SSE: "cos/kms"}).expect(200)
        server.send("GET", "/copy", bucket=bucket, headers=ranged).expect(500, "InternalError")
    assert run_cosine("fsck", "--data", str(data), "--deep", cwd=tmp_path).returncode == 1
