"""Settings: where they come from, what is refused, and what host names they make work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import (
    APPID,
    OTHER_REGION,
    REGION,
    SECRET_KEY,
    Answer,
    body_of,
    bucket_host,
    list_keys,
    quoted_md5,
    sdk_client,
    unique_bucket,
)
from program import FREE_PORT, KEYS, Cosine, everything_under, run_cosine

# --- a flag beats the environment, which beats the file --------------------------------------

PLACES = ["default", "file", "environment", "flag"]


@contextmanager
def told_in(places: list[str], key: str, values: dict[str, str], cwd: Path) -> Iterator[Cosine]:
    """A server that is told a different value of one setting in each of these places."""
    arguments, env = ["serve", *FREE_PORT], dict(KEYS)
    if "file" in places:
        (cwd / "cosine.toml").write_text(f"{key} = {values['file']}\n")
        arguments += ["--config", "cosine.toml"]
    if "environment" in places:
        env[f"COSINE_{key.upper()}"] = values["environment"]
    if "flag" in places:
        arguments += [f"--{key.replace('_', '-')}", values["flag"]]
    with Cosine(*arguments, cwd=cwd, env=env, secret_key=SECRET_KEY) as cosine:
        yield cosine


def up_to(winner: str) -> list[str]:
    return PLACES[: PLACES.index(winner) + 1]


@pytest.mark.parametrize("winner", PLACES)
def test_the_place_that_wins_for_appid(tmp_path: Path, winner: str) -> None:
    """Only buckets of the account that won can be made."""
    values = {"default": APPID, "file": "1250000001", "environment": "1250000002", "flag": "1250000003"}
    with told_in(up_to(winner), "appid", values, tmp_path) as cosine:
        assert cosine.shown("APPID") == values[winner]
        for place, appid in values.items():
            answer = cosine.send("PUT", bucket=f"t-{appid}")
            answer.expect(200) if place == winner else answer.expect(403, "AccessDenied")


@pytest.mark.parametrize("winner", PLACES)
def test_the_place_that_wins_for_regions(tmp_path: Path, winner: str) -> None:
    """Only regions of the list that won can be lived in; its first is the default."""
    regions = {"default": ["ap-guangzhou"], "file": ["ap-b", "ap-c"], "environment": ["ap-d", "ap-e"], "flag": ["ap-f"]}
    values = {place: ",".join(names) for place, names in regions.items()} | {"file": '["ap-b", "ap-c"]'}
    with told_in(up_to(winner), "regions", values, tmp_path) as cosine:
        assert cosine.shown("Region") == regions[winner][0]
        for place, names in regions.items():
            for region in names:
                answer = cosine.send("PUT", bucket=unique_bucket(), region=region)
                answer.expect(200) if place == winner else answer.expect(400, "InvalidRegionName")
        name = unique_bucket()
        cosine.send("PUT", host=f"{name}.storage.example.test").expect(200)
        cosine.send("HEAD", bucket=name, region=regions[winner][0]).expect(200)


@pytest.mark.parametrize("winner", PLACES)
def test_the_place_that_wins_for_data(tmp_path: Path, winner: str) -> None:
    """Only the directory that won is made."""
    values = {"default": "cosine-data", "file": "'in-file'", "environment": "in-environment", "flag": "by-flag"}
    with told_in(up_to(winner), "data", values, tmp_path):
        made = {path.name for path in tmp_path.iterdir()} - {"cosine.toml"}
    assert made == {values[winner].strip("'")}


@pytest.mark.parametrize("winner", PLACES[1:])
def test_the_place_that_wins_for_credentials(tmp_path: Path, winner: str) -> None:
    """Only the pair that won signs."""
    pairs = {place: (f"AKID{place}", f"key-of-{place}") for place in PLACES[1:]}
    places = up_to(winner)
    arguments, env = ["serve", *FREE_PORT], {}
    if "file" in places:
        secret_id, secret_key = pairs["file"]
        (tmp_path / "cosine.toml").write_text(f"secret_id = '{secret_id}'\nsecret_key = '{secret_key}'\n")
        arguments += ["--config", "cosine.toml"]
    if "environment" in places:
        env["COSINE_SECRET_ID"], env["COSINE_SECRET_KEY"] = pairs["environment"]
    if "flag" in places:
        secret_id, secret_key = pairs["flag"]
        arguments += ["--secret-id", secret_id, "--secret-key", secret_key]
    with Cosine(*arguments, cwd=tmp_path, env=env, secret_key=pairs[winner][1]) as cosine:
        assert cosine.secret_id == pairs[winner][0]
        for place, pair in pairs.items():
            cosine.secret_id, cosine.secret_key = pair
            answer = cosine.send("GET")
            answer.expect(200) if place == winner else answer.expect(403, "InvalidAccessKeyId")


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    """``COSINE_APPID=`` leaves the file's word standing."""
    (tmp_path / "cosine.toml").write_text("appid = 1250000001\n")
    arguments = ["serve", "--config", "cosine.toml", *FREE_PORT]
    with Cosine(*arguments, cwd=tmp_path, env={**KEYS, "COSINE_APPID": ""}, secret_key=SECRET_KEY) as cosine:
        assert cosine.shown("APPID") == "1250000001"


