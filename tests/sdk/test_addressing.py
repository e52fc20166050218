"""Every way in which a client names a bucket."""

from __future__ import annotations

import pytest
from qcloud_cos import CosServiceError

from harness import Server, body_of, bucket_host, list_keys, read_answer


@pytest.mark.parametrize(
    "form",
    [
        "{b}.cos.ap-guangzhou.myqcloud.com",
        "{b}.cos.ap-guangzhou.tencentcos.cn",
        "{b}.cos-internal.ap-guangzhou.tencentcos.cn",
        "{b}.cos.ap-guangzhou.myqcloud.com:{p}",
        "{b}.cos.ap-guangzhou.myqcloud.com:80",
        "{b}.COS.ap-guangzhou.MyQCloud.com",
        "{b}.cos.ap-guangzhou.localhost:{p}",
        "{b}.storage.example.test",
        "{b}.localhost:{p}",
    ],
)
def test_virtual_hosts(server: Server, bucket: str, form: str) -> None:
    """The bucket is the first label, whatever follows it."""
    host = form.format(b=bucket, p=server.port)
    server.send("PUT", "/a/k", host=host, body=b"x").expect(200)
    assert server.send("GET", "/a/k", host=host).expect(200).body == b"x"
    assert list_keys(server, bucket) == ["a/k"]


@pytest.mark.parametrize(
    "form",
    [
        "127.0.0.1:{p}",
        "127.0.0.1",
        "localhost:{p}",
        "cos.ap-guangzhou.myqcloud.com",
        "cos.ap-guangzhou.tencentcos.cn",
    ],
)
def test_path_style(server: Server, bucket: str, form: str) -> None:
    """An address, ``localhost`` or a region's host: the bucket is the first segment, and signed."""
    host = form.format(p=server.port)
    server.send("PUT", f"/{bucket}/a//b", host=host, body=b"x").expect(200)
    assert server.send("GET", f"/{bucket}/a//b", host=host).expect(200).body == b"x"
    page = server.send("GET", f"/{bucket}/", host=host, query={"prefix": "a"}).expect(200)
    assert [element.text for element in page.xml.iterfind("Contents/Key")] == ["a//b"]
    server.send("HEAD", f"/{bucket}", host=host).expect(200)
    server.send("DELETE", f"/{bucket}/a//b", host=host).expect(204)
    assert list_keys(server, bucket) == []


def test_domain_mode_of_the_sdk(server: Server, bucket: str) -> None:
    """The SDK's Domain option names no bucket, so the key carries it, as in path style."""
    client = server.domain_client()
    client.put_object(Bucket=bucket, Key=f"{bucket}/k", Body=b"x")
    assert body_of(client.get_object(Bucket=bucket, Key=f"{bucket}/k")) == b"x"
    with pytest.raises(CosServiceError) as caught:
        client.get_object(Bucket=bucket, Key=f"{bucket}/missing")
    assert caught.value.get_error_code() == "NoSuchKey"
    assert list_keys(server, bucket) == ["k"]


def test_domain_mode_with_an_address(server: Server, bucket: str) -> None:
    """IP and Domain together: the Host header is the domain, literally."""
    client = server.client(Domain=f"{bucket}.storage.example.test")
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert body_of(client.get_object(Bucket=bucket, Key="k")) == b"x"
    assert [entry["Key"] for entry in client.list_objects(Bucket=bucket)["Contents"]] == ["k"]


@pytest.mark.parametrize("internal", [False, True])
def test_the_newer_domain_of_the_sdk(server: Server, bucket: str, internal: bool) -> None:
    client = server.client(EnableOldDomain=False, EnableInternalDomain=internal)
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    source = {"Bucket": bucket, "Key": "k", "Region": "ap-guangzhou"}
    client.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert body_of(client.get_object(Bucket=bucket, Key="copy")) == b"x"


def test_the_host_of_an_absolute_target_wins(server: Server, bucket: str) -> None:
    """A proxied request is for the host in its target, not in its Host header."""
    host = bucket_host(bucket)
    target = f"http://{host}/k"
    signed = server.head_bytes("PUT", "/k", host=host, headers={"Content-Length": "1"}, target=target)
    misled = signed.replace(f"Host: {host}".encode(), b"Host: elsewhere.example.test")
    assert misled != signed
    with server.connect() as sock:
        sock.sendall(misled + b"x")
        read_answer(sock, "PUT").expect(200)
    assert list_keys(server, bucket) == ["k"]


def test_no_host(server: Server) -> None:
    """HTTP/1.1 without Host: 400."""
    with server.connect() as sock:
        sock.sendall(b"GET /k HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert read_answer(sock).status == 400


def test_a_key_that_looks_like_a_bucket(server: Server, bucket: str) -> None:
    """Under a virtual host the first segment is part of the key."""
    server.send("PUT", f"/{bucket}/k", bucket=bucket, body=b"x").expect(200)
    assert list_keys(server, bucket) == [f"{bucket}/k"]
