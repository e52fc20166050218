"""coscmd, the official command line, with Cosine as its proxy: COS's own host names and nothing else changed."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import REGION, SECRET_ID, SECRET_KEY, Server, bucket_host, list_keys, md5_hex, quoted_md5
from program import environment

MIB = 1 << 20
DEADLINE = 120.0
# More than the least that the tool uploads and downloads in parts, which is 20 MiB.
LARGE = random.Random(25).randbytes(25 * MIB + 17)
SMALL = b"[Object Content]"
# In the order of a listing.
TREE = {
    "a b+c.txt": b"one",
    "deep/%41&.txt": b"two" * 1000,
    "deep/empty": b"",
    "deep/er/腾讯云.txt": b"three",
}

Tool = Callable[..., str]


@pytest.fixture
def tool(server: Server, bucket: str, tmp_path: Path) -> Tool:
    """Runs coscmd, which must succeed; what it says. Whatever it leaves at home is below ``tmp_path``."""
    settings = {
        "secret_id": SECRET_ID,
        "secret_key": SECRET_KEY,
        "bucket": bucket,
        "region": REGION,
        "schema": "http",
        "part_size": "1",
        "multiupload_threshold": "20",
        "multidownload_threshold": "20",
        "retry": "1",
    }
    config = tmp_path / "cos.conf"
    config.write_text("".join(["[common]\n", *(f"{name} = {value}\n" for name, value in settings.items())]))
    where = {"HOME": str(tmp_path), "http_proxy": f"http://{server.address}", "PYTHONUTF8": "1"}

    def run(*arguments: str) -> str:
        ran = subprocess.run(
            [str(Path(sys.executable).with_name("coscmd")), "-c", str(config), *arguments],
            cwd=tmp_path,
            env=environment(where),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
        )
        assert ran.returncode == 0, (arguments, ran.returncode, ran.stdout)
        return ran.stdout

    return run


def expect(server: Server, bucket: str, key: str, data: bytes, etag: str | None = None) -> str:
    """The object has these bytes, and the digest that the tool gave it; its ETag."""
    got = server.send("GET", f"/{key}", bucket=bucket).expect(200)
    assert got.body == data, key
    assert got.headers["x-cos-meta-md5"] == md5_hex(data), key
    assert etag is None or got.headers["ETag"] == etag, key
    return got.headers["ETag"]


@pytest.mark.parametrize("data", [SMALL, LARGE], ids=["small", "large"])
def test_life_of_a_file(server: Server, bucket: str, tool: Tool, tmp_path: Path, data: bytes) -> None:
    """Upload, whole or in parts; copy, list, download; delete one, and the other stays."""
    source, copy = "dir/源 a+b.bin", "copies/复制 %41.bin"
    (tmp_path / "file").write_bytes(data)
    tool("upload", "file", source)
    etag = expect(server, bucket, source, data)
    assert etag == quoted_md5(data) if data is SMALL else etag.endswith('-26"')

    tool("copy", f"{bucket_host(bucket)}/{source}", copy)
    expect(server, bucket, copy, data, etag)

    rows = [re.split(r"\s{3,}", line.strip()) for line in tool("list", "-r", "-a").splitlines() if "STANDARD" in line]
    assert [row[:3] for row in rows] == [[key, str(len(data)), "STANDARD"] for key in (copy, source)]

    tool("download", copy, "back")
    assert (tmp_path / "back").read_bytes() == data
    tool("delete", "-f", source)
    assert list_keys(server, bucket) == [copy]
    expect(server, bucket, copy, data, etag)


def test_tree(server: Server, bucket: str, tool: Tool, tmp_path: Path) -> None:
    """Upload, copy, download and delete a directory: names and contents are the same everywhere."""
    for name, data in TREE.items():
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    tool("upload", "-r", "tree", "there")
    tool("copy", "-r", f"{bucket_host(bucket)}/there", "again")
    assert list_keys(server, bucket) == [f"{at}/{name}" for at in ("again", "there") for name in TREE]
    for name, data in TREE.items():
        expect(server, bucket, f"there/{name}", data, quoted_md5(data))
        expect(server, bucket, f"again/{name}", data, quoted_md5(data))

    tool("delete", "-r", "-f", "there")
    assert list_keys(server, bucket) == [f"again/{name}" for name in TREE]
    tool("download", "-r", "again", "back")
    back = tmp_path / "back"
    assert {str(path.relative_to(back)): path.read_bytes() for path in back.rglob("*") if path.is_file()} == TREE
