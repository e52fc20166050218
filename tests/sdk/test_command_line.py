"""``cosine dev``, ``cosine serve`` and ``cosine sign``, as somebody at a terminal meets them."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import stat
from pathlib import Path
from xml.etree import ElementTree

import pytest
from qcloud_cos import CosServiceError

from harness import (
    APPID,
    REGION,
    SECRET_ID,
    SECRET_KEY,
    body_of,
    quoted_md5,
    read_answer,
    unique_bucket,
)
from program import (
    DEV_SECRET_ID,
    DEV_SECRET_KEY,
    FREE_PORT,
    KEYS,
    PROMPT,
    Cosine,
    everything_under,
    listed_buckets,
    run_cosine,
    run_snippet,
    serve_arguments,
    shell,
)

# --- cosine dev ------------------------------------------------------------------------


def test_the_banner_of_dev(tmp_path: Path) -> None:
    """The first line says where; the credentials are the documented ones."""
    with Cosine("dev", *FREE_PORT, cwd=tmp_path) as dev:
        assert dev.banner[0] == f"cosine is ready: http://127.0.0.1:{dev.port}"
        assert dev.shown("SecretId") == DEV_SECRET_ID
        assert dev.shown("SecretKey") == DEV_SECRET_KEY
        assert dev.shown("APPID") == APPID
        assert dev.shown("Region") == REGION


def test_the_printed_python_runs(tmp_path: Path) -> None:
    """Pasted as it is, it makes a bucket, puts, copies, and prints the bytes of the copy."""
    with Cosine("dev", *FREE_PORT, cwd=tmp_path) as dev:
        assert run_snippet(dev, tmp_path) == "b'hello'\n"
        assert body_of(dev.client().get_object(Bucket=f"first-{APPID}", Key="copy")) == b"hello"


def test_the_printed_curl_line_runs(tmp_path: Path) -> None:
    """Pasted as it is, it lists the buckets."""
    name = unique_bucket()
    with Cosine("dev", *FREE_PORT, cwd=tmp_path) as dev:
        assert listed_buckets(shell(dev.curl, tmp_path)) == []
        dev.client().create_bucket(Bucket=name)
        assert listed_buckets(shell(dev.curl, tmp_path)) == [name]


def test_dev_writes_nothing_to_disk(tmp_path: Path) -> None:
    """No file appears, not even one without a name, whatever is stored."""
    places = [tmp_path / name for name in ("cwd", "home", "tmp")]
    for place in places:
        place.mkdir()
    cwd, home, temporary = places
    env = {
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"),
        "COSINE_DATA": str(cwd / "data"),
        # Else /proc shows what it has open to root alone.
        "COSINE_CORE_FILES": "true",
    }
    data = random.Random(1).randbytes(20 << 20)
    name = unique_bucket()
    with Cosine("dev", *FREE_PORT, cwd=cwd, env=env) as dev:
        client = dev.client()
        client.create_bucket(Bucket=name)
        client.put_object(Bucket=name, Key="large", Body=data)
        client.put_object(Bucket=name, Key="small", Body=b"x")
        client.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": "large", "Region": REGION})
        client.delete_object(Bucket=name, Key="large")
        assert body_of(client.get_object(Bucket=name, Key="copy")) == data
        assert everything_under(*places) == {}
        for descriptor in Path(f"/proc/{dev.process.pid}/fd").iterdir():
            is_own = int(descriptor.name) > 2
            assert not (is_own and stat.S_ISREG(descriptor.stat().st_mode)), os.readlink(descriptor)
        dev.stop()
    assert everything_under(*places) == {}


def test_dev_has_no_data_directory(tmp_path: Path) -> None:
    """Who asks for one is told, rather than left to believe that something is kept."""
    ran = run_cosine("dev", "--data", "kept", *FREE_PORT, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "--data" in ran.stderr
    assert everything_under(tmp_path) == {}


def test_dev_forgets(tmp_path: Path) -> None:
    """Each start is empty."""
    for _ in range(2):
        with Cosine("dev", *FREE_PORT, cwd=tmp_path) as dev:
            assert listed_buckets(shell(dev.curl, tmp_path)) == []
            dev.client().create_bucket(Bucket=unique_bucket())


def test_dev_serves_any_region(tmp_path: Path) -> None:
    """A bucket lives where its client put it, and nowhere else."""
    name = unique_bucket()
    with Cosine("dev", *FREE_PORT, cwd=tmp_path) as dev:
        client = dev.client("ap-beijing")
        client.create_bucket(Bucket=name)
        client.put_object(Bucket=name, Key="k", Body=b"x")
        source = {"Bucket": name, "Key": "k", "Region": "ap-beijing"}
        client.copy_object(Bucket=name, Key="copy", CopySource=source)
        assert body_of(client.get_object(Bucket=name, Key="copy")) == b"x"
        listed = {entry["Name"]: entry["Location"] for entry in client.list_buckets()["Buckets"]["Bucket"]}
        assert listed == {name: "ap-beijing"}
        for elsewhere in (REGION, "ap-nowhere"):
            with pytest.raises(CosServiceError) as caught:
                dev.client(elsewhere).get_object(Bucket=name, Key="k")
            assert (caught.value.get_status_code(), caught.value.get_error_code()) == (404, "NoSuchBucket")


# --- the end ---------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("command", ["dev", "serve"])
def test_a_signal_ends_it_with_status_0(tmp_path: Path, command: str, number: signal.Signals) -> None:
    """At once: connections that are kept alive, or that never said a word, hold up nothing."""
    with Cosine(command, *FREE_PORT, cwd=tmp_path) as cosine:
        with cosine.connect(), cosine.connect() as kept_alive:
            kept_alive.sendall(cosine.head_bytes("GET", "/", host=cosine.address))
            read_answer(kept_alive).expect(200)
            cosine.process.send_signal(number)
            assert cosine.process.wait(PROMPT) == 0, cosine.log()
        assert "panicked" not in cosine.log()


@pytest.mark.parametrize("command", ["dev", "serve"])
def test_a_port_that_is_taken(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        ran = run_cosine(command, "--listen", address, cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert address in ran.stderr and "panicked" not in ran.stderr


# --- cosine serve: the pair it makes -----------------------------------------------------


def read_pair(data: Path) -> tuple[str, str]:
    pair = dict(line.split("=", 1) for line in (data / "root-credentials").read_text().splitlines())
    return pair["secret_id"], pair["secret_key"]


def test_serve_makes_a_pair_and_shows_it_once(tmp_path: Path) -> None:
    """Without credentials: a pair in a file for its owner's eyes, shown at the first start only, good for ever."""
    data = tmp_path / "data"
    name = unique_bucket()
    with Cosine(*serve_arguments(data), cwd=tmp_path) as first:
        assert stat.S_IMODE((data / "root-credentials").stat().st_mode) == 0o600
        secret_id, secret_key = read_pair(data)
        assert (first.shown("SecretId"), first.shown("SecretKey")) == (secret_id, secret_key)
        assert first.secret_key not in first.log()
        assert run_snippet(first, tmp_path) == "b'hello'\n"
        first.client().create_bucket(Bucket=name)
        first.client().put_object(Bucket=name, Key="k", Body=b"x")
    with Cosine(*serve_arguments(data), cwd=tmp_path, secret_key=secret_key) as second:
        assert second.shown("SecretId") == secret_id
        assert secret_key not in "\n".join(second.banner)
        assert secret_key not in second.log()
        assert body_of(second.client().get_object(Bucket=name, Key="k")) == b"x"
        assert name in listed_buckets(shell(second.curl, tmp_path))
    assert read_pair(data) == (secret_id, secret_key)
    assert stat.S_IMODE((data / "root-credentials").stat().st_mode) == 0o600


