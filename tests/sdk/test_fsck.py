"""``cosine fsck``: what it says of a data directory, sound or damaged, and what its repair does."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from harness import REGION, SECRET_KEY, body_of, bucket_host, unique_bucket
from program import KEYS, Cosine, everything_under, run_cosine, serve_arguments

LARGE = random.Random(11).randbytes(1_000_000)
OTHER = random.Random(12).randbytes(300_000)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def start(data: Path, *arguments: str) -> Cosine:
    return Cosine(*serve_arguments(data), *arguments, cwd=data.parent, env=KEYS, secret_key=SECRET_KEY)


def fsck(data: Path, *arguments: str) -> CompletedProcess[str]:
    return run_cosine("fsck", "--data", str(data), *arguments, cwd=data.parent)


def report(data: Path, *arguments: str) -> dict:
    """The report as JSON; its word and the exit status say the same."""
    ran = fsck(data, "--json", *arguments)
    found = json.loads(ran.stdout)
    assert ran.returncode == (0 if found["sound"] else 1), ran
    return found


def fill(data: Path) -> str:
    """A stopped store with a large object, its copy, another, and a small one; the bucket."""
    bucket = unique_bucket()
    with start(data) as cosine:
        client = cosine.client()
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="a/large", Body=LARGE)
        source = {"Bucket": bucket, "Key": "a/large", "Region": REGION}
        client.copy_object(Bucket=bucket, Key="copy", CopySource=source)
        client.put_object(Bucket=bucket, Key="other", Body=OTHER)
        client.put_object(Bucket=bucket, Key="small", Body=b"small")
        client.put_object(Bucket=bucket, Key="deleted", Body=OTHER[:50_000])
        client.delete_object(Bucket=bucket, Key="deleted")
    return bucket


def blob_of(data: Path, size: int) -> Path:
    """The file of the one blob that is this large, footer and all."""
    (blob,) = [path for path in (data / "blobs").glob("??/*") if size < path.stat().st_size < size + 1000]
    return blob


def test_a_sound_store(data: Path) -> None:
    """Exit status 0, what was counted as a table or as JSON, and not a file changed below ``blobs``."""
    fill(data)
    before = everything_under(data / "blobs")
    ran = fsck(data)
    assert (ran.returncode, ran.stderr) == (0, "")
    lines = ran.stdout.splitlines()
    assert lines[-1] == "all is sound"
    assert ["versions", "4"] in [line.split() for line in lines]
    found = report(data, "--deep")
    assert found["sound"] and found["findings"] == [] and found["mended"] == [] and found["flaws"] == 0
    counts = found["counts"]
    assert (counts["buckets"], counts["versions"]) == (1, 4)
    assert counts["verified_bytes"] >= len(LARGE) + len(OTHER) + len(b"small")
    assert report(data)["counts"]["verified_bytes"] == 0
    assert everything_under(data / "blobs") == before


def test_a_live_store_is_refused(data: Path) -> None:
    with start(data) as cosine:
        for arguments in ([], ["--repair"]):
            ran = fsck(data, *arguments)
            assert ran.returncode != 0 and ran.stdout == "", ran
            assert "another process has this data directory open" in ran.stderr
        cosine.client().create_bucket(Bucket=unique_bucket())


def test_where_no_store_is_none_is_made(tmp_path: Path) -> None:
    for name in ("missing", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        ran = fsck(tmp_path / name)
        assert ran.returncode != 0 and ran.stdout == ""
        assert f"there is no store in {tmp_path / name}" in ran.stderr
    assert everything_under(tmp_path) == {str(tmp_path / "empty"): ""}


def get_damaged(cosine: Cosine, bucket: str, key: str) -> None:
    """An error, or an answer that breaks off; never a wrong byte."""
    with cosine.connect() as sock:
        head = cosine.head_bytes("GET", f"/{key}", host=bucket_host(bucket), headers={"Connection": "close"})
        sock.sendall(head)
        sock.settimeout(20)
        answer = b"".join(iter(lambda: sock.recv(1 << 20), b""))
    head, _, got = answer.partition(b"\r\n\r\n")
    if head.startswith(b"HTTP/1.1 200"):
        assert len(got) < len(LARGE) and LARGE.startswith(got)
    else:
        assert head.startswith(b"HTTP/1.1 500") and b"<Code>InternalError</Code>" in got


@pytest.mark.parametrize("damage", ["deleted", "flipped"])
def test_repair_from_end_to_end(data: Path, damage: str) -> None:
    """A damaged blob: named by the objects that show it, marked by a repair, and gone with them."""
    bucket = fill(data)
    blob = blob_of(data, len(LARGE))
    if damage == "deleted":
        blob.unlink()
    else:
        content = bytearray(blob.read_bytes())
        content[700_000] ^= 1
        blob.write_bytes(content)
    with start(data) as cosine:
        for key in ("a/large", "copy"):
            get_damaged(cosine, bucket, key)

    names = f"{bucket}/a/large, {bucket}/copy"
    assert report(data)["sound"] == (damage == "flipped"), "a flipped byte shows to those who read it"
    before = everything_under(data / "blobs")
    (finding,) = report(data, "--deep")["findings"]
    assert (finding["flaw"], finding["subject"], finding["mendable"]) == ("damaged-object", names, True)
    ran = fsck(data, "--deep")
    assert ran.returncode == 1
    assert f"NOT SOUND: {names}: " in ran.stdout and ran.stdout.endswith("1 things are not sound\n")

    found = report(data, "--deep", "--repair")
    assert [mended["subject"] for mended in found["mended"]] == [names]
    for again in (found, report(data), report(data, "--repair")):
        (finding,) = again["findings"]
        assert (finding["flaw"], finding["subject"], finding["mendable"]) == ("damaged-object", names, False)
        assert finding["what"].startswith("known to be damaged: ")
    assert everything_under(data / "blobs") == before, "a repair that marks leaves the bytes alone"

    with start(data) as cosine:
        client = cosine.client()
        assert body_of(client.get_object(Bucket=bucket, Key="other")) == OTHER
        assert body_of(client.get_object(Bucket=bucket, Key="small")) == b"small"
        get_damaged(cosine, bucket, "copy")
        client.put_object(Bucket=bucket, Key="a/large", Body=LARGE)
        client.delete_object(Bucket=bucket, Key="copy")
        assert body_of(client.get_object(Bucket=bucket, Key="a/large")) == LARGE
        run = ["admin", "gc", "run", "--endpoint", f"http://{cosine.address}"]
        assert run_cosine(*run, cwd=data.parent, env=KEYS).returncode == 0
    assert report(data, "--deep")["sound"], "the damage went with its objects"


def test_a_blob_that_nothing_explains_is_put_aside(data: Path) -> None:
    """Found, and left alone until a repair is asked for; then kept where a person can look at it."""
    fill(data)
    stray = data / "blobs" / "00" / "00000000000000000000000000000042"
    stray.write_bytes(b"what is this?")
    (finding,) = report(data)["findings"]
    assert finding["flaw"] == "unexplained-blob" and stray.name in finding["subject"]
    assert stray.read_bytes() == b"what is this?"
    found = report(data, "--repair")
    assert found["sound"] and found["counts"]["quarantined_blobs"] == 1 and len(found["mended"]) == 1
    assert (data / "blobs" / "quarantine" / stray.name).read_bytes() == b"what is this?"
    assert not stray.exists()


def test_metadata_beside_the_blobs_of_another_store(tmp_path: Path) -> None:
    """Neither checked nor served, and not a file changed below ``blobs``."""
    one, two = tmp_path / "one", tmp_path / "two"
    fill(one)
    fill(two)
    shutil.rmtree(one / "blobs")
    shutil.copytree(two / "blobs", one / "blobs")
    before = everything_under(one / "blobs")
    (finding,) = report(one, "--repair")["findings"]
    assert finding["flaw"] == "wrong-store"
    ran = run_cosine(*serve_arguments(one), cwd=tmp_path, env=KEYS)
    assert ran.returncode != 0 and "belong to different stores" in ran.stderr
    assert everything_under(one / "blobs") == before


def test_a_store_that_says_nothing_of_itself(data: Path) -> None:
    fill(data)
    (data / "blobs" / "STORE").write_bytes(b"\xff\x00 nonsense")
    for ran in (fsck(data, "--repair"), run_cosine(*serve_arguments(data), cwd=data.parent, env=KEYS)):
        assert ran.returncode != 0 and "STORE holds no store id" in ran.stderr, ran
