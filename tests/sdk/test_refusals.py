"""What Cosine does not do yet is refused, never ignored; what is broken gets a 4xx.

An ignored encryption header would store plaintext behind a 200.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import time
from collections.abc import Iterator

import pytest

from harness import Answer, Server, bucket_host, list_keys, read_answer

DATA = b"unchanged"
@pytest.fixture
def with_object(server: Server, bucket: str) -> str:
    """A bucket with one object ``k``."""
    server.send("PUT", "/k", bucket=bucket, body=DATA).expect(200)
    return bucket


# --- not built yet ---------------------------------------------------------------------

@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"x-cos-tagging": "k=v"}, id="tags"),
    ],
)
def test_bucket_with_an_unbuilt_header(server: Server, new_bucket_name: str, headers: dict[str, str]) -> None:
    server.send("PUT", bucket=new_bucket_name, headers=headers).expect(501, "NotImplemented")
    assert server.send("HEAD", bucket=new_bucket_name).status == 404


@pytest.mark.parametrize("name", ["versionId", "VersionId", "versionid"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_a_version_is_not_ignored(server: Server, with_object: str, method: str, name: str) -> None:
    """Deleting one version, which does not exist, must not delete the object."""
    query = {name: "MTg0NDUxNTc0NDYyMjQ2MzUzMjQ"}
    answer = server.send(method, "/k", bucket=with_object, query=query)
    assert answer.status == (204 if method == "DELETE" else 404)
    if method == "GET":
        assert answer.code == "NoSuchVersion"
    assert server.send("GET", "/k", bucket=with_object).expect(200).body == DATA


def test_an_empty_version_is_none(server: Server, with_object: str) -> None:
    assert server.send("GET", "/k", bucket=with_object, query={"versionId": ""}).expect(200).body == DATA


def test_a_version_in_a_mass_deletion(server: Server, with_object: str) -> None:
    """What is not there is as good as deleted; the object stays."""
    body = b"<Delete><Object><Key>k</Key><VersionId>MTg0NDUxNTc0NDYyMjQ2MzUzMjQ</VersionId></Object></Delete>"
    answer = post_delete(server, with_object, body).expect(200)
    assert answer.xml.findtext("Deleted/VersionId") == "MTg0NDUxNTc0NDYyMjQ2MzUzMjQ"
    assert server.send("GET", "/k", bucket=with_object).expect(200).body == DATA


UNBUILT_REQUESTS = {
    "select": ("POST", "/k", {"select": "", "select-type": "2"}, b"<SelectRequest/>"),
    "retention": ("PUT", "/k", {"retention": ""}, b"<Retention/>"),
    "put-lifecycle": ("PUT", "/", {"lifecycle": ""}, b"<LifecycleConfiguration/>"),
    "put-website": ("PUT", "/", {"website": ""}, b"<WebsiteConfiguration/>"),
}


@pytest.mark.parametrize("request_line", UNBUILT_REQUESTS.values(), ids=UNBUILT_REQUESTS.keys())
def test_an_unbuilt_operation(
    server: Server, with_object: str, request_line: tuple[str, str, dict[str, str], bytes]
) -> None:
    """501 NotImplemented; above all, a sub-resource is never taken for the object itself."""
    method, path, query, body = request_line
    headers = {}
    if body:
        headers["Content-MD5"] = base64.b64encode(hashlib.md5(body).digest()).decode()
    answer = server.send(method, path, bucket=with_object, query=query, headers=headers, body=body)
    answer.expect(501, "NotImplemented")
    assert list_keys(server, with_object) == ["k"]
    assert server.send("GET", "/k", bucket=with_object).body == DATA


@pytest.mark.parametrize("method", ["PUT", "COPY"])
@pytest.mark.parametrize("storage_class", ["COLDEST", "STANDARD_", "1", "STANDARD, ARCHIVE"])
def test_c87_an_unknown_storage_class(server: Server, with_object: str, method: str, storage_class: str) -> None:
    """C87: 400, not 501: nobody will ever build it."""
    headers = {"x-cos-storage-class": storage_class}
    if method == "COPY":
        headers["x-cos-copy-source"] = f"{bucket_host(with_object)}/k"
    answer = server.send("PUT", "/new", bucket=with_object, headers=headers)
    answer.expect(400, "InvalidArgument", "NotSupportedStorageClass")
    assert list_keys(server, with_object) == ["k"]


@pytest.mark.parametrize("acl", ["public-read-write", "nonsense"])
def test_an_object_acl_that_does_not_exist(server: Server, bucket: str, acl: str) -> None:
    answer = server.send("PUT", "/k", bucket=bucket, headers={"x-cos-acl": acl}, body=b"x")
    answer.expect(400, "InvalidArgument")
    assert list_keys(server, bucket) == []


def test_an_encryption_header_on_a_read(server: Server, with_object: str) -> None:
    answer = server.send("GET", "/k", bucket=with_object, headers={"x-cos-server-side-encryption": "AES256"})
    answer.expect(400, "SSEHeaderNotAllowed")


# --- configurations that are not set ------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "codes"),
    [
        ({"cors": ""}, ("NoSuchCORSConfiguration",)),
        ({"lifecycle": ""}, ("NoSuchLifecycleConfiguration",)),
        ({"policy": ""}, ("NoSuchPolicyVersion", "NoSuchPolicy")),
        ({"replication": ""}, ("ReplicationConfigurationNotFoundError",)),
        ({"tagging": ""}, ("NoSuchTagSet",)),
        ({"website": ""}, ("NoSuchWebsiteConfiguration",)),
        ({"inventory": "", "id": "one"}, ("InventoryConfigurationNotFoundError",)),
        ({"domain": ""}, ("DomainConfigNotFoundError",)),
        ({"encryption": ""}, ("NoSuchEncryptionConfiguration",)),
        ({"origin": ""}, ("OriginConfigurationNotFoundError",)),
        ({"intelligent-tiering": "", "id": "one"}, ("IntelligentTieringConfigurationNotFoundError",)),
        ({"object-lock": ""}, ("NoSuchObjectLockConfiguration",)),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_a_configuration_that_is_not_set(
    server: Server, bucket: str, query: dict[str, str], codes: tuple[str, ...]
) -> None:
    """SDKs probe these and take exactly these codes for "none"."""
    server.send("GET", bucket=bucket, query=query).expect(404, *codes)


@pytest.mark.parametrize(
    ("name", "root"),
    [
        ("referer", "RefererConfiguration"),
        ("versioning", "VersioningConfiguration"),
        ("logging", "BucketLoggingStatus"),
        ("intelligenttiering", "IntelligentTieringConfiguration"),
        ("accelerate", "AccelerateConfiguration"),
    ],
)
def test_a_configuration_that_is_empty(server: Server, bucket: str, name: str, root: str) -> None:
    answer = server.send("GET", bucket=bucket, query={name: ""}).expect(200)
    assert answer.xml.tag == root
    assert len(answer.xml) == 0 and not (answer.xml.text or "").strip()


@pytest.mark.parametrize("name", ["cors", "versioning", "tagging"])
def test_a_configuration_of_an_absent_bucket(server: Server, new_bucket_name: str, name: str) -> None:
    """A missing bucket is not a bucket without configuration."""
    server.send("GET", bucket=new_bucket_name, query={name: ""}).expect(404, "NoSuchBucket")


def test_a_configuration_is_not_for_everyone(server: Server, bucket: str) -> None:
    server.send("GET", bucket=bucket, query={"policy": ""}, auth=None).expect(403, "AccessDenied")


# --- XML that attacks ------------------------------------------------------------------------


def post_delete(server: Server, bucket: str, body: bytes) -> Answer:
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    return server.send("POST", bucket=bucket, query={"delete": ""}, headers=headers, body=body)


def billion_laughs() -> bytes:
    entities = ['<!ENTITY l0 "lol">']
    for level in range(1, 10):
        entities.append(f'<!ENTITY l{level} "' + f"&l{level - 1};" * 10 + '">')
    return ("<!DOCTYPE Delete [" + "".join(entities) + "]><Delete><Object><Key>&l9;</Key></Object></Delete>").encode()


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(billion_laughs(), id="billion-laughs"),
        pytest.param(
            b'<!DOCTYPE Delete [<!ENTITY f SYSTEM "file:///etc/hostname">]>'
            b"<Delete><Object><Key>&f;</Key></Object></Delete>",
            id="external-entity",
        ),
        pytest.param(b"<Delete><Object><Key>&undefined;</Key></Object></Delete>", id="undefined-entity"),
        pytest.param(b"<a>" * 200_000, id="deep"),
        pytest.param(b"<Delete " + b'a="1" ' * 100_000 + b"/>", id="attributes"),
    ],
)
def test_hostile_xml(server: Server, with_object: str, body: bytes) -> None:
    """A 4xx error document within seconds, and nothing is deleted."""
    started = time.monotonic()
    answer = post_delete(server, with_object, body)
    assert time.monotonic() - started < 5
    assert 400 <= answer.status < 500 and answer.code
    assert list_keys(server, with_object) == ["k"]


def test_a_hundred_megabytes_of_xml(server: Server, with_object: str) -> None:
    """Refused quickly and without growing."""
    piece = b"<Object><Key>" + b"k" * 1000 + b"</Key></Object>\n"
    body = b"<Delete>" + piece * (100_000_000 // len(piece)) + b"</Delete>"
    before = server.peak_memory()
    started = time.monotonic()
    answer = post_delete(server, with_object, body)
    assert time.monotonic() - started < 10
    answer.expect(400, "XMLSizeLimit", "MalformedXML", "EntityTooLarge")
    assert server.peak_memory() - before < 64 << 20
    assert list_keys(server, with_object) == ["k"]


def test_a_hundred_megabytes_of_chunked_xml(server: Server, with_object: str) -> None:
    """Without a length to look at, the limit must hold while reading."""
    piece = b"<Object><Key>" + b"k" * 1000 + b"</Key></Object>\n"

    def body() -> Iterator[bytes]:
        yield b"<Delete>"
        for _ in range(1000):
            yield piece * 100

    before = server.peak_memory()
    headers = {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="}
    answer = server.send("POST", bucket=with_object, query={"delete": ""}, headers=headers, body=body())
    assert 400 <= answer.status < 500 and answer.code
    assert server.peak_memory() - before < 64 << 20
    assert list_keys(server, with_object) == ["k"]


# --- headers and lengths that do not fit ---------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "PUT"])
@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"x-pad": "p" * 65536}, id="one-header"),
        pytest.param({f"x-pad-{number}": "p" * 1000 for number in range(65)}, id="many-headers"),
        pytest.param({f"x-pad-{number}": "p" * 64 for number in range(900)}, id="hundreds-of-headers"),
        pytest.param({"x-cos-meta-pad": "p" * 65536}, id="metadata"),
    ],
)
def test_a_header_block_of_64_kib(server: Server, with_object: str, method: str, headers: dict[str, str]) -> None:
    """A 4xx with an error document; the server goes on serving."""
    answer = server.send(method, "/new", bucket=with_object, headers=headers)
    assert 400 <= answer.status < 500
    assert answer.code
    assert answer.code not in ("NoSuchKey", "SignatureDoesNotMatch"), "the block was read as if it were fine"
    assert list_keys(server, with_object) == ["k"]


def test_a_request_line_of_60_kib(server: Server, with_object: str) -> None:
    server.send("GET", "/" + "k" * 60000, bucket=with_object).expect(400, "KeyTooLong")
    assert list_keys(server, with_object) == ["k"]


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        pytest.param("/" + "k" * 65536, {}, id="request-line"),
        pytest.param("/k", {f"x-pad-{number}": "p" for number in range(3000)}, id="headers"),
    ],
)
def test_what_the_protocol_layer_cannot_take(
    server: Server, with_object: str, path: str, headers: dict[str, str]
) -> None:
    """Beyond the bounds of HTTP itself there is a bare 4xx, and the server goes on serving."""
    answer = server.send("GET", path, bucket=with_object, headers=headers)
    assert 400 <= answer.status < 500
    assert list_keys(server, with_object) == ["k"]


def torn(server: Server, head: bytes, body: bytes) -> Answer | None:
    """Send part of an upload, end the stream, and wait until the server is done with it."""
    with server.connect() as sock:
        sock.sendall(head + body)
        sock.shutdown(socket.SHUT_WR)
        try:
            return read_answer(sock, "PUT")
        except (ConnectionError, OSError):
            return None


@pytest.mark.parametrize("size", [0, 1, 1000, 70_000, 2_000_000])
@pytest.mark.parametrize("key", ["k", "new"], ids=["overwrite", "new"])
def test_a_cut_off_upload(server: Server, with_object: str, key: str, size: int) -> None:
    """Fewer bytes than promised: no object, no partial object, the old one whole."""
    headers = {"Content-Length": str(size + 100_000)}
    head = server.head_bytes("PUT", "/" + key, host=bucket_host(with_object), headers=headers)
    answer = torn(server, head, b"x" * size)
    assert answer is None or 400 <= answer.status < 500
    assert list_keys(server, with_object) == ["k"]
    assert server.send("GET", "/k", bucket=with_object).body == DATA


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="no-chunk"),
        pytest.param(b"5\r\nhello\r\n", id="no-last-chunk"),
        pytest.param(b"5\r\nhel", id="inside-a-chunk"),
        pytest.param(b"5\r\nhello\r\n0\r\n", id="no-last-line"),
        pytest.param(b"zz\r\nhello\r\n0\r\n\r\n", id="bad-size"),
        pytest.param(b"11170\r\n" + b"x" * 70_000 + b"\r\n", id="large"),
    ],
)
def test_a_cut_off_chunked_upload(server: Server, with_object: str, body: bytes) -> None:
    headers = {"Transfer-Encoding": "chunked"}
    for key in ("k", "new"):
        head = server.head_bytes("PUT", "/" + key, host=bucket_host(with_object), headers=headers)
        answer = torn(server, head, body)
        assert answer is None or 400 <= answer.status < 500
    assert list_keys(server, with_object) == ["k"]
    assert server.send("GET", "/k", bucket=with_object).body == DATA


def test_more_bytes_than_the_length_says(server: Server, bucket: str) -> None:
    """The surplus is not part of the object."""
    head = server.head_bytes(
        "PUT", "/k", host=bucket_host(bucket), headers={"Content-Length": "5", "Connection": "close"}
    )
    with server.connect() as sock:
        sock.sendall(head + b"helloSURPLUS")
        read_answer(sock, "PUT").expect(200)
    assert server.send("GET", "/k", bucket=bucket).expect(200).body == b"hello"


@pytest.mark.parametrize("length", ["five", "-1", "5, 6", "0x5", "99999999999999999999999"])
def test_a_length_that_is_no_number(server: Server, bucket: str, length: str) -> None:
    head = server.head_bytes("PUT", "/k", host=bucket_host(bucket), headers={"Content-Length": length})
    answer = torn(server, head, b"hello")
    assert answer is None or 400 <= answer.status < 500
    assert list_keys(server, bucket) == []


def test_an_object_over_five_gibibytes(server: Server, bucket: str) -> None:
    """400 EntityTooLarge from the length alone: nobody has to send it."""
    headers = {"Content-Length": str(5 * 1024**3 + 1)}
    head = server.head_bytes("PUT", "/k", host=bucket_host(bucket), headers=headers)
    with server.connect() as sock:
        sock.sendall(head)
        read_answer(sock, "PUT").expect(400, "EntityTooLarge")
    assert list_keys(server, bucket) == []


@pytest.mark.parametrize("method", ["PATCH", "TRACE", "BREW"])
def test_unknown_methods(server: Server, with_object: str, method: str) -> None:
    answer = server.send(method, "/k", bucket=with_object)
    assert answer.status in (400, 405, 501) and answer.code
    assert server.send("GET", "/k", bucket=with_object).body == DATA


# --- what other dialects and other operations would understand -----------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"x-amz-copy-source": "/b-1/k"},
        {"x-amz-server-side-encryption": "AES256"},
        {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "Content-Encoding": "aws-chunked"},
        {"Content-Encoding": "aws-chunked"},
        {"If-None-Match": "*"},
        {"If-Match": '"x"'},
        {"If-Unmodified-Since": "Fri, 10 Apr 2020 18:20:30 GMT"},
    ],
    ids=lambda headers: "+".join(headers),
)
def test_writes_with_foreign_headers(server: Server, with_object: str, headers: dict[str, str]) -> None:
    """Refused, never ignored: the object stays as it is."""
    before = server.send("GET", "/k", bucket=with_object).expect(200).body
    server.send("PUT", "/k", bucket=with_object, headers=headers, body=b"other").expect(501, "NotImplemented")
    assert server.send("GET", "/k", bucket=with_object).expect(200).body == before


@pytest.mark.parametrize("name", ["requestPayment", "notification", "publicAccessBlock", "list-type"])
def test_unknown_sub_resources_of_a_bucket(server: Server, with_object: str, name: str) -> None:
    """A listing is no answer to them."""
    server.send("GET", "/", bucket=with_object, query={name: ""}).expect(501, "NotImplemented")


@pytest.mark.parametrize("name", ["x-cos-acl", "x-cos-forbid-overwrite", "x-cos-storage-class"])
def test_headers_that_are_no_text(server: Server, with_object: str, name: str) -> None:
    """A value that cannot be read is not taken for an absent one."""
    headers = {name: "tru\u00e9".encode()}
    server.send("PUT", "/new", bucket=with_object, headers=headers, body=b"x").expect(400, "InvalidArgument")
    assert list_keys(server, with_object) == ["k"]
