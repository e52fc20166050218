"""The life of a bucket."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from qcloud_cos import CosS3Client, CosServiceError

from harness import APPID, OTHER_REGION, REGION, Server, bucket_host, unique_bucket


def test_life_cycle(client: CosS3Client, new_bucket_name: str) -> None:
    """Create, head, list, delete; afterwards the name answers 404."""
    assert not client.bucket_exists(new_bucket_name)
    client.create_bucket(Bucket=new_bucket_name)
    assert client.bucket_exists(new_bucket_name)
    assert client.head_bucket(Bucket=new_bucket_name)["x-cos-bucket-region"] == REGION
    assert "Contents" not in client.list_objects(Bucket=new_bucket_name)
    client.delete_bucket(Bucket=new_bucket_name)
    with pytest.raises(CosServiceError) as caught:
        client.head_bucket(Bucket=new_bucket_name)
    assert caught.value.get_status_code() == 404


def test_create_and_delete_answer_without_a_body(server: Server, new_bucket_name: str) -> None:
    """PUT Bucket is 200 and DELETE Bucket 204, both empty."""
    created = server.send("PUT", bucket=new_bucket_name).expect(200)
    assert created.body == b"" and created.headers["Content-Length"] == "0"
    deleted = server.send("DELETE", bucket=new_bucket_name).expect(204)
    assert deleted.body == b""


def test_creating_it_again_is_refused(client: CosS3Client, bucket: str) -> None:
    """The owner's second PUT answers 409 and changes nothing."""
    client.put_object(Bucket=bucket, Key="kept", Body=b"kept")
    with pytest.raises(CosServiceError) as caught:
        client.create_bucket(Bucket=bucket)
    assert caught.value.get_status_code() == 409
    assert caught.value.get_error_code() == "BucketAlreadyOwnedByYou"
    assert client.object_exists(bucket, "kept")


def test_one_of_many_creators_wins(server: Server, new_bucket_name: str) -> None:
    """Eight clients create one name at once: one 200, seven 409."""
    barrier = threading.Barrier(8)

    def create(_: int) -> int:
        barrier.wait(30)
        return server.send("PUT", bucket=new_bucket_name).status

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(create, range(8))) == [200] + [409] * 7


def test_a_full_bucket_is_not_deleted(client: CosS3Client, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="a/b", Body=b"x")
    with pytest.raises(CosServiceError) as caught:
        client.delete_bucket(Bucket=bucket)
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (409, "BucketNotEmpty")
    client.delete_object(Bucket=bucket, Key="a/b")
    client.delete_bucket(Bucket=bucket)


def test_a_deleted_bucket_does_not_come_back_with_its_objects(client: CosS3Client, bucket: str) -> None:
    """A new bucket of the same name is empty and private."""
    client.put_object(Bucket=bucket, Key="old", Body=b"old")
    client.delete_object(Bucket=bucket, Key="old")
    client.delete_bucket(Bucket=bucket)
    client.create_bucket(Bucket=bucket)
    assert "Contents" not in client.list_objects(Bucket=bucket)
    assert not client.object_exists(bucket, "old")


def test_delete_bucket_never_races_a_put(server: Server, make_bucket: Callable[..., str]) -> None:
    """An acknowledged put and an acknowledged delete of its bucket exclude each other."""
    with ThreadPoolExecutor(4) as pool:
        for _ in range(25):
            name = make_bucket()
            barrier = threading.Barrier(4)

            def put(number: int, name: str = name, barrier: threading.Barrier = barrier) -> int:
                barrier.wait(30)
                return server.send("PUT", f"/k{number}", bucket=name, body=b"x").status

            def delete(name: str = name, barrier: threading.Barrier = barrier) -> int:
                barrier.wait(30)
                return server.send("DELETE", bucket=name).status

            puts = [pool.submit(put, number) for number in range(3)]
            deleted = pool.submit(delete)
            statuses = [future.result(60) for future in puts]
            if deleted.result(60) == 204:
                assert statuses == [404, 404, 404]
                assert server.send("HEAD", bucket=name).status == 404
            else:
                assert deleted.result() == 409
                assert statuses == [200, 200, 200]
                for number in range(3):
                    assert server.send("GET", f"/k{number}", bucket=name).body == b"x"


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda c, b: c.list_objects(Bucket=b), id="list"),
        pytest.param(lambda c, b: c.delete_bucket(Bucket=b), id="delete"),
        pytest.param(lambda c, b: c.put_object(Bucket=b, Key="k", Body=b"x"), id="put"),
        pytest.param(lambda c, b: c.get_object(Bucket=b, Key="k"), id="get"),
        pytest.param(lambda c, b: c.delete_object(Bucket=b, Key="k"), id="delete-object"),
        pytest.param(lambda c, b: c.delete_objects(Bucket=b, Delete={"Object": [{"Key": "k"}]}), id="delete-many"),
    ],
)
def test_an_absent_bucket(client: CosS3Client, call: Callable[[CosS3Client, str], object]) -> None:
    """Every operation on a bucket that does not exist: 404 NoSuchBucket."""
    with pytest.raises(CosServiceError) as caught:
        call(client, unique_bucket())
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (404, "NoSuchBucket")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_an_object_of_a_bucket_asked_in_another_region(
    server: Server, client: CosS3Client, bucket: str, method: str
) -> None:
    """A bucket lives in one region; under another region's host it does not exist."""
    client.put_object(Bucket=bucket, Key="k", Body=b"here")
    assert server.send(method, "/k", bucket=bucket, region=OTHER_REGION, body=b"").status == 404
    assert client.get_object(Bucket=bucket, Key="k")["Body"].get_raw_stream().read() == b"here"


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f"-lead-{APPID}", id="leading-dash"),
        pytest.param(f"trail--{APPID}", id="custom-part-ends-with-dash"),
        pytest.param(f"-{APPID}", id="no-custom-part"),
        pytest.param(f"under_score-{APPID}", id="underscore"),
        pytest.param("x" * 63 + f"-{APPID}", id="too-long"),
        pytest.param("noappid", id="no-appid"),
        pytest.param("letters-appid", id="appid-not-a-number"),
    ],
)
def test_bad_names(server: Server, name: str) -> None:
    answer = server.send("PUT", host=bucket_host(name))
    answer.expect(400, "InvalidBucketName", "BucketNameTooLong", "InvalidRequest", "InvalidHost")


