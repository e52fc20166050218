"""A mixed load by several SDK clients, each of which knows what its keys must hold.

A worker writes its keys and its own bucket alone, so their history is a line: when the server dies,
everything acknowledged is known, and at most one operation is under way.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import requests
from qcloud_cos import CosClientError, CosS3Client, CosServiceError

from harness import REGION, body_of, quoted_md5, unique_bucket

# Below, around and above any size at which a body stops being stored inline.
SIZES = [0, 100, 5_000, 16_384, 16_385, 70_000, 300_000]
LARGE = 1_500_000
# What an operation is, and how often.
VERBS = {"put": 8, "put large": 1, "copy": 6, "self-copy": 3, "delete": 4, "list": 2, "bucket": 2}
DEADLINE = 120.0
# How a connection to a server that is killed may end.
BROKEN = (CosClientError, requests.RequestException)

Place = tuple[str, str]


@dataclass(frozen=True)
class Content:
    """What a key holds, without holding it."""

    size: int
    digest: str
    mark: str

    @staticmethod
    def of(data: bytes, mark: str) -> Content:
        return Content(len(data), hashlib.sha256(data).hexdigest(), mark)


@dataclass
class State:
    """What there is of a worker's: its objects, and whether its bucket is."""

    objects: dict[Place, Content] = field(default_factory=dict)
    own_bucket: bool = False

    def with_object(self, place: Place, content: Content | None) -> State:
        objects = {other: held for other, held in self.objects.items() if other != place}
        return replace(self, objects=objects | ({place: content} if content else {}))


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
        """Until ``count`` operations are acknowledged, or one failed."""
        with self.changed:
            reached = self.changed.wait_for(lambda: self.failures or self.done.total() >= count, DEADLINE)
        assert reached, f"only {self.done} acknowledged in {DEADLINE} s"


class Worker:
    """One client."""

    def __init__(self, number: int, shared: str, seed: int) -> None:
        self.random = random.Random(f"{seed} {number}")
        self.shared, self.own = shared, unique_bucket()
        self.prefix = f"w{number}/"
        self.state = State()
        self.after: State | None = None  # once the operation under way is done
        self.counter = 0

    def run(self, client: CosS3Client, progress: Progress) -> None:
        """Operate until the server dies; ``after`` then belongs to the operation under way."""
        while True:
            verb = self.random.choices(list(VERBS), list(VERBS.values()))[0]
            self.after, call = self.choose(verb, client)
            try:
                call()
            except Exception as error:
                # Once the server is being killed, a broken connection is the way out.
                if not (progress.dying.is_set() and isinstance(error, BROKEN)):
                    progress.fail(f"{verb} of {self.prefix}: {error!r}")
                return
            self.state, self.after = self.after, None
            progress.acknowledge(verb)

    def choose(self, verb: str, client: CosS3Client) -> tuple[State, Callable[[], object]]:
        """The state after the operation, and the call."""
        buckets = [self.shared] * 3 + [self.own] * self.state.own_bucket
        place = self.random.choice(buckets), self.prefix + str(self.random.randrange(6))
        target = {"Bucket": place[0], "Key": place[1]}
        self.counter += 1
        mark = {"x-cos-meta-mark": f"{self.prefix}{self.counter}"}
        match verb:
            case "list":
                return self.state, lambda: self.check_listing(client)
            case "delete":
                return self.state.with_object(place, None), lambda: client.delete_object(**target)
            case "bucket":
                return self.choose_bucket(client)
            case "copy" | "self-copy" if self.state.objects:
                source = self.random.choice(list(self.state.objects))
                held = self.state.objects[source]
                if verb == "self-copy":
                    place, target = source, {"Bucket": source[0], "Key": source[1]}
                options: dict[str, object] = {"CopySource": {"Bucket": source[0], "Key": source[1], "Region": REGION}}
                if place == source:
                    held = replace(held, mark=mark["x-cos-meta-mark"])
                    options |= {"CopyStatus": "Replaced", "Metadata": mark}
                return self.state.with_object(place, held), lambda: client.copy_object(**target, **options)
        data = self.random.randbytes(LARGE if verb == "put large" else self.random.choice(SIZES))
        after = self.state.with_object(place, Content.of(data, mark["x-cos-meta-mark"]))
        return after, lambda: client.put_object(**target, Body=data, Metadata=mark)

    def choose_bucket(self, client: CosS3Client) -> tuple[State, Callable[[], object]]:
        """Makes the worker's own bucket, or deletes it; one that holds something has to stay."""
        if not self.state.own_bucket:
            return replace(self.state, own_bucket=True), lambda: client.create_bucket(Bucket=self.own)
        if not any(bucket == self.own for bucket, _ in self.state.objects):
            return replace(self.state, own_bucket=False), lambda: client.delete_bucket(Bucket=self.own)

        def refused() -> None:
            try:
                client.delete_bucket(Bucket=self.own)
            except CosServiceError as error:
                if error.get_error_code() == "BucketNotEmpty":
                    return
                raise
            raise AssertionError("a bucket that holds something was deleted")

        return self.state, refused

    def check_listing(self, client: CosS3Client) -> None:
        """What the client did before is in the list."""
        for bucket in [self.shared] + [self.own] * self.state.own_bucket:
            expected = {key: held.size for (place, key), held in self.state.objects.items() if place == bucket}
            assert self.listed(client, bucket) == expected, bucket

    def listed(self, client: CosS3Client, bucket: str) -> dict[str, int]:
        page = client.list_objects(Bucket=bucket, Prefix=self.prefix)
        return {entry["Key"]: int(entry["Size"]) for entry in page.get("Contents", [])}

    def verify(self, client: CosS3Client) -> list[str]:
        """What is lost, half done or too much on a server that was started again."""
        found = State(own_bucket=client.bucket_exists(Bucket=self.own))
        for bucket in [self.shared] + [self.own] * found.own_bucket:
            listed = self.listed(client, bucket)
            for key in listed:
                found.objects[bucket, key] = read(client, bucket, key)
            sizes = {key: held.size for (place, key), held in found.objects.items() if place == bucket}
            if sizes != listed:
                return [f"{bucket}: listed {listed}, read {sizes}"]
        allowed = [self.state] + [self.after] * (self.after is not None)
        wrong = [] if found in allowed else differences(found, allowed)
        self.state, self.after = found, None
        return wrong


def differences(found: State, allowed: list[State]) -> list[str]:
    lines = []
    if all(found.own_bucket != state.own_bucket for state in allowed):
        lines.append(f"own bucket: found {found.own_bucket}")
    for place in set().union(found.objects, *(state.objects for state in allowed)):
        held, may_be = found.objects.get(place), [state.objects.get(place) for state in allowed]
        if held not in may_be:
            lines.append(f"{place}: found {held}, may be {may_be}")
    return lines or ["each place may be so, but not all together"]


def read(client: CosS3Client, bucket: str, key: str) -> Content:
    """An object, with its checksum headers checked."""
    got = client.get_object(Bucket=bucket, Key=key)
    data = body_of(got)
    assert got["Content-Length"] == str(len(data))
    assert got["ETag"] == quoted_md5(data)
    return Content.of(data, got["x-cos-meta-mark"])
