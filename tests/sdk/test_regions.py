"""Copies from a region that another deployment serves, fetched over its API."""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from qcloud_cos import CosServiceError

from harness import SECRET_KEY, Answer, authorization, body_of, bucket_host, md5_hex, quoted_md5, unique_bucket
from program import KEYS, Cosine, serve_arguments
from sse import KMS_KEY_ID, SSE, A, B, CustomerKey
from test_tls import make_pair

HERE, THERE = "ap-beijing", "ap-shanghai"
LARGE = random.Random(31).randbytes(3_000_000)
DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'


def start(data: Path, region: str, *arguments: str) -> Cosine:
    env = {**KEYS, "COSINE_REGIONS": region}
    return Cosine(*serve_arguments(data), *arguments, cwd=data.parent, env=env, secret_key=SECRET_KEY)


def config(directory: Path, port: int, secret_key: str = SECRET_KEY) -> Path:
    file = directory / "cosine.toml"
    file.write_text(
        f'[regions.{THERE}]\nendpoint = "http://127.0.0.1:{port}"\n'
        f'secret_id = "{KEYS["COSINE_SECRET_ID"]}"\nsecret_key = "{secret_key}"\n'
    )
    return file


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cosine]:
    with start(tmp_path_factory.mktemp("there") / "data", THERE) as cosine:
        yield cosine


@pytest.fixture(scope="module")
def here(there: Cosine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cosine]:
    directory = tmp_path_factory.mktemp("here")
    file = config(directory, there.port)
    env = {**KEYS, "COSINE_REGIONS": ""}
    arguments = [*serve_arguments(directory / "data"), "--config", str(file), "--regions", HERE]
    with Cosine(*arguments, cwd=directory, env=env, secret_key=SECRET_KEY) as cosine:
        yield cosine


@pytest.fixture
def buckets(here: Cosine, there: Cosine) -> tuple[str, str]:
    """A bucket here, and one there."""
    names = unique_bucket(), unique_bucket()
    here.send("PUT", bucket=names[0], region=HERE).expect(200)
    there.send("PUT", bucket=names[1], region=THERE).expect(200)
    return names


