"""The collector and the scrub of a server that runs: their administration, and what they do to a disk."""

from __future__ import annotations

import base64
import hashlib
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import REGION, SECRET_KEY, Answer, authorization, body_of, bucket_host, unique_bucket
from program import FREE_PORT, KEYS, Cosine, run_cosine, serve_arguments
from test_monitor import Watched, key
from test_tls import make_pair, openssl

DEADLINE = 30.0
MIB = 1 << 20
# More than any disk has.
EVERYTHING = str(1 << 60)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def start(data: Path, *arguments: str) -> Cosine:
    return Cosine(*serve_arguments(data), *arguments, cwd=data.parent, env=KEYS, secret_key=SECRET_KEY)


@pytest.fixture
def cosine(data: Path) -> Iterator[Cosine]:
    with start(data) as cosine:
        yield cosine


def admin(cosine: Cosine, cwd: Path, *arguments: str) -> dict:
    """What a command answers, as JSON."""
    endpoint = f"{cosine.scheme}://127.0.0.1:{cosine.port}"
    ran = run_cosine("admin", "--endpoint", endpoint, "--json", *arguments, cwd=cwd, env=KEYS)
    assert ran.returncode == 0, ran
    return json.loads(ran.stdout)


def wait_for(state: Callable[[], dict], reached: Callable[[dict], bool]) -> dict:
    """The state, once it is reached."""
    deadline = time.monotonic() + DEADLINE
    while not reached(found := state()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


def collect(cosine: Cosine, cwd: Path) -> None:
    """Until nothing waits. The server's own collector works too, and may have taken a part."""

    def state() -> dict:
        admin(cosine, cwd, "gc", "run", "--grace", "0")
        return admin(cosine, cwd, "gc", "status")

    wait_for(state, lambda found: found["released"]["contents"] == found["doomed"]["blobs"] == 0)


def disk_use(directory: Path) -> int:
    """Bytes, as ``du`` counts them."""
    return sum(path.lstat().st_blocks * 512 for path in directory.rglob("*"))


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


# --- the collector ---------------------------------------------------------------------------


def test_space_comes_back(cosine: Cosine, data: Path) -> None:
    """What was overwritten or deleted leaves the disk; what a copy needs stays, byte for byte."""
    client, bucket = cosine.client(), unique_bucket()
    client.create_bucket(Bucket=bucket)
    bodies = [random.Random(n).randbytes(MIB) for n in range(12)]
    for n, body in enumerate(bodies):
        client.put_object(Bucket=bucket, Key=f"{n}", Body=body)
    client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "0", "Region": REGION})
    full = disk_use(data / "blobs")
    assert full >= 12 * MIB
    for n in range(6):
        client.put_object(Bucket=bucket, Key=f"{n}", Body=b"small now")
    for n in range(6, 11):
        client.delete_object(Bucket=bucket, Key=f"{n}")
    # The grace is an hour: nothing has left the disk, and a run that keeps it takes nothing away.
    admin(cosine, data.parent, "gc", "run")
    assert disk_use(data / "blobs") >= full
    waiting = wait_for(lambda: admin(cosine, data.parent, "gc", "status"), lambda found: found["doomed"]["blobs"] == 10)
    assert waiting["doomed"]["bytes"] == 10 * MIB

    collect(cosine, data.parent)
    assert disk_use(data / "blobs") <= full - 10 * MIB + MIB // 2
    after = admin(cosine, data.parent, "gc", "status")
    assert after["reclaimed"] == {"blobs": 10, "inline": 0, "bytes": 10 * MIB}
    assert after["quarantined"] == {"blobs": 0}
    assert body_of(client.get_object(Bucket=bucket, Key="copy")) == bodies[0]
    assert body_of(client.get_object(Bucket=bucket, Key="11")) == bodies[11]
    assert body_of(client.get_object(Bucket=bucket, Key="3")) == b"small now"


def test_the_ledger_and_a_run_in_words(cosine: Cosine, data: Path) -> None:
    endpoint = ["--endpoint", f"http://{cosine.address}"]
    for words in (["gc", "status"], ["gc", "run", "--grace", "0"], ["scrub", "status"]):
        ran = run_cosine("admin", *words, *endpoint, cwd=data.parent, env=KEYS)
        assert (ran.returncode, ran.stderr) == (0, ""), ran
        assert len(ran.stdout.splitlines()) >= 4
    # The credential may also come from the data directory of a server that made its own.
    own = data.parent / "own"
    with Cosine(*serve_arguments(own), cwd=data.parent) as other:
        arguments = ["gc", "status", "--json", "--endpoint", f"http://{other.address}", "--data", str(own)]
        ran = run_cosine("admin", *arguments, cwd=data.parent)
        assert json.loads(ran.stdout)["doomed"] == {"blobs": 0, "bytes": 0}


