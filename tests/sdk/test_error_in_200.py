"""``cosine dev --fault copy-error-in-200``: an error after the answer has begun, for those who test their
clients (C152 to C154)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from qcloud_cos import CosServiceError

from harness import REGION, body_of, bucket_host, unique_bucket
from program import FREE_PORT, Cosine, run_cosine

LARGE = random.Random(51).randbytes(500_000)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cosine]:
    with Cosine("dev", *FREE_PORT, "--fault", "copy-error-in-200", cwd=tmp_path_factory.mktemp("dev")) as cosine:
        yield cosine


@pytest.fixture
def bucket(faulty: Cosine) -> str:
    name = unique_bucket()
    faulty.send("PUT", bucket=name).expect(200)
    faulty.send("PUT", "/source", bucket=name, body=LARGE).expect(200)
    return name


def test_c152_c154_an_error_within_a_200(faulty: Cosine, bucket: str) -> None:
    """200, chunked, one XML declaration, and an Error document with its five nodes; nothing is visible."""
    headers = {"x-cos-copy-source": f"{bucket_host(bucket)}/source", "x-cos-storage-class": "STANDARD_IA"}
    answer = faulty.send("PUT", "/copy", bucket=bucket, headers=headers).expect(200, "InternalError")
    assert answer.headers["Transfer-Encoding"] == "chunked" and "Content-Length" not in answer.headers
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>') and answer.body.count(b"<?xml") == 1
    nodes = [node.tag for node in answer.xml]
    assert nodes == ["Code", "Message", "Resource", "RequestId", "TraceId"]
    assert answer.xml.findtext("RequestId") == answer.headers["x-cos-request-id"]
    assert answer.xml.findtext("Resource") == f"{bucket_host(bucket)}/copy"
    faulty.send("GET", "/copy", bucket=bucket).expect(404, "NoSuchKey")
    assert faulty.send("GET", "/source", bucket=bucket).body == LARGE


def test_c153_the_sdk_takes_it_for_a_failure(faulty: Cosine, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source", "Region": REGION}
    client = faulty.client()
    with pytest.raises(CosServiceError) as caught:
        client.copy_object(Bucket=bucket, Key="copy", CopySource=source, StorageClass="STANDARD_IA")
    assert "InternalError" in str(caught.value)
    assert not client.object_exists(bucket, "copy")


def test_u18_a_part_too(faulty: Cosine, bucket: str) -> None:
    """U18: Upload Part - Copy fails in the same way, and the upload has no such part."""
    client = faulty.client()
    upload = client.create_multipart_upload(Bucket=bucket, Key="copy", StorageClass="STANDARD_IA")["UploadId"]
    headers = {"x-cos-copy-source": f"{bucket_host(bucket)}/source"}
    query = {"partNumber": "1", "uploadId": upload}
    faulty.send("PUT", "/copy", bucket=bucket, query=query, headers=headers).expect(200, "InternalError")
    assert "Part" not in client.list_parts(Bucket=bucket, Key="copy", UploadId=upload)


def test_what_need_not_move_is_copied(faulty: Cosine, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "source", "Region": REGION}
    client = faulty.client()
    client.copy_object(Bucket=bucket, Key="copy", CopySource=source)
    assert body_of(client.get_object(Bucket=bucket, Key="copy")) == LARGE


def test_serve_has_no_such_switch(tmp_path: Path) -> None:
    ran = run_cosine("serve", "--data", str(tmp_path / "data"), "--fault", "copy-error-in-200", cwd=tmp_path)
    assert ran.returncode != 0 and "--fault" in ran.stderr
    ran = run_cosine("dev", "--fault", "nonsense", cwd=tmp_path)
    assert ran.returncode != 0 and "copy-error-in-200" in ran.stderr
