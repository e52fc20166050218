"""Storage pools: classes on other disks, and copies between them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from harness import REGION, SECRET_KEY, Answer, body_of, bucket_host, quoted_md5, unique_bucket
from program import KEYS, Cosine, run_cosine, serve_arguments

LARGE = random.Random(41).randbytes(2_000_000)
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'


def config(directory: Path, where: str = "cold") -> Path:
    file = directory / "cosine.toml"
    file.write_text(
        f'[pools.cold]\nnumber = 3\ndirectory = "{directory / where}"\nclasses = ["STANDARD_IA", "ARCHIVE"]\n'
    )
    return file


def start(directory: Path, *arguments: str) -> Cosine:
    data = directory / "data"
    return Cosine(*serve_arguments(data), *arguments, cwd=directory, env=KEYS, secret_key=SECRET_KEY)


def with_pool(directory: Path) -> Cosine:
    return start(directory, "--config", str(config(directory)))


def blobs(directory: Path) -> list[int]:
    """The sizes of the files in which blobs are."""
    return sorted(path.stat().st_size for path in directory.glob("??/*"))


def copy(cosine: Cosine, bucket: str, source: str, key: str, **headers: str) -> Answer:
    fields = {"x-cos-copy-source": f"{bucket_host(bucket)}/{source}"}
    fields.update({name.replace("_", "-"): value for name, value in headers.items()})
    return cosine.send("PUT", "/" + key, bucket=bucket, headers=fields)


def is_sound(directory: Path) -> dict:
    ran = run_cosine("fsck", "--data", str(directory / "data"), "--deep", "--json", cwd=directory)
    report = json.loads(ran.stdout)
    assert ran.returncode == 0 and report["sound"], report
    return report


def test_a_class_lies_in_its_pool(tmp_path: Path) -> None:
    """A copy into a class of another pool moves the bytes, one within a pool does not; all of it is found
    again by a server, and by a check, that know the pool only from the data directory."""
    with with_pool(tmp_path) as cosine:
        bucket = unique_bucket()
        cosine.send("PUT", bucket=bucket).expect(200)
        cosine.send("PUT", "/hot", bucket=bucket, body=LARGE).expect(200)
        assert (len(blobs(tmp_path / "data/blobs")), blobs(tmp_path / "cold")) == (1, [])
        moved = copy(cosine, bucket, "hot", "cold", x_cos_storage_class="STANDARD_IA").expect(200)
        assert moved.body.startswith(DECLARATION)
        assert moved.xml.findtext("ETag") == quoted_md5(LARGE)
        assert (len(blobs(tmp_path / "data/blobs")), len(blobs(tmp_path / "cold"))) == (1, 1)
        copy(cosine, bucket, "cold", "colder", x_cos_storage_class="ARCHIVE").expect(200)
        copy(cosine, bucket, "hot", "warm", x_cos_storage_class="INTELLIGENT_TIERING").expect(200)
        assert (len(blobs(tmp_path / "data/blobs")), len(blobs(tmp_path / "cold"))) == (1, 1)
        cosine.send("DELETE", "/hot", bucket=bucket).expect(204)
        cosine.send("DELETE", "/warm", bucket=bucket).expect(204)
        assert cosine.send("GET", "/cold", bucket=bucket).expect(200).body == LARGE
    with start(tmp_path) as cosine:
        assert cosine.send("GET", "/cold", bucket=bucket).expect(200).body == LARGE
    assert is_sound(tmp_path)["counts"]["blobs"] >= 1


def test_c108_c152_no_byte_moves_for_a_copy_that_is_refused(tmp_path: Path) -> None:
    """What is known before the answer begins has its ordinary status, where bytes would move too."""
    with with_pool(tmp_path) as cosine:
        bucket = unique_bucket()
        cosine.send("PUT", bucket=bucket).expect(200)
        cosine.send("PUT", "/hot", bucket=bucket, body=LARGE).expect(200)
        cosine.send("PUT", "/there", bucket=bucket, body=b"kept").expect(200)
        guarded = {"x_cos_storage_class": "STANDARD_IA", "x_cos_forbid_overwrite": "true"}
        copy(cosine, bucket, "hot", "there", **guarded).expect(409, "FileAlreadyExists")
        assert cosine.send("GET", "/there", bucket=bucket).expect(200).body == b"kept"
        assert blobs(tmp_path / "cold") == []
        assert copy(cosine, bucket, "hot", "free", **guarded).expect(200).xml.tag == "CopyObjectResult"


def test_an_inline_object_never_moves(tmp_path: Path) -> None:
    with with_pool(tmp_path) as cosine:
        bucket = unique_bucket()
        cosine.send("PUT", bucket=bucket).expect(200)
        cosine.send("PUT", "/small", bucket=bucket, body=b"small").expect(200)
        copy(cosine, bucket, "small", "cold", x_cos_storage_class="STANDARD_IA").expect(200)
        assert cosine.send("GET", "/cold", bucket=bucket).expect(200).body == b"small"
        assert blobs(tmp_path / "cold") == []


def test_a_multipart_object_moves_whole(tmp_path: Path) -> None:
    """It keeps its entity tag and its checksum, and becomes one blob."""
    with with_pool(tmp_path) as cosine:
        client, bucket = cosine.client(), unique_bucket()
        client.create_bucket(Bucket=bucket)
        upload = client.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
        parts = []
        for number, part in enumerate([LARGE[: 1 << 20], LARGE[1 << 20 :], LARGE[:5]][:2], 1):
            sent = client.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number, Body=part)
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        done = client.complete_multipart_upload(
            Bucket=bucket, Key="parts", UploadId=upload, MultipartUpload={"Part": parts}
        )
        source = {"Bucket": bucket, "Key": "parts", "Region": REGION}
        moved = client.copy_object(Bucket=bucket, Key="moved", CopySource=source, StorageClass="STANDARD_IA")
        assert moved["ETag"] == done["ETag"]
        assert len(blobs(tmp_path / "cold")) == 1
        got = client.get_object(Bucket=bucket, Key="moved")
        assert body_of(got) == LARGE
        upload = client.create_multipart_upload(Bucket=bucket, Key="x", StorageClass="STANDARD_IA")["UploadId"]
        part = client.upload_part_copy(
            Bucket=bucket, Key="x", UploadId=upload, PartNumber=1, CopySource=source, CopySourceRange="bytes=7-999999"
        )
        assert len(blobs(tmp_path / "cold")) == 2
        part = {"PartNumber": 1, "ETag": part["ETag"]}
        client.complete_multipart_upload(Bucket=bucket, Key="x", UploadId=upload, MultipartUpload={"Part": [part]})
        assert body_of(client.get_object(Bucket=bucket, Key="x")) == LARGE[7:1_000_000]
    is_sound(tmp_path)


def test_c41_c42_c43_more_than_5_gb(tmp_path: Path) -> None:
    """C41, C42, C43: copied in one call where nothing moves, whatever the size; refused with 400
    EntityTooLarge where more than 5 GB would move."""
    with with_pool(tmp_path) as cosine:
        client, bucket = cosine.client(), unique_bucket()
        client.create_bucket(Bucket=bucket)
        block = random.Random(42).randbytes(16 << 20)
        client.put_object(Bucket=bucket, Key="block", Body=block)
        source = {"Bucket": bucket, "Key": "block", "Region": REGION}

        def compose(key: str, count: int, last: int) -> str:
            """An object of so many copies of the block, and some bytes of it: nothing moves."""
            upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
            ranges = [f"bytes=0-{len(block) - 1}"] * count + ([f"bytes=0-{last - 1}"] if last else [])
            parts = []
            for number, span in enumerate(ranges, 1):
                part = client.upload_part_copy(
                    Bucket=bucket,
                    Key=key,
                    UploadId=upload,
                    PartNumber=number,
                    CopySource=source,
                    CopySourceRange=span,
                )
                parts.append({"PartNumber": number, "ETag": part["ETag"]})
            done = client.complete_multipart_upload(
                Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Part": parts}
            )
            return done["ETag"]

        tag = compose("larger", 320, 1)
        copied = copy(cosine, bucket, "larger", "copy").expect(200)
        assert copied.xml.findtext("ETag") == tag
        assert cosine.send("HEAD", "/copy", bucket=bucket).headers["Content-Length"] == str((5 << 30) + 1)
        answer = copy(cosine, bucket, "larger", "cold", x_cos_storage_class="STANDARD_IA")
        answer.expect(400, "EntityTooLarge")
        assert cosine.send("HEAD", "/cold", bucket=bucket).status == 404
        # Exactly 5 GB may move. The answer begins before they have; the client does not wait for the end.
        compose("exact", 320, 0)
        fields = {
            "Content-Length": "0",
            "x-cos-copy-source": f"{bucket_host(bucket)}/exact",
            "x-cos-storage-class": "STANDARD_IA",
        }
        with cosine.connect() as sock:
            sock.sendall(cosine.head_bytes("PUT", "/cold", host=bucket_host(bucket), headers=fields))
            assert sock.recv(100).startswith(b"HTTP/1.1 200")
        span = {"Range": f"bytes={(5 << 30) - 3}-"}
        assert cosine.send("GET", "/copy", bucket=bucket, headers=span).body == block[-3:] + block[:1]
        assert sum(blobs(tmp_path / "data/blobs")) < 2 * len(block)


def test_a_pool_is_where_it_was(tmp_path: Path) -> None:
    """Its blobs would not be found elsewhere, and another store's would be."""
    with with_pool(tmp_path):
        pass
    elsewhere = ["serve", "--data", str(tmp_path / "data"), "--listen", "127.0.0.1:0"]
    ran = run_cosine(*elsewhere, "--config", str(config(tmp_path, "other")), cwd=tmp_path, env=KEYS)
    assert ran.returncode != 0 and "number 3 lies in" in ran.stderr
    (tmp_path / "cold").rename(tmp_path / "away")
    ran = run_cosine(*elsewhere, cwd=tmp_path, env=KEYS)
    assert ran.returncode != 0 and "pool 3 is not there" in ran.stderr
    # A mount point without its disk is no pool, configured or not, and nothing is written into it.
    (tmp_path / "cold").mkdir()
    for configured in [[], ["--config", str(config(tmp_path))]]:
        ran = run_cosine(*elsewhere, *configured, cwd=tmp_path, env=KEYS)
        assert ran.returncode != 0 and "not mounted" in ran.stderr
    (tmp_path / "cold").rmdir()
    (tmp_path / "away").rename(tmp_path / "cold")
    other = tmp_path / "second"
    other.mkdir()
    ran = run_cosine(
        "serve",
        "--data",
        str(other),
        "--listen",
        "127.0.0.1:0",
        "--config",
        str(config(tmp_path)),
        cwd=tmp_path,
        env=KEYS,
    )
    assert ran.returncode != 0 and "another store" in ran.stderr


@pytest.mark.parametrize("answered", [True, False], ids=["read-to-the-end", "client-goes-away"])
def test_a_copy_that_moves_bytes_leaves_no_half(tmp_path: Path, answered: bool) -> None:
    """A client that goes away before the end: nothing is visible, or all is."""
    with with_pool(tmp_path) as cosine:
        bucket = unique_bucket()
        cosine.send("PUT", bucket=bucket).expect(200)
        cosine.send("PUT", "/hot", bucket=bucket, body=LARGE * 10).expect(200)
        if answered:
            copy(cosine, bucket, "hot", "cold", x_cos_storage_class="STANDARD_IA").expect(200)
        else:
            fields = {
                "Content-Length": "0",
                "x-cos-copy-source": f"{bucket_host(bucket)}/hot",
                "x-cos-storage-class": "STANDARD_IA",
            }
            with cosine.connect() as sock:
                sock.sendall(cosine.head_bytes("PUT", "/cold", host=bucket_host(bucket), headers=fields))
                assert sock.recv(100).startswith(b"HTTP/1.1 200")
        got = cosine.send("GET", "/cold", bucket=bucket)
        assert got.status == 404 and not answered or got.body == LARGE * 10
    is_sound(tmp_path)