def test_administration_is_for_the_root_credential_alone(cosine: Cosine, data: Path) -> None:
    """With another, the command fails and names the code; unsigned, or with a grace of one's own making, it is 403."""
    endpoint = ["--endpoint", f"http://{cosine.address}"]
    for name, value, code in [
        ("COSINE_SECRET_KEY", "wrong", "SignatureDoesNotMatch"),
        ("COSINE_SECRET_ID", "AKIDnobody", "InvalidAccessKeyId"),
    ]:
        for words in (["gc", "status"], ["gc", "run"], ["scrub", "status"], ["scrub", "run"]):
            ran = run_cosine("admin", *words, *endpoint, cwd=data.parent, env={**KEYS, name: value})
            assert ran.returncode != 0 and ran.stdout == "" and code in ran.stderr, ran

    def ask(method: str, path: str, signed: dict[str, str] | None, sent: dict[str, str]) -> Answer:
        auth = None
        if signed is not None:
            auth = authorization(method, path, headers={"host": cosine.address, **signed})
        return cosine.send(method, path, headers=sent, auth=auth)

    for method, path in [(m, f"/-/admin/{name}") for m in ("GET", "POST") for name in ("gc", "scrub")]:
        ask(method, path, None, {}).expect(403, "AccessDenied")
        ask(method, path, {}, {}).expect(200)
    run = ("POST", "/-/admin/gc")
    zero, hour = {"x-cosine-grace": "0"}, {"x-cosine-grace": "3600"}
    ask(*run, zero, zero).expect(200)
    ask(*run, hour, zero).expect(403, "SignatureDoesNotMatch")
    ask(*run, {}, zero).expect(403, "AccessDenied")
    ask(*run, None, zero).expect(403, "AccessDenied")
    for wrong in ("-1", "1h", "", "1.5", "99999999999999999999"):
        grace = {"x-cosine-grace": wrong}
        ask(*run, grace, grace).expect(400, "InvalidArgument")


def test_administration_over_tls(data: Path) -> None:
    """With the certificate it trusts the server; without, it asks nothing."""
    pair = make_pair(data.parent)
    with Cosine("serve", *FREE_PORT, cwd=data.parent, env=pair.settings, secret_key=SECRET_KEY) as cosine:
        for host in ("127.0.0.1", "localhost"):
            asked = ["admin", "gc", "status", "--json", "--endpoint", f"https://{host}:{cosine.port}"]
            trusted = run_cosine(*asked, "--ca", str(pair.cert), cwd=data.parent, env=KEYS)
            assert trusted.returncode == 0 and "doomed" in json.loads(trusted.stdout), trusted
            untrusted = run_cosine(*asked, cwd=data.parent, env=KEYS)
            assert untrusted.returncode != 0 and untrusted.stdout == "", untrusted
        other = make_pair(data.parent, "rsa")
        refused = run_cosine(*asked, "--ca", str(other.cert), cwd=data.parent, env=KEYS)
        assert refused.returncode != 0 and "invalid peer certificate" in refused.stderr, refused


def test_a_certificate_is_trusted_for_its_names_only(data: Path) -> None:
    cert, secret = data.parent / "cert.pem", data.parent / "key.pem"
    request = ["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=x", "-addext", "subjectAltName=DNS:other.example"]
    curve = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    openssl(*request, "-newkey", *curve, "-keyout", str(secret), "-out", str(cert))
    env = {**KEYS, "COSINE_TLS_CERT": str(cert), "COSINE_TLS_KEY": str(secret)}
    with Cosine("serve", *FREE_PORT, cwd=data.parent, env=env, secret_key=SECRET_KEY) as cosine:
        asked = ["admin", "gc", "status", "--endpoint", f"https://127.0.0.1:{cosine.port}", "--ca", str(cert)]
        refused = run_cosine(*asked, cwd=data.parent, env=KEYS)
        assert refused.returncode != 0 and "not valid for" in refused.stderr, refused


def test_on_the_host_of_a_bucket_the_paths_are_keys(cosine: Cosine) -> None:
    """An object may be called what the administration calls itself, and asking for it collects nothing."""
    bucket = unique_bucket()
    host = bucket_host(bucket)
    cosine.send("PUT", bucket=bucket).expect(200)
    for path in ("/-/admin/gc", "/-/admin/scrub"):
        cosine.send("GET", path, host=host).expect(404, "NoSuchKey")
        cosine.send("GET", path, host=host, auth=None).expect(403, "AccessDenied")
        cosine.send("PUT", path, host=host, body=path.encode()).expect(200)
        assert cosine.send("GET", path, host=host).expect(200).body == path.encode()
        assert cosine.send("GET", f"/{bucket}{path}").expect(200).body == path.encode()
        assert cosine.send("POST", path, host=host).status >= 400
    listed = cosine.client().list_objects(Bucket=bucket)["Contents"]
    assert [entry["Key"] for entry in listed] == ["-/admin/gc", "-/admin/scrub"]


# --- the scrub -------------------------------------------------------------------------------