def test_two_data_directories_get_two_pairs(tmp_path: Path) -> None:
    pairs = []
    for data in (tmp_path / "one", tmp_path / "two"):
        with Cosine(*serve_arguments(data), cwd=tmp_path) as cosine:
            pairs.append((cosine.secret_id, cosine.secret_key))
    assert pairs[0][0] != pairs[1][0] and pairs[0][1] != pairs[1][1]


def test_the_python_of_a_hidden_key_runs(tmp_path: Path) -> None:
    """Where the key is not shown, the snippet takes it from the environment."""
    data = tmp_path / "data"
    with Cosine(*serve_arguments(data), cwd=tmp_path) as first:
        secret_key = first.secret_key
    with Cosine(*serve_arguments(data), cwd=tmp_path, secret_key=secret_key) as second:
        assert run_snippet(second, tmp_path, {"COSINE_SECRET_KEY": secret_key}) == "b'hello'\n"


def test_serve_with_credentials_makes_none(tmp_path: Path) -> None:
    """Credentials that are given are used, and shown nowhere."""
    data = tmp_path / "data"
    with Cosine(*serve_arguments(data), cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY) as cosine:
        assert cosine.shown("SecretId") == SECRET_ID
        assert SECRET_KEY not in "\n".join(cosine.banner) + cosine.log()
        assert not (data / "root-credentials").exists()
        assert run_snippet(cosine, tmp_path, KEYS) == "b'hello'\n"


