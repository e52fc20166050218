"""Fixtures: one server for the session, fresh buckets for each test."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import unquote

import pytest
from qcloud_cos import CosS3Client

from harness import REGION, Server, unique_bucket

# The SDK logs every refused request as an error; here refusals are the point.
logging.getLogger("qcloud_cos").setLevel(logging.CRITICAL)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real binary; at the end it must stop on SIGTERM with status 0."""
    running = Server(tmp_path_factory.mktemp("data"))
    yield running
    running.stop()


@pytest.fixture(scope="session")
def client(server: Server) -> CosS3Client:
    """The SDK in IP mode."""
    return server.client()


def left_in(server: Server, bucket: str, region: str) -> list[tuple[str, dict[str, str]]]:
    """Some of what is in a bucket, by the key and the parameters that delete it; all of it if that is little."""

    def entries(sub_resource: str, tags: list[str], name: str) -> list[tuple[str, dict[str, str]]]:
        query = {sub_resource: "", "encoding-type": "url"}
        root = server.send("GET", bucket=bucket, region=region, query=query).expect(200).xml
        ids = {"uploads": "uploadId", "versions": "versionId"}[sub_resource]
        return [
            # A bucket that never kept versions has objects whose id is empty: those go without one.
            (unquote(entry.findtext("Key") or ""), {ids: entry.findtext(name)} if entry.findtext(name) else {})
            for tag in tags
            for entry in root.iterfind(tag)
        ]

    return entries("uploads", ["Upload"], "UploadId") + entries("versions", ["Version", "DeleteMarker"], "VersionId")


def remove_bucket(server: Server, bucket: str, region: str) -> None:
    """Empty a bucket, of versions, delete markers and uploads under way too, and delete it; both must work
    whatever the test left behind."""
    if server.send("HEAD", bucket=bucket, region=region).status == 404:
        return

    def remove(entry: tuple[str, dict[str, str]]) -> None:
        key, query = entry
        server.send("DELETE", "/" + key, bucket=bucket, region=region, query=query).expect(204)

    with ThreadPoolExecutor(8) as pool:
        while left := left_in(server, bucket, region):
            list(pool.map(remove, left))
    server.send("DELETE", bucket=bucket, region=region).expect(204)


@pytest.fixture(scope="module")
def module_buckets(server: Server) -> Iterator[Callable[..., str]]:
    """Makes buckets that live as long as a test module; tests only read them."""
    yield from _bucket_factory(server)


@pytest.fixture
def make_bucket(server: Server) -> Iterator[Callable[..., str]]:
    """Makes buckets with unique names, emptied and deleted after the test."""
    yield from _bucket_factory(server)


def _bucket_factory(server: Server) -> Iterator[Callable[..., str]]:
    made: list[tuple[str, str]] = []

    def make(region: str = REGION, **options: object) -> str:
        name = unique_bucket()
        made.append((name, region))
        server.client(region).create_bucket(Bucket=name, **options)
        return name

    yield make
    for name, region in made:
        remove_bucket(server, name, region)


@pytest.fixture
def bucket(make_bucket: Callable[..., str]) -> str:
    return make_bucket()


@pytest.fixture
def new_bucket_name(server: Server) -> Iterator[str]:
    """A name that is free; the bucket is removed afterwards if the test made it."""
    name = unique_bucket()
    yield name
    remove_bucket(server, name, REGION)