# --- what is refused -------------------------------------------------------------------------


def refused(cwd: Path, *arguments: str, env: dict[str, str] | None = None, status: int = 2) -> str:
    """``serve`` must end with a message on standard error, and leave no trace; gives the message."""
    before = everything_under(cwd)
    ran = run_cosine("serve", *arguments, cwd=cwd, env=env)
    assert (ran.returncode, ran.stdout) == (status, ""), ran.stderr
    assert "panicked" not in ran.stderr and ran.stderr.strip()
    assert everything_under(cwd) == before
    return ran.stderr


def refused_file(cwd: Path, text: str) -> str:
    (cwd / "cosine.toml").write_text(text)
    message = refused(cwd, "--config", "cosine.toml", *FREE_PORT)
    assert "cosine.toml" in message
    return message


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("regoins = 'ap-x'", "regions"),
        ("secretid = 'x'", "secret_id"),
        ("tls-cert = 'x'", "tls_cert"),
        ("Listen = '127.0.0.1:0'", "listen"),
        ("app_id = 1250000000", "appid"),
        ("host = 'x'", "hosts"),
        (f"[hosts.'h.example.test']\nbuckets = 'b-{APPID}'", "bucket"),
        (f"[hosts.'h.example.test']\nbucket = 'b-{APPID}'\naccelerate = true", "acceleration"),
    ],
)
def test_an_unknown_key(tmp_path: Path, text: str, nearest: str) -> None:
    """Refused, with the nearest key that exists."""
    assert f"did you mean {nearest}?" in refused_file(tmp_path, text)


def test_an_unknown_flag(tmp_path: Path) -> None:
    message = refused(tmp_path, "--regoins", "ap-x", *FREE_PORT)
    assert "--regoins" in message and "--regions" in message


MALFORMED = [
    ("listen", "9000"),
    ("listen", "127.0.0.1"),
    ("listen", "127.0.0.1:99999"),
    ("listen", "nowhere:0"),
    ("appid", "x"),
    ("appid", "0"),
    ("appid", "-1"),
    ("appid", "1.5"),
    ("appid", "18446744073709551616"),
    ("uin", "x"),
    ("uin", "0"),
    ("regions", ","),
    ("regions", "*"),
    ("regions", "AP_X"),
    ("regions", "ap-x,ap y"),
    ("secret_id", "alone"),
    ("secret_key", "alone"),
    ("tls_cert", "alone.pem"),
    ("tls_key", "alone.pem"),
    ("durability", "maybe"),
    ("log", "=="),
]


@pytest.mark.parametrize("place", PLACES[1:])
@pytest.mark.parametrize(("key", "value"), MALFORMED)
def test_a_malformed_value(tmp_path: Path, key: str, value: str, place: str) -> None:
    """Wherever it stands: status 2, a message that names the setting, and nothing made."""
    if place == "file":
        (tmp_path / "cosine.toml").write_text(f"{key} = '{value}'\n")
    listen = [] if key == "listen" else FREE_PORT
    message = {
        "file": lambda: refused(tmp_path, "--config", "cosine.toml", *listen),
        "environment": lambda: refused(tmp_path, *listen, env={f"COSINE_{key.upper()}": value}),
        "flag": lambda: refused(tmp_path, f"--{key.replace('_', '-')}={value}", *listen),
    }[place]()
    assert key in message


