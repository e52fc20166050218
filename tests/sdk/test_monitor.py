"""Metrics, health and logs, as those see them who watch the server."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import resource
import signal
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from subprocess import run
from urllib.parse import urlsplit

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from qcloud_cos.cos_exception import CosServiceError

from harness import SECRET_ID, SECRET_KEY, Answer, bucket_host, read_answer, read_interim, unique_bucket
from program import KEYS, Cosine, serve_arguments

DEADLINE = 20.0

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Watched(Cosine):
    """A server with a monitor."""

    def __init__(self, data: Path, *arguments: str) -> None:
        more = ["--monitor", "127.0.0.1:0", *arguments]
        super().__init__(*serve_arguments(data), *more, cwd=data.parent, env=KEYS, secret_key=SECRET_KEY)
        self.monitor = urlsplit(self.shown("Monitor")).netloc

    def ask(self, path: str, method: str = "GET") -> Answer:
        """One request to the monitor."""
        connection = HTTPConnection(self.monitor, timeout=DEADLINE)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def samples(self) -> Samples:
        """The metrics, read by the official parser, which is strict."""
        answer = self.ask("/metrics").expect(200)
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
        families = text_string_to_metric_families(answer.body.decode())
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def logged(self) -> list[dict[str, object]]:
        """The log, where it is JSON: every line must be an object.

        What was logged under a limit on files was cut, and stands before the next line."""
        return [json.loads(line[line.index('{"') :]) for line in self.log().splitlines()]


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"cosine_{name}", frozenset(labels.items())


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def cosine(data: Path) -> Iterator[Watched]:
    with Watched(data) as cosine:
        yield cosine


def test_requests_are_counted_by_operation_status_and_code(cosine: Watched) -> None:
    """What was asked is what is shown, and nothing else, also to whoever looks right after the answer."""
    client, bucket = cosine.client(), unique_bucket()
    client.create_bucket(Bucket=bucket)
    for name in ("a", "b", "c"):
        client.put_object(Bucket=bucket, Key=name, Body=b"x" * 1000)
    client.copy_object(Bucket=bucket, Key="d", CopySource={"Bucket": bucket, "Key": "a", "Region": "ap-guangzhou"})
    assert client.get_object(Bucket=bucket, Key="a")["Body"].get_raw_stream().read() == b"x" * 1000
    client.get_object(Bucket=bucket, Key="a", Range="bytes=0-9")["Body"].get_raw_stream().read()
    with pytest.raises(CosServiceError):
        client.get_object(Bucket=bucket, Key="missing")
    cosine.send("GET", "/a", bucket=bucket, auth=None).expect(403, "AccessDenied")
    cosine.send("PATCH", "/a", bucket=bucket).expect(405, "MethodNotAllowed")
    client.delete_object(Bucket=bucket, Key="d")

    samples = cosine.samples()
    requests = {labels: value for (name, labels), value in samples.items() if name == "cosine_http_requests_total"}
    assert requests == {
        frozenset({("operation", operation), ("status", status), ("code", code)}): count
        for operation, status, code, count in [
            ("PutBucket", "200", "OK", 1),
            ("PutObject", "200", "OK", 3),
            ("PutObjectCopy", "200", "OK", 1),
            ("GetObject", "200", "OK", 1),
            ("GetObject", "206", "OK", 1),
            ("GetObject", "404", "NoSuchKey", 1),
            ("GetObject", "403", "AccessDenied", 1),
            ("DeleteObject", "204", "OK", 1),
            ("Unrouted", "405", "MethodNotAllowed", 1),
        ]
    }
    assert samples[key("http_request_body_bytes_total", operation="PutObject")] == 3000
    assert samples[key("http_request_body_bytes_total", operation="GetObject")] == 0
    assert samples[key("http_request_duration_seconds_count", operation="PutObject")] == 3
    assert samples[key("http_request_duration_seconds_bucket", operation="GetObject", le="+Inf")] == 4
    # Three objects, a copy, a bucket, a deletion, and what a start writes.
    assert samples[key("kv_commits_total")] >= 6
    assert samples[key("kv_sync_seconds_count")] == samples[key("kv_batch_commits_count")] > 0
    assert samples[key("kv_poisoned")] == 0
    assert samples[key("ready")] == 1
    assert samples[("process_resident_memory_bytes", frozenset())] > 1 << 20

    before = samples[key("http_response_body_bytes_total", operation="GetObject")]
    client.get_object(Bucket=bucket, Key="b")["Body"].get_raw_stream().read()
    after = cosine.samples()[key("http_response_body_bytes_total", operation="GetObject")]
    assert after - before == 1000


def test_what_is_under_way_is_counted_while_it_is(cosine: Watched) -> None:
    """An upload that hangs is under way; when its client goes away it ends, and is counted as such."""
    bucket = unique_bucket()
    cosine.send("PUT", bucket=bucket).expect(200)
    headers = {"Content-Length": "100000", "Expect": "100-continue"}
    head = cosine.head_bytes("PUT", "/k", host=bucket_host(bucket), headers=headers)
    with cosine.connect() as sock:
        sock.sendall(head)
        read_interim(sock)
        samples = cosine.samples()
        assert samples[key("http_requests_under_way")] == 1
        assert samples[key("http_connections_open")] == 1
        sock.sendall(b"x" * 1000)
    abandoned = key("http_requests_total", operation="PutObject", status="499", code="ClientClosedRequest")
    refused = key("http_requests_total", operation="PutObject", status="400", code="IncompleteBody")
    deadline = time.monotonic() + DEADLINE
    while (samples := cosine.samples())[key("http_requests_under_way")] or samples[key("http_connections_open")]:
        assert time.monotonic() < deadline, samples
    assert samples.get(abandoned, 0) + samples.get(refused, 0) == 1
    assert samples[key("http_request_body_bytes_total", operation="PutObject")] == 1000


def test_health_on_both_listeners(cosine: Watched) -> None:
    """Anyone may ask, unsigned; what is not known is not found."""
    for path, said in [("/-/healthy", b"healthy\n"), ("/-/ready", b"ready\n")]:
        for answer in (cosine.ask(path), cosine.send("GET", path, auth=None)):
            assert answer.expect(200).body == said
            assert answer.headers["Content-Type"].startswith("text/plain")
        assert cosine.ask(path, "HEAD").expect(200).body == b""
        assert cosine.send("HEAD", path, auth=None).status == 200
        assert cosine.send("GET", path, host="service.cos.myqcloud.com", auth=None).expect(200).body == said
        # Only reading is answered: whatever else is asked there is the API's, which has no such bucket.
        cosine.send("PUT", path).expect(400, "InvalidBucketName")
    cosine.send("GET", "/-/other", auth=None).expect(400, "InvalidBucketName")
    for path in ("/-/metrics", "/metrics"):
        assert cosine.ask(path).expect(200).body.endswith(b"# EOF\n")
        cosine.send("GET", path, auth=None).expect(400, "InvalidBucketName")
    cosine.ask("/").expect(404)
    cosine.ask("/metrics", "POST").expect(404)


def test_on_the_host_of_a_bucket_the_paths_are_keys(cosine: Watched) -> None:
    """An object may be called what the server calls its own pages."""
    bucket = unique_bucket()
    host = bucket_host(bucket)
    cosine.send("PUT", bucket=bucket).expect(200)
    for path in ("/-/ready", "/-/healthy", "/-/metrics", "/metrics"):
        cosine.send("GET", path, host=host, auth=None).expect(403, "AccessDenied")
        cosine.send("GET", path, host=host).expect(404, "NoSuchKey")
        cosine.send("PUT", path, host=host, body=path.encode()).expect(200)
        assert cosine.send("GET", path, host=host).expect(200).body == path.encode()
        in_path_style = cosine.send("GET", f"/{bucket}{path}")
        assert in_path_style.expect(200).body == path.encode()
    listed = cosine.client().list_objects(Bucket=bucket)["Contents"]
    assert [entry["Key"] for entry in listed] == ["-/healthy", "-/metrics", "-/ready", "metrics"]


def test_a_poisoned_server_is_healthy_and_not_ready(data: Path) -> None:
    """It serves reads, so it shall not be killed; it takes no writes, so none shall be sent to it.

    What is logged of a write that is refused carries the id that its client was given."""
    bucket = unique_bucket()
    with Watched(data, "--log-format", "json") as cosine:
        cosine.send("PUT", bucket=bucket).expect(200)
        cosine.send("PUT", "/kept", bucket=bucket, body=b"kept").expect(200)
        unlimited = resource.prlimit(cosine.process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        cosine.send("PUT", "/lost", bucket=bucket, body=b"lost").expect(503, "ServiceUnavailable")
        resource.prlimit(cosine.process.pid, resource.RLIMIT_FSIZE, unlimited)
        late = cosine.send("PUT", "/late", bucket=bucket, body=b"late").expect(503, "ServiceUnavailable")
        for answer in (cosine.ask("/-/ready"), cosine.send("GET", "/-/ready", auth=None)):
            assert answer.expect(503).body == b"the store is read-only after a failed sync: restart to recover\n"
        cosine.ask("/-/healthy").expect(200)
        samples = cosine.samples()
        assert samples[key("kv_poisoned")] == 1
        assert samples[key("ready")] == 0
        # The deletions of a request run in tasks of their own.
        document = b"<Delete><Object><Key>kept</Key></Object></Delete>"
        digest = {"Content-MD5": base64.b64encode(hashlib.md5(document).digest()).decode()}
        deleted = cosine.send("POST", bucket=bucket, query={"delete": ""}, headers=digest, body=document)
        assert deleted.expect(200).xml.findtext("Error/Code") == "ServiceUnavailable"
        refusals = [line for line in cosine.logged() if line.get("message") == "the store refuses writes"]
        assert [line["level"] for line in refusals] == ["ERROR", "ERROR"]
        ids = [late.headers["x-cos-request-id"], deleted.headers["x-cos-request-id"]]
        assert [line["span"] for line in refusals] == [{"name": "request", "request_id": id} for id in ids]


def test_a_stopping_server_is_not_ready_and_watched_to_its_end(cosine: Watched) -> None:
    """While requests under way finish, whoever sends work is told to send it elsewhere."""
    bucket = unique_bucket()
    cosine.send("PUT", bucket=bucket).expect(200)
    headers = {"Content-Length": "4", "Expect": "100-continue"}
    head = cosine.head_bytes("PUT", "/k", host=bucket_host(bucket), headers=headers)
    with cosine.connect() as sock:
        sock.sendall(head)
        read_interim(sock)
        cosine.ask("/-/ready").expect(200)
        cosine.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + DEADLINE
        while (answer := cosine.ask("/-/ready")).status == 200:
            assert time.monotonic() < deadline
        assert answer.expect(503).body == b"stopping: requests under way finish\n"
        cosine.ask("/-/healthy").expect(200)
        assert cosine.samples()[key("ready")] == 0
        sock.sendall(b"last")
        assert read_answer(sock, "PUT").status == 200
    assert cosine.process.wait(DEADLINE) == 0


def test_the_access_log_has_a_line_for_each_request(data: Path) -> None:
    """With the id that the client was given, and what was moved."""
    bucket = unique_bucket()
    with Watched(data, "--log", "info,access=debug", "--log-format", "json") as cosine:
        cosine.send("PUT", bucket=bucket).expect(200)
        put = cosine.send("PUT", "/a/b", bucket=bucket, body=b"x" * 1000).expect(200)
        got = cosine.send("GET", "/a/b", bucket=bucket, query={"response-expires": "never"}).expect(200)
        missing = cosine.send("GET", "/%", target="/%25", bucket=bucket).expect(404, "NoSuchKey")
        cosine.stop()
        lines = {line["request_id"]: line for line in cosine.logged() if line["target"] == "access"}
    assert len(lines) == 4
    fields = ("operation", "method", "path", "status", "code", "bytes_in", "bytes_out")
    for answer, expected in [
        (put, ("PutObject", "PUT", "/a/b", 200, "OK", 1000, 0)),
        (got, ("GetObject", "GET", "/a/b", 200, "OK", 0, 1000)),
        (missing, ("GetObject", "GET", "/%25", 404, "NoSuchKey", 0, len(missing.body))),
    ]:
        line = lines[answer.headers["x-cos-request-id"]]
        assert tuple(line[field] for field in fields) == expected
        assert line["level"] == "DEBUG"
        assert 0 < line["micros"] < DEADLINE * 1e6


def test_the_access_log_is_off_unless_it_is_asked_for(data: Path) -> None:
    with Watched(data) as cosine:
        cosine.send("GET").expect(200)
        cosine.stop()
        assert "GetService" not in cosine.log()


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_ever_logged(data: Path, form: str) -> None:
    """Not even by the libraries, at the level where everything is said, over either protocol."""
    bucket = unique_bucket()
    with Watched(data, "--log", "trace", "--log-format", form) as cosine:
        client = cosine.client()
        client.create_bucket(Bucket=bucket)
        client.put_object(Bucket=bucket, Key="k", Body=b"the body of an object")
        url = cosine.url_client().get_presigned_url(Bucket=bucket, Key="k", Method="GET")
        cosine.open_url("GET", url).expect(200)
        cosine.send("GET", "/k", bucket=bucket, auth="q-sign-algorithm=sha1&q-signature=0123abcd").expect(403)
        parts = urlsplit(url)
        target = f"http://{cosine.address}{parts.path}?{parts.query}"
        curl = ["curl", "-sS", "--http2-prior-knowledge", "-H", f"Host: {parts.netloc}", target]
        fetched = run(curl, capture_output=True, timeout=DEADLINE)
        assert fetched.stdout == b"the body of an object", fetched
        cosine.stop()
        log = cosine.log()
    assert "TRACE" in log and "GetObject" in log
    signature = re.search(r"q-signature=([0-9a-f]{40})", url)
    assert signature
    for secret in (SECRET_KEY, SECRET_ID, signature.group(1), "q-signature", "q-sign", "the body of"):
        assert secret not in log, secret
    if form == "json":
        assert all(json.loads(line) for line in log.splitlines())