def copy(here: Cosine, bucket: str, source: str, key: str = "copy", **headers: str) -> Answer:
    fields = {"x-cos-copy-source": source, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return here.send("PUT", "/" + key, bucket=bucket, region=HERE, headers=fields)


def source_of(bucket: str, key: str = "source") -> str:
    return f"{bucket_host(bucket, THERE)}/{key}"


def get(here: Cosine, bucket: str, key: str = "copy") -> Answer:
    return here.send("GET", "/" + key, bucket=bucket, region=HERE)


@pytest.mark.parametrize("body", [b"", b"[Object Content]", LARGE], ids=["empty", "small", "large"])
def test_c16_c70_an_object_of_another_deployment(
    here: Cosine, there: Cosine, buckets: tuple[str, str], body: bytes
) -> None:
    """C16: bytes, metadata and tags come along; ACL and class do not (C70)."""
    mine, theirs = buckets
    headers = {
        "Content-Type": "image/jpeg",
        "x-cos-meta-via": "there",
        "x-cos-tagging": "k=v%2B1",
        "x-cos-storage-class": "STANDARD_IA",
    }
    there.send("PUT", "/source", bucket=theirs, region=THERE, headers=headers, body=body).expect(200)
    answer = copy(here, mine, source_of(theirs)).expect(200)
    assert answer.body.startswith(DECLARATION)
    assert answer.xml.findtext("ETag") == quoted_md5(body)
    got = get(here, mine).expect(200)
    assert got.body == body
    assert (got.headers["Content-Type"], got.headers["x-cos-meta-via"]) == ("image/jpeg", "there")
    assert "x-cos-storage-class" not in got.headers
    tags = here.send("GET", "/copy", bucket=mine, region=HERE, query={"tagging": ""}).expect(200).xml
    assert [(t.findtext("Key"), t.findtext("Value")) for t in tags.iter("Tag")] == [("k", "v+1")]


def test_directives(here: Cosine, there: Cosine, buckets: tuple[str, str]) -> None:
    mine, theirs = buckets
    headers = {"x-cos-meta-via": "there", "x-cos-tagging": "k=v"}
    there.send("PUT", "/source", bucket=theirs, region=THERE, headers=headers, body=b"x").expect(200)
    replaced = {"x_cos_metadata_directive": "Replaced", "x_cos_tagging_directive": "Replaced"}
    copy(here, mine, source_of(theirs), x_cos_meta_here="1", **replaced).expect(200)
    got = get(here, mine).expect(200)
    assert got.headers["x-cos-meta-here"] == "1"
    assert "x-cos-meta-via" not in got.headers and "x-cos-tagging-count" not in got.headers


def test_a_multipart_object_keeps_its_entity_tag(here: Cosine, there: Cosine, buckets: tuple[str, str]) -> None:
    mine, theirs = buckets
    client = there.client(THERE)
    upload = client.create_multipart_upload(Bucket=theirs, Key="source")["UploadId"]
    parts = []
    for number, part in enumerate([LARGE[: 1 << 20], LARGE[1 << 20 :]], 1):
        tag = client.upload_part(Bucket=theirs, Key="source", UploadId=upload, PartNumber=number, Body=part)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    done = client.complete_multipart_upload(
        Bucket=theirs, Key="source", UploadId=upload, MultipartUpload={"Part": parts}
    )
    answer = copy(here, mine, source_of(theirs)).expect(200)
    assert answer.xml.findtext("ETag") == done["ETag"]
    assert get(here, mine).body == LARGE


def test_a_version_of_another_deployment(here: Cosine, there: Cosine, buckets: tuple[str, str]) -> None:
    mine, theirs = buckets
    there.client(THERE).put_bucket_versioning(Bucket=theirs, Status="Enabled")
    put = lambda body: there.send("PUT", "/source", bucket=theirs, region=THERE, body=body).expect(200)  # noqa: E731
    version = put(b"one").headers["x-cos-version-id"]
    put(b"two")
    answer = copy(here, mine, source_of(theirs) + f"?versionId={version}").expect(200)
    assert answer.headers["x-cos-copy-source-version-id"] == version
    assert get(here, mine).body == b"one"
    copy(here, mine, source_of(theirs)).expect(200)
    assert get(here, mine).body == b"two"
    there.send("DELETE", "/source", bucket=theirs, region=THERE).expect(204)
    copy(here, mine, source_of(theirs)).expect(404, "NoSuchKey")
    copy(here, mine, source_of(theirs) + "?versionId=nonsense").expect(404, "NoSuchVersion")


def test_a_part_of_an_object_of_another_deployment(here: Cosine, there: Cosine, buckets: tuple[str, str]) -> None:
    mine, theirs = buckets
    there.send("PUT", "/source", bucket=theirs, region=THERE, body=LARGE).expect(200)
    client = here.client(HERE)
    upload = client.create_multipart_upload(Bucket=mine, Key="copy")["UploadId"]
    source = {"Bucket": theirs, "Key": "source", "Region": THERE}
    ranges = ["bytes=5-1500004", "bytes=0-9"]
    parts = []
    for number, span in enumerate(ranges, 1):
        result = client.upload_part_copy(
            Bucket=mine, Key="copy", UploadId=upload, PartNumber=number, CopySource=source, CopySourceRange=span
        )
        parts.append({"PartNumber": number, "ETag": result["ETag"]})
    assert parts[0]["ETag"].strip('"') == md5_hex(LARGE[5:1_500_005])
    beyond = {"x-cos-copy-source": source_of(theirs), "x-cos-copy-source-range": "bytes=0-3000000"}
    query = {"partNumber": "3", "uploadId": upload}
    here.send("PUT", "/copy", bucket=mine, region=HERE, query=query, headers=beyond).expect(416, "InvalidRange")
    client.complete_multipart_upload(Bucket=mine, Key="copy", UploadId=upload, MultipartUpload={"Part": parts})
    assert body_of(client.get_object(Bucket=mine, Key="copy")) == LARGE[5:1_500_005] + LARGE[:10]


def test_c16_tags_are_those_of_the_version_that_is_copied(
    here: Cosine, there: Cosine, buckets: tuple[str, str]
) -> None:
    """Where they cannot be told, which COS's tagging does not do for a null version below others, nothing
    is copied: never a mix."""
    mine, theirs = buckets
    versioning = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"

    def put(which: str) -> str:
        headers = {"x-cos-tagging": f"which={which}"}
        answer = there.send("PUT", "/k", bucket=theirs, region=THERE, headers=headers, body=which.encode())
        return answer.expect(200).headers.get("x-cos-version-id", "null")

    def copied(version: str) -> tuple[bytes, list[str | None]]:
        copy(here, mine, source_of(theirs, "k") + f"?versionId={version}", "k").expect(200)
        got = here.send("GET", "/k", bucket=mine, region=HERE, query={"tagging": ""}).expect(200).xml
        return get(here, mine, "k").body, [tag.findtext("Value") for tag in got.iter("Tag")]

    put("null")
    assert copied("null") == (b"null", ["null"])
    there.send("PUT", bucket=theirs, region=THERE, query={"versioning": ""}, body=versioning).expect(200)
    first, second = put("first"), put("second")
    assert copied(first) == (b"first", ["first"])
    assert copied(second) == (b"second", ["second"])
    old = copy(here, mine, source_of(theirs, "k") + "?versionId=null", "k")
    old.expect(503, "ServiceUnavailable")
    assert get(here, mine, "k").body == b"second"
    tags = {"x-cos-tagging-directive": "Replaced"}
    headers = {"x-cos-copy-source": source_of(theirs, "k") + "?versionId=null", **tags}
    here.send("PUT", "/k", bucket=mine, region=HERE, headers=headers).expect(200)
    assert get(here, mine, "k").body == b"null"


KINDS = {"none": ({}, {}), "cos": ({SSE: "AES256"}, {}), "kms": ({SSE: "cos/kms"}, {}), "customer": (A.headers(), A.headers())}


def show(answer: Answer) -> str:
    """The kind of encryption that an answer names."""
    if f"{SSE}-customer-algorithm" in answer.headers:
        return "customer"
    return {None: "none", "AES256": "cos", "cos/kms": "kms"}[answer.headers.get(SSE)]


@pytest.mark.parametrize("kind", KINDS)
def test_encrypted_objects_of_another_deployment(
    here: Cosine, there: Cosine, buckets: tuple[str, str], kind: str
) -> None:
    """They become whatever is asked for here, whole and as a part; plain ones have their MD5 again."""
    mine, theirs = buckets
    there.send("PUT", "/source", bucket=theirs, region=THERE, headers=KINDS[kind][0], body=LARGE).expect(200)
    as_source = A.source_headers if kind == "customer" else {}
    for wanted, (asks, reads) in KINDS.items():
        fields = {"x-cos-copy-source": source_of(theirs), **as_source, **asks}
        made = here.send("PUT", "/copy", bucket=mine, region=HERE, headers=fields).expect(200)
        assert show(made) == wanted
        got = here.send("GET", "/copy", bucket=mine, region=HERE, headers=reads).expect(200)
        assert got.body == LARGE and show(got) == wanted
        assert got.headers["ETag"] == made.xml.findtext("ETag")
        assert (got.headers["ETag"] == quoted_md5(LARGE)) == (wanted in ("none", "cos"))
        begun = here.send("POST", "/parts", bucket=mine, region=HERE, query={"uploads": ""}, headers=asks).expect(200)
        query = {"partNumber": "1", "uploadId": str(begun.xml.findtext("UploadId"))}
        fields = {"x-cos-copy-source": source_of(theirs), "x-cos-copy-source-range": "bytes=65530-131080", **as_source}
        part = here.send("PUT", "/parts", bucket=mine, region=HERE, query=query, headers={**fields, **reads}).expect(200)
        listed = f"<Part><PartNumber>1</PartNumber><ETag>{part.xml.findtext('ETag')}</ETag></Part>"
        body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode()
        del query["partNumber"]
        here.send("POST", "/parts", bucket=mine, region=HERE, query=query, body=body).expect(200)
        got = here.send("GET", "/parts", bucket=mine, region=HERE, headers=reads).expect(200)
        assert got.body == LARGE[65530:131081] and show(got) == wanted


@pytest.mark.parametrize(("kind", "key"), [("customer", None), ("customer", B), ("none", A), ("cos", B)])
def test_the_key_of_a_source_in_another_deployment(
    here: Cosine, there: Cosine, buckets: tuple[str, str], kind: str, key: CustomerKey | None
) -> None:
    """What does not open is refused with its ordinary status, and nothing is made."""
    mine, theirs = buckets
    there.send("PUT", "/source", bucket=theirs, region=THERE, headers=KINDS[kind][0], body=LARGE).expect(200)
    fields = {"x-cos-copy-source": source_of(theirs), **(key.source_headers if key else {})}
    query = {"partNumber": "1", "uploadId": here.client(HERE).create_multipart_upload(Bucket=mine, Key="k")["UploadId"]}
    for answer in (
        here.send("PUT", "/k", bucket=mine, region=HERE, headers=fields),
        here.send("PUT", "/k", bucket=mine, region=HERE, query=query, headers=fields),
    ):
        assert answer.status == 400 and answer.xml.findtext("Code"), answer
    unknown = {"x-cos-copy-source": source_of(theirs), SSE: "cos/kms", KMS_KEY_ID: "none"}
    here.send("PUT", "/k", bucket=mine, region=HERE, headers=unknown).expect(400)
    assert here.send("HEAD", "/k", bucket=mine, region=HERE).status == 404


def test_a_customers_key_is_not_sent_on_without_tls(there: Cosine, tmp_path: Path) -> None:
    """Where keys of customers are taken over TLS only, they leave so too."""
    pair = make_pair(tmp_path)
    file = config(tmp_path, there.port)
    file.write_text("customer_keys_need_tls = true\n" + file.read_text())
    arguments = [*serve_arguments(tmp_path / "data"), "--config", str(file), "--regions", HERE]
    bucket, theirs = unique_bucket(), unique_bucket()
    there.send("PUT", bucket=theirs, region=THERE).expect(200)
    there.send("PUT", "/source", bucket=theirs, region=THERE, headers=A.headers(), body=b"x").expect(200)
    env = {**pair.settings, "COSINE_REGIONS": ""}
    with Cosine(*arguments, cwd=tmp_path, env=env, secret_key=SECRET_KEY) as here:
        client = here.client(HERE, Scheme="https", VerifySSL=str(pair.cert))
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="own", Body=b"x", **A.options())
        source = {"Bucket": theirs, "Key": "source", "Region": THERE}
        with pytest.raises(CosServiceError) as refused:
            client.copy_object(Bucket=bucket, Key="k", CopySource=source, **A.options("CopySource"))
        assert (refused.value.get_status_code(), refused.value.get_error_code()) == (400, "InvalidRequest")
        assert "to other regions" in refused.value.get_error_msg()