@pytest.mark.parametrize(
    "text",
    [
        "=",
        "appid = 1\nappid = 2",
        "data = true",
        "regions = [['ap-x']]\n[regions.x]",
        "appid = 1.5",
        "hosts = 1",
        "hosts.h = 'b-1'",
        "[hosts.'h.example.test']",
        "[hosts.'h.example.test']\nbucket = 'no appid'",
        "[hosts.'h.example.test']\nbucket = 1",
        f"[hosts.'h.example.test']\nbucket = 'b-{APPID}'\nacceleration = 'yes'",
    ],
)
def test_a_malformed_file(tmp_path: Path, text: str) -> None:
    refused_file(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that was asked for and cannot be read is not passed over."""
    assert "missing.toml" in refused(tmp_path, "--config", "missing.toml", *FREE_PORT, status=1)


# --- host names bound to a bucket ------------------------------------------------------------

BOUND = f"bound-{APPID}"
PLAIN, FAST = "img.example.test", "fast.example.test"
DOMAIN, COS_DOMAIN = "store.example.test", "cos.example.net"
CONTENT = b"[Object Content]"


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cosine]:
    """A server with two bound host names and two base domains; the bound bucket is there."""
    cwd = tmp_path_factory.mktemp("named")
    (cwd / "cosine.toml").write_text(
        f"""
        [hosts."{PLAIN}"]
        bucket = "{BOUND}"

        [hosts."{FAST}"]
        bucket = "{BOUND}"
        acceleration = true
        """
    )
    env = {**KEYS, "COSINE_REGIONS": f"{REGION},{OTHER_REGION}", "COSINE_DOMAINS": f"{DOMAIN}, {COS_DOMAIN}"}
    arguments = ["serve", "--config", "cosine.toml", *FREE_PORT]
    with Cosine(*arguments, cwd=cwd, env=env, secret_key=SECRET_KEY) as cosine:
        cosine.send("PUT", bucket=BOUND).expect(200)
        yield cosine


@pytest.fixture
def key() -> str:
    """A key that no other test has used."""
    return unique_bucket()


def copy_from(cosine: Cosine, source: str, bucket: str, key: str) -> Answer:
    return cosine.send("PUT", f"/{key}", bucket=bucket, headers={"x-cos-copy-source": source})


@pytest.mark.parametrize("host", [PLAIN, f"{PLAIN}:8080", PLAIN.upper(), FAST], ids=["plain", "port", "upper", "fast"])
def test_a_bound_host_is_its_bucket(named: Cosine, key: str, host: str) -> None:
    """The path is the key, all of it; the object is the one that the bucket's own host shows."""
    for path in (f"/{key}", f"/{BOUND}/{key}", f"/dir//{key}"):
        put = named.send("PUT", path, host=host, body=CONTENT).expect(200)
        assert put.headers["ETag"] == quoted_md5(CONTENT)
        assert named.send("GET", path, host=host).expect(200).body == CONTENT
        assert named.send("GET", path, bucket=BOUND).expect(200).body == CONTENT
    listed = named.send("GET", host=host, query={"prefix": f"dir//{key}"}).expect(200)
    assert [element.text for element in listed.xml.iterfind("Contents/Key")] == [f"dir//{key}"]
    named.send("DELETE", f"/{key}", host=host).expect(204)
    named.send("GET", f"/{key}", bucket=BOUND).expect(404, "NoSuchKey")


def test_a_bound_host_is_not_other_hosts(named: Cosine, key: str) -> None:
    """Names below it, beside it or beyond it bind nothing: there the path names the bucket."""
    named.send("PUT", f"/{key}", bucket=BOUND, body=CONTENT).expect(200)
    for host in (f"www.{PLAIN}", f"x{PLAIN}", f"{PLAIN}.org"):
        named.send("GET", f"/{key}", host=host).expect(404, "NoSuchBucket")


@pytest.mark.parametrize("host", [PLAIN, f"{PLAIN}:8080"])
def test_a_bound_host_as_copy_source(named: Cosine, key: str, host: str) -> None:
    """A copy reads from it like from the bucket's own host."""
    name = unique_bucket()
    named.send("PUT", bucket=name).expect(200)
    named.send("PUT", f"/a b/{key}", host=PLAIN, body=CONTENT).expect(200)
    for target in (name, BOUND):
        copied = copy_from(named, f"{host}/a%20b/{key}", target, key).expect(200)
        assert copied.xml.findtext("ETag") == quoted_md5(CONTENT)
        assert named.send("GET", f"/{key}", bucket=target).expect(200).body == CONTENT


def test_a_copy_into_a_bound_host(named: Cosine, key: str) -> None:
    """Also where it is an acceleration origin: only the source may not be one."""
    named.send("PUT", f"/{key}", bucket=BOUND, body=CONTENT).expect(200)
    source = {"x-cos-copy-source": f"{bucket_host(BOUND)}/{key}"}
    for number, host in enumerate((PLAIN, FAST)):
        named.send("PUT", f"/{key}-{number}", host=host, headers=source).expect(200)
        assert named.send("GET", f"/{key}-{number}", bucket=BOUND).expect(200).body == CONTENT


@pytest.mark.parametrize("host", [FAST, f"{FAST}:443", f"{BOUND}.cos.accelerate.{DOMAIN}"])
def test_c17_an_acceleration_origin_is_no_copy_source(named: Cosine, key: str, host: str) -> None:
    """C17: 400, though the object is there; the destination stays absent, or as it was."""
    named.send("PUT", f"/{key}", bucket=BOUND, body=CONTENT).expect(200)
    assert named.send("GET", f"/{key}", host=host).expect(200).body == CONTENT
    copy_from(named, f"{host}/{key}", BOUND, f"{key}-copy").expect(400, "ActionAccelerateNotSupported")
    named.send("GET", f"/{key}-copy", bucket=BOUND).expect(404, "NoSuchKey")
    old = {"x-cos-meta-old": "1"}
    before = named.send("PUT", f"/{key}-copy", bucket=BOUND, headers=old, body=b"old").expect(200)
    copy_from(named, f"{host}/{key}", BOUND, f"{key}-copy").expect(400, "ActionAccelerateNotSupported")
    after = named.send("GET", f"/{key}-copy", bucket=BOUND).expect(200)
    assert (after.body, after.headers["ETag"], after.headers["x-cos-meta-old"]) == (b"old", before.headers["ETag"], "1")


def test_a_binding_of_the_address(tmp_path: Path) -> None:
    """One bucket for the whole server: the SDK's ``Domain`` needs no bucket in its keys."""
    (tmp_path / "cosine.toml").write_text(f'[hosts."127.0.0.1"]\nbucket = "{BOUND}"\n')
    arguments = ["serve", "--config", "cosine.toml", *FREE_PORT]
    with Cosine(*arguments, cwd=tmp_path, env=KEYS, secret_key=SECRET_KEY) as cosine:
        client = cosine.domain_client()
        assert not client.bucket_exists(BOUND)
        client.create_bucket(Bucket=BOUND)
        client.put_object(Bucket=BOUND, Key="dir/k", Body=CONTENT)
        for place in (f"{bucket_host(BOUND)}/dir/k", f"{cosine.address}/dir/k"):
            source = {"x-cos-copy-source": place}
            cosine.send("PUT", "/raw", host=cosine.address, headers=source).expect(200)
        client.copy_object(Bucket=BOUND, Key="copy", CopySource={"Bucket": BOUND, "Key": "dir/k", "Region": REGION})
        assert body_of(client.get_object(Bucket=BOUND, Key="copy")) == CONTENT
        assert client.head_object(Bucket=BOUND, Key="dir/k")["ETag"] == quoted_md5(CONTENT)
        listed = [entry["Key"] for entry in client.list_objects(Bucket=BOUND)["Contents"]]
        assert listed == list_keys(cosine, BOUND) == ["copy", "dir/k", "raw"]
        localhost = f"localhost:{cosine.port}"
        assert cosine.send("GET", f"/{BOUND}/copy", host=localhost).expect(200).body == CONTENT
        for name in listed:
            client.delete_object(Bucket=BOUND, Key=name)
        client.delete_bucket(Bucket=BOUND)
        assert not client.bucket_exists(BOUND)


# --- base domains ----------------------------------------------------------------------------


@pytest.mark.parametrize("domain", [DOMAIN, COS_DOMAIN])
def test_c23_a_base_domain(named: Cosine, domain: str) -> None:
    """``B.<domain>`` and ``B.cos.R.<domain>`` are the bucket, in requests and as copy source."""
    name = unique_bucket()
    named.send("PUT", host=f"{name}.cos.{OTHER_REGION}.{domain}").expect(200)
    hosts = [f"{name}.{domain}", f"{name}.cos.{OTHER_REGION}.{domain}", f"{name}.cos.{OTHER_REGION}.{domain}:8080"]
    for number, host in enumerate(hosts):
        named.send("PUT", f"/{number}", host=host, body=CONTENT).expect(200)
        source = {"x-cos-copy-source": f"{host}/{number}"}
        named.send("PUT", f"/copy-{number}", host=host, headers=source).expect(200)
        assert named.send("GET", f"/copy-{number}", host=host).expect(200).body == CONTENT
    assert len(list_keys(named, name, OTHER_REGION)) == 2 * len(hosts)


def test_c19_a_region_under_a_base_domain_binds(named: Cosine) -> None:
    """As under COS's own domains, and unlike under a name that nobody configured (C19)."""
    name = unique_bucket()
    named.send("PUT", bucket=name).expect(200)
    named.send("PUT", "/k", bucket=name, body=CONTENT).expect(200)
    for region in (OTHER_REGION, "ap-nowhere"):
        host = f"{name}.cos.{region}.{DOMAIN}"
        named.send("GET", "/k", host=host).expect(404, "NoSuchBucket")
        copy_from(named, f"{host}/k", name, "copy").expect(404, "NoSuchBucket")
    named.send("GET", "/k", host=f"{name}.cos.ap-nowhere.elsewhere.test").expect(200)
    assert list_keys(named, name) == ["k"]


def test_a_region_under_a_base_domain_decides_where_a_bucket_is_made(named: Cosine) -> None:
    name = unique_bucket()
    named.send("PUT", host=f"{name}.cos.ap-nowhere.{DOMAIN}").expect(400, "InvalidRegionName")
    named.send("PUT", host=f"{name}.cos.{OTHER_REGION}.{DOMAIN}").expect(200)
    named.send("HEAD", bucket=name, region=OTHER_REGION).expect(200)
    named.send("HEAD", bucket=name, region=REGION).expect(404)


def test_path_style_under_a_base_domain(named: Cosine, key: str) -> None:
    """The domain itself and its regions' hosts name no bucket: the path does."""
    for host in (DOMAIN, f"cos.{REGION}.{DOMAIN}", f"service.cos.{DOMAIN}", COS_DOMAIN):
        named.send("PUT", f"/{BOUND}/{key}", host=host, body=host.encode()).expect(200)
        assert named.send("GET", f"/{key}", bucket=BOUND).expect(200).body == host.encode()


def test_c23_the_sdk_with_an_endpoint_under_a_base_domain(named: Cosine) -> None:
    """``Endpoint`` is all that changes: requests and copy sources carry the domain."""
    proxies = {"http": f"http://{named.address}"}
    endpoint = f"cos.{REGION}.{DOMAIN}"
    client = sdk_client(named.config(Region=None, Endpoint=endpoint, Proxies=proxies))
    name = unique_bucket()
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="k", Body=CONTENT)
    client.copy_object(Bucket=name, Key="copy", CopySource={"Bucket": name, "Key": "k", "Endpoint": endpoint})
    assert body_of(client.get_object(Bucket=name, Key="copy")) == CONTENT
    assert list_keys(named, name) == ["copy", "k"]
