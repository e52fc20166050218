"""What was acknowledged is there after the process is gone, however it went."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness import (
    IO_TIMEOUT,
    REGION,
    Server,
    body_of,
    bucket_host,
    read_answer,
    read_interim,
    unique_bucket,
)
from load import VERBS, Progress, Worker
from program import run_cosine

WORKERS = 8
# COSINE_KILL_ROUNDS=200 COSINE_KILL_SEED=7 runs as many rounds, from that seed.
ROUNDS = int(os.environ.get("COSINE_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("COSINE_KILL_SEED", random.randrange(1 << 32)))


def operate_and_kill(server: Server, workers: list[Worker], count: int) -> Counter[str]:
    """All workers at once; SIGKILL in the midst of it. What was acknowledged, by verb."""
    progress = Progress()
    threads = [threading.Thread(target=worker.run, args=(server.client(), progress)) for worker in workers]
    for thread in threads:
        thread.start()
    try:
        progress.wait_for(count)
    finally:
        progress.dying.set()
        server.kill()
        for thread in threads:
            thread.join(IO_TIMEOUT)
    assert not progress.failures, progress.failures
    assert not any(thread.is_alive() for thread in threads)
    return progress.done


def verify(server: Server, workers: list[Worker]) -> list[str]:
    with ThreadPoolExecutor(WORKERS) as pool:
        parts = pool.map(lambda worker: worker.verify(server.client()), workers)
        return [line for part in parts for line in part]


def test_sigkill_under_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Again and again: 8 clients at work, SIGKILL, start again; nothing acknowledged is lost."""
    moments = random.Random(SEED)
    shared = unique_bucket()
    workers = [Worker(number, shared, SEED) for number in range(WORKERS)]
    done: Counter[str] = Counter()
    server = Server(tmp_path / "data")
    try:
        server.client().create_bucket(Bucket=shared)
        for round_number in range(ROUNDS):
            done += operate_and_kill(server, workers, moments.randrange(20, 400))
            checked = run_cosine("fsck", "--data", str(tmp_path / "data"), "--deep", cwd=tmp_path)
            assert checked.returncode == 0, f"round {round_number}, COSINE_KILL_SEED={SEED}: {checked.stdout}"
            server = Server(tmp_path / "data")
            lost = verify(server, workers)
            assert not lost, f"round {round_number}, COSINE_KILL_SEED={SEED}: {lost}"
        server.stop()
    finally:
        if server.process.poll() is None:
            server.kill()
    assert done.keys() == VERBS.keys() or done.total() < 1000
    with capsys.disabled():
        print(f"\n{ROUNDS} kills (COSINE_KILL_SEED={SEED}): {done.total()} operations acknowledged, 0 lost")


@pytest.mark.parametrize("end", ["sigterm", "sigkill"])
def test_everything_survives_a_restart(tmp_path: Path, end: str) -> None:
    """Buckets, metadata, ACLs and copies, after a clean end and after an abrupt one."""
    data = random.Random(9).randbytes(400_000)
    bucket, other, gone = unique_bucket(), unique_bucket(), unique_bucket()
    server = Server(tmp_path / "data")
    try:
        client = server.client()
        for name in (bucket, other, gone):
            client.create_bucket(Bucket=name)
        client.put_object(Bucket=bucket, Key="k", Body=data, ContentType="a/b", Metadata={"x-cos-meta-m": "v"})
        client.copy_object(Bucket=other, Key="copy", CopySource={"Bucket": bucket, "Key": "k", "Region": REGION})
        client.put_object(Bucket=bucket, Key="open", Body=b"small", ACL="public-read")
        client.put_object(Bucket=bucket, Key="deleted", Body=data)
        client.delete_object(Bucket=bucket, Key="deleted")
        client.delete_bucket(Bucket=gone)
        before = client.head_object(Bucket=bucket, Key="k")
        if end == "sigterm":
            server.stop()
        else:
            server.kill()

        server = Server(tmp_path / "data")
        client = server.client()
        names = [entry["Name"] for entry in client.list_buckets()["Buckets"]["Bucket"]]
        assert names == sorted([bucket, other])
        after = client.get_object(Bucket=bucket, Key="k")
        assert body_of(after) == data
        for name in ("ETag", "Last-Modified", "Content-Type", "x-cos-meta-m", "x-cos-hash-crc64ecma"):
            assert after[name] == before[name]
        client.delete_object(Bucket=bucket, Key="k")
        assert body_of(client.get_object(Bucket=other, Key="copy")) == data
        assert not client.object_exists(bucket, "deleted")
        assert server.send("GET", "/open", bucket=bucket, auth=None).expect(200).body == b"small"
        server.send("GET", "/copy", bucket=other, auth=None).expect(403, "AccessDenied")
        server.stop()
    finally:
        if server.process.poll() is None:
            server.kill()


def refuses_connections(server: Server) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=1):
            return False
    except OSError:
        return True


def test_sigterm_lets_an_upload_finish(tmp_path: Path) -> None:
    """New connections are refused, the request under way is answered, then the process ends with 0."""
    bucket = unique_bucket()
    data = random.Random(10).randbytes(200_000)
    server = Server(tmp_path / "data")
    try:
        server.client().create_bucket(Bucket=bucket)
        headers = {"Content-Length": str(len(data)), "Expect": "100-continue"}
        with server.connect() as sock:
            sock.sendall(server.head_bytes("PUT", "/k", host=bucket_host(bucket), headers=headers))
            read_interim(sock)
            sock.sendall(data[:1000])
            server.process.terminate()
            deadline = time.monotonic() + 10
            while not refuses_connections(server):
                assert time.monotonic() < deadline, "the listener is still open"
                time.sleep(0.02)
            sock.sendall(data[1000:])
            read_answer(sock, "PUT").expect(200)
        assert server.process.wait(30) == 0, server.log()
        server = Server(tmp_path / "data")
        assert server.send("GET", "/k", bucket=bucket).expect(200).body == data
        server.stop()
    finally:
        if server.process.poll() is None:
            server.kill()