def test_a_start_that_failed_is_not_the_first(tmp_path: Path) -> None:
    """A key that was made is shown at the first start that prints anything."""
    data = tmp_path / "data"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        assert run_cosine("serve", "--data", str(data), "--listen", taken, cwd=tmp_path).returncode == 1
    with Cosine(*serve_arguments(data), cwd=tmp_path) as cosine:
        assert cosine.shown("SecretKey") == read_pair(data)[1]


# --- cosine serve: a data directory that it must not open ----------------------------------


def test_a_second_server_on_a_live_data_directory(tmp_path: Path) -> None:
    """It is refused, and the first goes on as if nothing had happened."""
    data = tmp_path / "data"
    name = unique_bucket()
    body = random.Random(2).randbytes(1 << 20)
    with Cosine(*serve_arguments(data), cwd=tmp_path) as first:
        pair = read_pair(data)
        client = first.client()
        client.create_bucket(Bucket=name)
        client.put_object(Bucket=name, Key="before", Body=body)
        before = everything_under(data / "blobs")
        for _ in range(3):
            ran = run_cosine(*serve_arguments(data), cwd=tmp_path)
            assert (ran.returncode, ran.stdout) == (1, "")
            assert str(data) in ran.stderr and "another process" in ran.stderr
        assert everything_under(data / "blobs") == before
        client.put_object(Bucket=name, Key="after", Body=body)
        assert body_of(client.get_object(Bucket=name, Key="before")) == body
    assert read_pair(data) == pair
    with Cosine(*serve_arguments(data), cwd=tmp_path, secret_key=pair[1]) as again:
        for key in ("before", "after"):
            assert body_of(again.client().get_object(Bucket=name, Key=key)) == body