def test_another_accounts_appid(server: Server) -> None:
    """The APPID in the name must belong to the signer: 403 AccessDenied."""
    server.send("PUT", host=bucket_host("foreign-1250000001")).expect(403, "AccessDenied")


def test_a_region_that_is_not_served(server: Server) -> None:
    answer = server.send("PUT", host=bucket_host(unique_bucket(), "eu-nowhere"))
    answer.expect(400, "InvalidRegionName", "InvalidLocationConstraint")


@pytest.mark.parametrize("acl", ["private", "public-read", "public-read-write", "authenticated-read"])
def test_canned_acl_values(client: CosS3Client, new_bucket_name: str, acl: str) -> None:
    client.create_bucket(Bucket=new_bucket_name, ACL=acl)
    assert client.bucket_exists(new_bucket_name)


def test_an_unknown_canned_acl(client: CosS3Client, new_bucket_name: str) -> None:
    """400 InvalidArgument, and no bucket is made."""
    with pytest.raises(CosServiceError) as caught:
        client.create_bucket(Bucket=new_bucket_name, ACL="public-everything")
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (400, "InvalidArgument")
    assert not client.bucket_exists(new_bucket_name)


# --- GET Service -------------------------------------------------------------


def test_list_buckets(server: Server, client: CosS3Client, make_bucket: Callable[..., str]) -> None:
    """Every bucket with its region and creation date, in order of its name."""
    here, there = make_bucket(), make_bucket(OTHER_REGION)
    answer = client.list_buckets()
    listed = {entry["Name"]: entry for entry in answer["Buckets"]["Bucket"]}
    assert listed[here]["Location"] == REGION
    assert listed[there]["Location"] == OTHER_REGION
    for name in (here, there):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", listed[name]["CreationDate"])
    names = [entry["Name"] for entry in answer["Buckets"]["Bucket"]]
    assert names == sorted(names)
    assert re.fullmatch(r"qcs::cam::uin/(\d+):uin/\1", answer["Owner"]["ID"])


@pytest.mark.parametrize(
    "host", ["service.cos.myqcloud.com", "service.cos.tencentcos.cn", f"cos.{OTHER_REGION}.myqcloud.com"]
)
def test_service_hosts(server: Server, make_bucket: Callable[..., str], host: str) -> None:
    """The service host lists all regions, a region's host only its own."""
    here, there = make_bucket(), make_bucket(OTHER_REGION)
    answer = server.send("GET", host=host).expect(200)
    assert answer.xml.tag == "ListAllMyBucketsResult"
    names = [element.text for element in answer.xml.iterfind("Buckets/Bucket/Name")]
    assert there in names
    assert (here in names) == host.startswith("service.")


def test_list_buckets_of_one_region(client: CosS3Client, make_bucket: Callable[..., str]) -> None:
    here, there = make_bucket(), make_bucket(OTHER_REGION)
    listed = client.list_buckets(Region=OTHER_REGION)["Buckets"]["Bucket"]
    names = [entry["Name"] for entry in listed]
    assert there in names and here not in names
    assert {entry["Location"] for entry in listed} == {OTHER_REGION}


def test_list_buckets_in_pages(client: CosS3Client, make_bucket: Callable[..., str]) -> None:
    """marker is exclusive; following NextMarker visits each bucket once, in order."""
    mine = {make_bucket() for _ in range(5)}
    seen: list[str] = []
    marker = ""
    while True:
        page = client.list_buckets(Marker=marker, MaxKeys=2)
        names = [entry["Name"] for entry in page["Buckets"]["Bucket"]]
        assert 1 <= len(names) <= 2
        seen += names
        if page["IsTruncated"] == "false":
            break
        marker = page["NextMarker"]
    assert seen == sorted(set(seen))
    assert mine <= set(seen)


def test_list_buckets_when_there_is_none(server: Server) -> None:
    """``Buckets`` is present even when empty: the SDK reads it unconditionally."""
    answer = server.send("GET", query={"region": "eu-nowhere"}).expect(200)
    assert answer.xml.find("Buckets") is not None
    assert answer.xml.find("Buckets/Bucket") is None


def test_list_buckets_needs_a_signature(server: Server) -> None:
    server.send("GET", host="service.cos.myqcloud.com", auth=None).expect(403, "AccessDenied")
