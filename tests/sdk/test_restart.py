"""What was acknowledged is there after the process is gone, however it went."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from qcloud_cos import CosClientError, CosS3Client, CosServiceError

from harness import (
    IO_TIMEOUT,
    REGION,
    Server,
    body_of,
    bucket_host,
    quoted_md5,
    read_answer,
    read_interim,
    unique_bucket,
)

WORKERS = 8
KEYS_PER_WORKER = 10
ROUNDS = 3
# Below, around and above any size at which a body stops being stored inline.
SIZES = [0, 100, 5_000, 70_000, 300_000, 1_500_000]
BEFORE_THE_KILL = 400
KILL_DEADLINE = 120.0


@dataclass(frozen=True)
class Content:
    """What a key holds, without holding it."""

    size: int
    digest: str
    label: str

    @staticmethod
    def of(data: bytes, label: str) -> Content:
        return Content(len(data), hashlib.sha256(data).hexdigest(), label)


State = Content | None


@dataclass
class Progress:
    """What the workers tell the thread that pulls the plug."""

    dying: threading.Event = field(default_factory=threading.Event)
    changed: threading.Condition = field(default_factory=threading.Condition)
    done: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def acknowledge(self, verb: str) -> None:
        with self.changed:
            self.done[verb] += 1
            self.changed.notify_all()

    def fail(self, text: str) -> None:
        with self.changed:
            self.failures.append(text)
            self.changed.notify_all()

    def wait_for(self, count: int) -> None:
        """Until ``count`` operations and some of each verb are acknowledged, or one failed."""
        with self.changed:
            reached = self.changed.wait_for(
                lambda: self.failures or (self.done.total() >= count and len(self.done) == 3), KILL_DEADLINE
            )
        assert reached, f"only {self.done} acknowledged in {KILL_DEADLINE} s"


class Worker:
    """One thread's keys: nobody else writes them, so their history is a line."""

    def __init__(self, number: int) -> None:
        self.random = random.Random(number)
        self.keys = [f"w{number}/{index}" for index in range(KEYS_PER_WORKER)]
        self.state: dict[str, State] = {key: None for key in self.keys}
        self.pending: tuple[str, State] | None = None
        self.counter = 0

    def run(self, client: CosS3Client, bucket: str, progress: Progress) -> None:
        """Operate until the server dies; ``pending`` is then the one in flight."""
        while True:
            verb, key, after, call = self.choose(client, bucket)
            self.pending = (key, after)
            try:
                call()
            except Exception as error:
                # Once the server is being killed, a broken connection is the way out.
                if not (progress.dying.is_set() and isinstance(error, CosClientError)):
                    progress.fail(f"{verb} {key}: {error!r}")
                return
            self.pending = None
            self.state[key] = after
            progress.acknowledge(verb)

    def choose(self, client: CosS3Client, bucket: str) -> tuple[str, str, State, Callable[[], object]]:
        """The next operation: its verb, its key, what the key holds after it, and the call."""
        key = self.random.choice(self.keys)
        live = [other for other in self.keys if other != key and self.state[other] is not None]
        roll = self.random.random()
        if roll < 0.3 and live:
            source = self.random.choice(live)
            copy_source = {"Bucket": bucket, "Key": source, "Region": REGION}
            return (
                "copy",
                key,
                self.state[source],
                lambda: client.copy_object(Bucket=bucket, Key=key, CopySource=copy_source),
            )
        if roll < 0.5:
            return "delete", key, None, lambda: client.delete_object(Bucket=bucket, Key=key)
        self.counter += 1
        label = f"{key} #{self.counter}"
        data = label.encode() + self.random.randbytes(self.random.choice(SIZES))
        return "put", key, Content.of(data, label), lambda: client.put_object(Bucket=bucket, Key=key, Body=data)


def read_state(client: CosS3Client, bucket: str, key: str) -> State:
    """What the server says a key holds, with its checksum headers checked."""
    try:
        got = client.get_object(Bucket=bucket, Key=key)
    except CosServiceError as error:
        assert (error.get_status_code(), error.get_error_code()) == (404, "NoSuchKey"), error
        return None
    data = body_of(got)
    assert got["Content-Length"] == str(len(data))
    assert got["ETag"] == quoted_md5(data)
    return Content.of(data, data[:40].decode("latin-1"))


def same(one: State, other: State) -> bool:
    return (one and (one.size, one.digest)) == (other and (other.size, other.digest))


def verify(server: Server, bucket: str, workers: list[Worker]) -> None:
    """Each key is as acknowledged; a key with an operation in flight is before or after it."""

    def check(worker: Worker) -> dict[str, int]:
        client = server.client()
        listed = {}
        for key in worker.keys:
            found = read_state(client, bucket, key)
            allowed = [worker.state[key]]
            if worker.pending and worker.pending[0] == key:
                allowed.append(worker.pending[1])
            assert any(same(found, state) for state in allowed), f"{key}: found {found}, allowed {allowed}"
            worker.state[key] = found
            if found:
                listed[key] = found.size
        worker.pending = None
        return listed

    live: dict[str, int] = {}
    with ThreadPoolExecutor(WORKERS) as pool:
        for part in pool.map(check, workers):
            live.update(part)
    page = server.client().list_objects(Bucket=bucket)
    assert {entry["Key"]: int(entry["Size"]) for entry in page.get("Contents", [])} == live


def test_sigkill_under_load(tmp_path: Path) -> None:
    """Three times: 8 threads put, copy and delete; SIGKILL; start again; nothing acknowledged is lost."""
    bucket = unique_bucket()
    workers = [Worker(number) for number in range(WORKERS)]
    server = Server(tmp_path / "data")
    try:
        server.client().create_bucket(Bucket=bucket)
        for round_number in range(ROUNDS):
            progress = Progress()
            threads = [
                threading.Thread(target=worker.run, args=(server.client(), bucket, progress)) for worker in workers
            ]
            for thread in threads:
                thread.start()
            try:
                progress.wait_for(BEFORE_THE_KILL + 37 * round_number)
            finally:
                progress.dying.set()
                server.kill()
                for thread in threads:
                    thread.join(IO_TIMEOUT)
            assert not progress.failures, progress.failures
            assert not any(thread.is_alive() for thread in threads)
            server = Server(tmp_path / "data")
            verify(server, bucket, workers)
        server.stop()
    finally:
        if server.process.poll() is None:
            server.kill()


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