@pytest.mark.parametrize("blobs", ["of another store", "of no store"])
def test_blobs_that_do_not_belong_here(tmp_path: Path, blobs: str) -> None:
    """Refused, nothing deleted; with its own blobs back, the store is whole."""
    one, two, aside = tmp_path / "one", tmp_path / "two", tmp_path / "aside"
    name = unique_bucket()
    bodies = {one: random.Random(3).randbytes(1 << 20), two: random.Random(4).randbytes(1 << 20)}
    keys = {}
    for data, body in bodies.items():
        with Cosine(*serve_arguments(data), cwd=tmp_path) as cosine:
            keys[data] = cosine.secret_key
            cosine.client().create_bucket(Bucket=name)
            cosine.client().put_object(Bucket=name, Key="k", Body=body)
    (one / "blobs").rename(aside)
    if blobs == "of another store":
        shutil.copytree(two / "blobs", one / "blobs")
    else:
        (one / "blobs").mkdir()
    files = {path: digest for path, digest in everything_under(one / "blobs").items() if digest}
    assert bool(files) == (blobs == "of another store")
    ran = run_cosine(*serve_arguments(one), cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert str(one) in ran.stderr and "different stores" in ran.stderr
    assert files.items() <= everything_under(one / "blobs").items()
    shutil.rmtree(one / "blobs")
    aside.rename(one / "blobs")
    for data, body in bodies.items():
        with Cosine(*serve_arguments(data), cwd=tmp_path, secret_key=keys[data]) as cosine:
            got = cosine.client().get_object(Bucket=name, Key="k")
            assert (got["ETag"], body_of(got)) == (quoted_md5(body), body)


# --- cosine sign -------------------------------------------------------------------------

CURL = "curl -sS --fail-with-body"


@pytest.mark.parametrize("keys", ["from the environment", "from the data directory"])
def test_sign_serves_curl(tmp_path: Path, keys: str) -> None:
    """One line for each request: make a bucket, PUT, copy with a signed source header, GET."""
    data = tmp_path / "data"
    secret = SECRET_KEY if keys == "from the environment" else None
    env = KEYS if secret else {}
    body = random.Random(5).randbytes(300_000)
    (tmp_path / "body").write_bytes(body)
    name = unique_bucket()
    with Cosine(*serve_arguments(data), cwd=tmp_path, env=env, secret_key=secret) as cosine:
        url = f"http://{cosine.address}/{name}"
        script = f"""
            auth() {{ echo "Authorization: $("$COSINE" sign "$@")"; }}
            source='x-cos-copy-source: /{name}/one'
            {CURL} -X PUT -H "$(auth PUT /{name})" {url}
            {CURL} -T body -H "$(auth PUT /{name}/one)" {url}/one
            {CURL} -X PUT -H "$(auth PUT /{name}/two --header "$source")" -H "$source" {url}/two
            {CURL} -H "$(auth GET /{name}/two)" -o got {url}/two
        """
        result = ElementTree.fromstring(shell(script, tmp_path, {**env, "COSINE_DATA": str(data)}))
        assert (result.tag, result.findtext("ETag")) == ("CopyObjectResult", quoted_md5(body))
        assert (tmp_path / "got").read_bytes() == body


def test_sign_takes_the_decoded_path(tmp_path: Path) -> None:
    """A key is given as it is; what curl must encode is curl's affair. Parameters stay free."""
    name = unique_bucket()
    with Cosine(*serve_arguments(tmp_path / "data"), cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY) as cosine:
        cosine.client().create_bucket(Bucket=name)
        url = f"http://{cosine.address}/{name}/a%20key/%E8%85%BE%25.txt"
        script = f"""
            put="$("$COSINE" sign PUT '/{name}/a key/腾%.txt')"
            get="$("$COSINE" sign GET '/{name}/a key/腾%.txt' --query response-content-type=a/b)"
            {CURL} -X PUT -d hello -H "Authorization: $put" {url}
            {CURL} -H "Authorization: $get" '{url}?response-content-type=a/b'
        """
        assert shell(script, tmp_path, KEYS) == "hello"
        assert body_of(cosine.client().get_object(Bucket=name, Key="a key/腾%.txt")) == b"hello"


def test_sign_is_good_for_that_request_only(tmp_path: Path) -> None:
    """Another method or another path: 403, and nothing is stored."""
    name = unique_bucket()
    with Cosine(*serve_arguments(tmp_path / "data"), cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY) as cosine:
        cosine.client().create_bucket(Bucket=name)
        for method, path in [("GET", f"/{name}/k"), ("PUT", f"/{name}/other")]:
            line = run_cosine("sign", method, path, cwd=tmp_path, env=KEYS).stdout.strip()
            answer = cosine.send("PUT", f"/{name}/k", body=b"x", auth=line)
            answer.expect(403, "SignatureDoesNotMatch")
        line = run_cosine("sign", "PUT", f"/{name}/k", cwd=tmp_path, env=KEYS).stdout.strip()
        assert not cosine.client().object_exists(name, "k")
        cosine.send("PUT", f"/{name}/k", body=b"x", auth=line).expect(200)


def test_sign_without_any_key(tmp_path: Path) -> None:
    """It says what is missing, and makes neither a pair nor a directory."""
    ran = run_cosine("sign", "GET", "/", cwd=tmp_path)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "secret_id" in ran.stderr and "root-credentials" in ran.stderr
    assert everything_under(tmp_path) == {}