def test_the_scrub_finds_a_flipped_byte_by_itself(data: Path) -> None:
    """Before anyone reads it: in the status, in the log and in the metrics, until it is gone."""
    bucket = unique_bucket()
    body = random.Random(5).randbytes(600_000)
    with Watched(data, "--log-format", "json") as cosine:
        client = cosine.client()
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="a/b", Body=body)
        client.put_object(Bucket=bucket, Key="other", Body=b"x" * 20_000)
        client.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a/b", "Region": REGION})
        (blob,) = [path for path in (data / "blobs").glob("??/*") if path.stat().st_size > 600_000]
        flip(blob, 555_555)

        def scrub() -> dict:
            """The status after a whole pass that begins now."""
            passes = admin(cosine, data.parent, "scrub", "status")["pass"]
            assert admin(cosine, data.parent, "scrub", "run") == {}
            return wait_for(
                lambda: admin(cosine, data.parent, "scrub", "status"),
                lambda found: found["pass"] > passes and not found["running"],
            )

        status = scrub()
        assert status["damaged_contents"] == 1
        found = {(entry["bucket"], entry["key"]): entry for entry in status["damaged"]}
        assert found.keys() == {(bucket, "a/b"), (bucket, "copy")}
        assert all("a chunk is not what was written" in entry["what"] for entry in found.values())
        assert found[bucket, "a/b"]["version"] < found[bucket, "copy"]["version"]
        assert status["last"]["live"] == {"contents": 2, "bytes": 620_000}
        assert status["last"]["shared"] == {"contents": 1, "bytes": 600_000}
        lines = [line for line in cosine.logged() if line.get("message") == "an object is damaged"]
        told = {(line["bucket"], line["key"], line["version"]) for line in lines}
        assert told == {(*place, entry["version"]) for place, entry in found.items()}
        assert all(line["level"] == "ERROR" for line in lines)
        assert cosine.samples()[key("damaged_contents")] == 1
        ran = run_cosine(
            "admin", "scrub", "status", "--endpoint", f"http://{cosine.address}", cwd=data.parent, env=KEYS
        )
        assert f"DAMAGED: {bucket}/copy (version {found[bucket, 'copy']['version']}): " in ran.stdout

        client.put_object(Bucket=bucket, Key="a/b", Body=body)
        client.delete_object(Bucket=bucket, Key="copy")
        collect(cosine, data.parent)
        status = scrub()
        assert (status["damaged_contents"], status["damaged"]) == (0, [])
        assert cosine.samples()[key("damaged_contents")] == 0
        assert body_of(client.get_object(Bucket=bucket, Key="a/b")) == body


# --- a full disk -----------------------------------------------------------------------------


def test_below_the_reserve_everything_can_be_read_and_deleted(data: Path) -> None:
    """Nothing grows, nothing is poisoned, and with more room all is as it was."""
    bucket, late = unique_bucket(), unique_bucket()
    body = random.Random(6).randbytes(200_000)
    with start(data) as cosine:
        cosine.send("PUT", bucket=bucket).expect(200)
        for name in ("kept", "deleted", "deleted too"):
            cosine.send("PUT", f"/{name}", bucket=bucket, body=body).expect(200)
        cosine.send("GET", "/-/ready", auth=None).expect(200)

    with start(data, "--disk-reserve", EVERYTHING) as cosine:
        copy = {"x-cos-copy-source": f"{bucket_host(bucket)}/kept"}
        for refused in (
            cosine.send("PUT", "/small", bucket=bucket, body=b"x"),
            cosine.send("PUT", "/large", bucket=bucket, body=body),
            cosine.send("PUT", "/kept", bucket=bucket, body=b"other"),
            cosine.send("PUT", "/copy", bucket=bucket, headers=copy),
            cosine.send("PUT", bucket=late),
        ):
            refused.expect(507, "InsufficientStorage")
            assert refused.headers["Content-Type"] == "application/xml"
            assert refused.xml.findtext("RequestId") == refused.headers["x-cos-request-id"]
        ready = cosine.send("GET", "/-/ready", auth=None).expect(503)
        assert ready.body == b"the disk is full but for its reserve\n"
        cosine.send("GET", "/-/healthy", auth=None).expect(200)
        assert cosine.send("GET", "/kept", bucket=bucket).expect(200).body == body
        cosine.send("DELETE", "/deleted", bucket=bucket).expect(204)
        document = b"<Delete><Object><Key>deleted too</Key></Object></Delete>"
        digest = {"Content-MD5": base64.b64encode(hashlib.md5(document).digest()).decode()}
        deleted = cosine.send("POST", bucket=bucket, query={"delete": ""}, headers=digest, body=document)
        assert deleted.expect(200).xml.findtext("Deleted/Key") == "deleted too"
        # And the room comes back.
        collect(cosine, data.parent)
        assert len([path for path in (data / "blobs").glob("??/*") if path.is_file()]) == 1

    with start(data) as cosine:
        cosine.send("GET", "/-/ready", auth=None).expect(200)
        assert cosine.send("GET", "/kept", bucket=bucket).expect(200).body == body
        for gone in ("deleted", "deleted too", "small", "large", "copy"):
            cosine.send("GET", f"/{gone}", bucket=bucket).expect(404, "NoSuchKey")
        cosine.send("PUT", bucket=late).expect(200)
        cosine.send("PUT", "/copy", bucket=late, headers=copy).expect(200)
        cosine.send("PUT", "/large", bucket=bucket, body=body).expect(200)
        assert cosine.send("GET", "/copy", bucket=late).expect(200).body == body