def test_c152_refusals_have_their_ordinary_status(here: Cosine, there: Cosine, buckets: tuple[str, str]) -> None:
    """C152: what the other deployment refuses is refused before anything is written."""
    mine, theirs = buckets
    archived = {"x-cos-storage-class": "ARCHIVE"}
    there.send("PUT", "/source", bucket=theirs, region=THERE, body=b"x").expect(200)
    there.send("PUT", "/archived", bucket=theirs, region=THERE, headers=archived, body=b"x").expect(200)
    copy(here, mine, source_of(theirs, "missing")).expect(404, "NoSuchKey")
    copy(here, mine, source_of(unique_bucket())).expect(404, "NoSuchBucket")
    copy(here, mine, source_of(theirs, "archived")).expect(403, "InvalidObjectState")
    copy(here, mine, source_of(theirs), x_cos_copy_source_if_match='"other"').expect(412, "PreconditionFailed")
    here.send("PUT", "/old", bucket=mine, region=HERE, body=b"kept").expect(200)
    guarded = copy(here, mine, source_of(theirs), "old", x_cos_forbid_overwrite="true")
    guarded.expect(409, "FileAlreadyExists")
    get(here, mine).expect(404, "NoSuchKey")
    assert get(here, mine, "old").body == b"kept"


def test_the_credential_of_the_configuration_is_the_owner_s(here: Cosine, there: Cosine) -> None:
    """Whoever may write into a bucket here may not read everything there."""
    mine, theirs = unique_bucket(), unique_bucket()
    open_to_all = {"x-cos-acl": "public-read-write"}
    here.send("PUT", bucket=mine, region=HERE, headers=open_to_all).expect(200)
    there.send("PUT", bucket=theirs, region=THERE).expect(200)
    there.send("PUT", "/source", bucket=theirs, region=THERE, body=b"secret").expect(200)
    headers = {"x-cos-copy-source": source_of(theirs)}
    answer = here.send("PUT", "/copy", bucket=mine, region=HERE, headers=headers, auth=None)
    answer.expect(403, "AccessDenied")
    get(here, mine).expect(404, "NoSuchKey")
    # Nor may another account, into a bucket of its own.
    other = here.admin("account", "add", "--appid", "1250000055", "--uin", "100000000055")
    keys = {"secret_id": other["secret_id"], "secret_key": other["secret_key"]}
    its = f"{mine.split('-')[0]}-1250000055"
    sign = lambda path, headers: authorization("PUT", path, headers=headers, **keys)
    host = {"host": bucket_host(its, HERE)}
    here.send("PUT", bucket=its, region=HERE, auth=sign("/", host)).expect(200)
    signed = sign("/copy", {**host, **headers})
    here.send("PUT", "/copy", bucket=its, region=HERE, headers=headers, auth=signed).expect(403, "AccessDenied")


