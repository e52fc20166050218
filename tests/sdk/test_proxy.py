"""The SDK through ``Proxies``: real host names, no other change."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from qcloud_cos import CosS3Client, CosServiceError

from harness import OTHER_REGION, REGION, Server, body_of, list_keys, quoted_md5, unique_bucket

DATA = b"through a proxy" * 10_000


@pytest.fixture
def proxied(server: Server) -> Iterator[CosS3Client]:
    yield server.proxy_client()


def test_life_cycle(proxied: CosS3Client) -> None:
    """Create, list, put, head, get, copy, delete, and the bucket is gone."""
    name = unique_bucket()
    proxied.create_bucket(Bucket=name)
    listed = {entry["Name"]: entry["Location"] for entry in proxied.list_buckets()["Buckets"]["Bucket"]}
    assert listed[name] == REGION
    assert proxied.put_object(Bucket=name, Key="dir/k", Body=DATA, EnableMD5=True)["ETag"] == quoted_md5(DATA)
    assert proxied.head_object(Bucket=name, Key="dir/k")["Content-Length"] == str(len(DATA))
    assert body_of(proxied.get_object(Bucket=name, Key="dir/k")) == DATA
    assert body_of(proxied.get_object(Bucket=name, Key="dir/k", Range="bytes=8-12")) == DATA[8:13]
    source = {"Bucket": name, "Key": "dir/k", "Region": REGION}
    assert proxied.copy_object(Bucket=name, Key="copy", CopySource=source)["ETag"] == quoted_md5(DATA)
    page = proxied.list_objects(Bucket=name, Delimiter="/")
    assert [entry["Key"] for entry in page["Contents"]] == ["copy"]
    assert [entry["Prefix"] for entry in page["CommonPrefixes"]] == ["dir/"]
    proxied.delete_object(Bucket=name, Key="dir/k")
    assert body_of(proxied.get_object(Bucket=name, Key="copy")) == DATA
    result = proxied.delete_objects(Bucket=name, Delete={"Object": [{"Key": "copy"}]})
    assert [entry["Key"] for entry in result["Deleted"]] == ["copy"]
    proxied.delete_bucket(Bucket=name)
    assert not proxied.bucket_exists(name)


@pytest.mark.parametrize("key", ["a b+c/腾讯→.txt", "a//b", "./x", "a/../b", "%41", "what?#x", "dir/"])
def test_special_keys(proxied: CosS3Client, bucket: str, server: Server, key: str) -> None:
    """An absolute-form target is decoded and left alone like any other."""
    proxied.put_object(Bucket=bucket, Key=key, Body=DATA)
    assert list_keys(server, bucket) == [key]
    assert body_of(proxied.get_object(Bucket=bucket, Key=key)) == DATA


def test_copy_between_regions(server: Server, make_bucket: Callable[..., str]) -> None:
    """``copy`` heads the source under its own region's host, then copies it here."""
    here, there = make_bucket(), make_bucket(OTHER_REGION)
    server.proxy_client(OTHER_REGION).put_object(Bucket=there, Key="k", Body=DATA)
    proxied = server.proxy_client()
    proxied.copy(Bucket=here, Key="copy", CopySource={"Bucket": there, "Key": "k", "Region": OTHER_REGION})
    assert body_of(proxied.get_object(Bucket=here, Key="copy")) == DATA


def test_self_copy_with_replaced(proxied: CosS3Client, bucket: str) -> None:
    proxied.put_object(Bucket=bucket, Key="k", Body=DATA)
    source = {"Bucket": bucket, "Key": "k", "Region": REGION}
    proxied.copy_object(Bucket=bucket, Key="k", CopySource=source, CopyStatus="Replaced", ContentType="a/b")
    got = proxied.get_object(Bucket=bucket, Key="k")
    assert (got["Content-Type"], body_of(got)) == ("a/b", DATA)


def test_a_chunked_upload(proxied: CosS3Client, bucket: str) -> None:
    proxied.put_object(Bucket=bucket, Key="k", Body=iter([DATA, DATA]))
    assert body_of(proxied.get_object(Bucket=bucket, Key="k")) == DATA + DATA


@pytest.mark.parametrize("options", [{}, {"EnableOldDomain": False, "EnableInternalDomain": False}], ids=["old", "new"])
def test_both_domains(server: Server, bucket: str, options: dict[str, bool]) -> None:
    client = server.proxy_client(**options)
    client.put_object(Bucket=bucket, Key="k", Body=DATA)
    assert body_of(client.get_object(Bucket=bucket, Key="k")) == DATA
    assert bucket in [entry["Name"] for entry in client.list_buckets()["Buckets"]["Bucket"]]


def test_errors(server: Server, proxied: CosS3Client, bucket: str) -> None:
    """The SDK reads the same codes and the real host in the resource."""
    with pytest.raises(CosServiceError) as caught:
        proxied.get_object(Bucket=bucket, Key="missing")
    assert caught.value.get_error_code() == "NoSuchKey"
    assert caught.value.get_resource_location() == f"{bucket}.cos.{REGION}.myqcloud.com/missing"
    with pytest.raises(CosServiceError) as caught:
        server.proxy_client(SecretKey="wrong").get_object(Bucket=bucket, Key="missing")
    assert caught.value.get_error_code() == "SignatureDoesNotMatch"