def test_no_bucket_is_made_in_another_deployment_s_region(here: Cosine) -> None:
    here.send("PUT", bucket=unique_bucket(), region=THERE).expect(400, "InvalidRegionName")


def test_a_region_that_cannot_be_reached(tmp_path: Path) -> None:
    """A clear error, and nothing made."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        with start(tmp_path / "data", HERE, "--config", str(config(tmp_path, port))) as cosine:
            mine = unique_bucket()
            cosine.send("PUT", bucket=mine, region=HERE).expect(200)
            answer = copy(cosine, mine, source_of(unique_bucket())).expect(503, "ServiceUnavailable")
            assert THERE in (answer.xml.findtext("Message") or "")
            get(cosine, mine).expect(404, "NoSuchKey")


def test_a_credential_that_is_refused_there(there: Cosine, tmp_path: Path) -> None:
    with start(tmp_path / "data", HERE, "--config", str(config(tmp_path, there.port, "wrong"))) as cosine:
        mine = unique_bucket()
        cosine.send("PUT", bucket=mine, region=HERE).expect(200)
        copy(cosine, mine, source_of(unique_bucket())).expect(403, "AccessDenied")


@contextmanager
def impostor(answer: bytes) -> Iterator[int]:
    """A server that reads a request and sends these bytes, whatever was asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65536)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def head(length: int, crc64: int = 0) -> bytes:
    return (
        f'HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nETag: "{"0" * 32}"\r\n'
        f"Last-Modified: Fri, 10 Apr 2020 18:20:30 GMT\r\nx-cos-hash-crc64ecma: {crc64}\r\n\r\n"
    ).encode()


CUT = head(1_000_000) + b"x" * 1000
WRONG = head(5, crc64=1) + b"hello"


@pytest.mark.parametrize("answer", [CUT, WRONG], ids=["cut", "other-bytes"])
def test_c152_an_object_that_does_not_arrive(tmp_path: Path, answer: bytes) -> None:
    """C152: the answer had begun, so the error is within the 200; nothing is visible."""
    with impostor(answer) as port, start(tmp_path / "data", HERE, "--config", str(config(tmp_path, port))) as cosine:
        mine = unique_bucket()
        cosine.send("PUT", bucket=mine, region=HERE).expect(200)
        told = copy(cosine, mine, source_of(unique_bucket())).expect(200)
        assert told.code == "ServiceUnavailable"
        get(cosine, mine).expect(404, "NoSuchKey")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"nonsense\r\n\r\n"])
def test_an_answer_that_is_none(tmp_path: Path, answer: bytes) -> None:
    with impostor(answer) as port, start(tmp_path / "data", HERE, "--config", str(config(tmp_path, port))) as cosine:
        mine = unique_bucket()
        cosine.send("PUT", bucket=mine, region=HERE).expect(200)
        copy(cosine, mine, source_of(unique_bucket())).expect(503, "ServiceUnavailable")
