"""Versions, compared with a few lines of Python that say what a bucket with versions is.

Ids such as C31 are rows of the checklist of PUT Object - Copy.
"""

from __future__ import annotations

import base64
import hashlib
import random
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

import pytest
from qcloud_cos import CosS3Client, CosServiceError

from harness import (
    OTHER_REGION,
    REGION,
    Answer,
    Server,
    body_of,
    bucket_host,
    list_keys,
    quoted_md5,
    unique_bucket,
)
from program import run_cosine

ID = "x-cos-version-id"
MARKER = "x-cos-delete-marker"
SOURCE_ID = "x-cos-copy-source-version-id"
ID_FORM = re.compile(r"[A-Za-z0-9+/]{27}")
# Well formed, and older than any version here; and what is no id at all.
UNKNOWN = "MTg0NDUxNTc0NDYyMjQ2MzUzMjQ"
MALFORMED = ["x", "NULL", UNKNOWN + "=", UNKNOWN[:-1], "MTg0NDUxNTc0NDYyMjQ2MzUzMj!", "'", "版本"]
ENABLED, SUSPENDED = "Enabled", "Suspended"


# --- a model of a bucket with versions ---------------------------------------------------


@dataclass(frozen=True)
class Version:
    """One version of a key; a delete marker has no data."""

    key: str
    id: str
    data: bytes | None


@dataclass(frozen=True)
class Row:
    """One version as a list shows it; a delete marker has no ETag and no size."""

    key: str
    id: str
    latest: bool
    etag: str | None
    size: int | None


def source_of(bucket: str, key: str, version: str | None = None, region: str = REGION) -> str:
    """The value every official client sends."""
    suffix = "" if version is None else f"?versionId={version}"
    return f"{bucket_host(bucket, region)}/{quote(key.encode(), safe='/-_.~')}{suffix}"


def by_id(version: str | None) -> dict[str, str]:
    return {} if version is None else {"versionId": version}


def time_of(version: str) -> int:
    """Microseconds since 1970 in a version id, which must be of the documented form."""
    assert ID_FORM.fullmatch(version), version
    text = base64.b64decode(version + "=").decode()
    assert re.fullmatch(r"\d{20}", text), text
    assert base64.b64encode(text.encode()).decode() == version + "="
    return (1 << 64) - 1 - int(text)


@dataclass
class Space:
    """A bucket, and what must be in it: every operation checks its answer against the model."""

    server: Server
    bucket: str
    region: str = REGION
    state: str | None = None
    # The newest first.
    versions: dict[str, list[Version]] = field(default_factory=lambda: defaultdict(list))
    seen: set[str] = field(default_factory=set)

    def send(self, method: str, key: str = "", **options: object) -> Answer:
        return self.server.send(method, "/" + key, bucket=self.bucket, region=self.region, **options)

    def set_state(self, state: str) -> None:
        body = f"<VersioningConfiguration><Status>{state}</Status></VersioningConfiguration>".encode()
        self.send("PUT", query={"versioning": ""}, body=body).expect(200)
        self.state = state

    # --- the model ---

    def find(self, key: str, version: str | None = None) -> Version | None:
        """The version that is named, or the newest."""
        return next((held for held in self.versions[key] if version in (None, held.id)), None)

    def _push(self, key: str, version: str | None, data: bytes | None) -> str:
        """A new version on top; the null version gives way to a null version."""
        if self.state == ENABLED:
            assert version is not None and ID_FORM.fullmatch(version), version
            assert (key, version) not in self.seen, "an id was given out twice"
            self.seen.add((key, version))
        else:
            version = "null"
            self._drop(key, version)
        self.versions[key].insert(0, Version(key, version, data))
        return version

    def _drop(self, key: str, version: str) -> None:
        self.versions[key] = [held for held in self.versions[key] if held.id != version]

    def rows(self) -> list[Row]:
        """The whole list: keys in UTF-8 byte order, the newest version of each first."""
        return [
            Row(
                key,
                held.id if self.state else "",
                held is self.versions[key][0],
                None if held.data is None else quoted_md5(held.data),
                None if held.data is None else len(held.data),
            )
            for key in sorted(self.versions, key=str.encode)
            for held in self.versions[key]
        ]

    # --- operations ---

    def put(self, key: str, data: bytes, headers: dict[str, str] | None = None) -> str:
        answer = self.send("PUT", key, body=data, headers=headers).expect(200)
        assert answer.headers["ETag"] == quoted_md5(data)
        assert (answer.headers[ID] is not None) == (self.state == ENABLED), answer.headers[ID]
        return self._push(key, answer.headers[ID], data)

    def copy(
        self,
        key: str,
        target: str,
        version: str | None = None,
        headers: dict[str, str] | None = None,
        into: Space | None = None,
    ) -> str | None:
        """The id of the copy, if there must be one."""
        into = into or self
        fields = {"x-cos-copy-source": source_of(self.bucket, key, version, self.region), **(headers or {})}
        answer = into.send("PUT", target, headers=fields)
        source = self.find(key, version)
        if source is None or source.data is None:
            if version is None:
                answer.expect(404, "NoSuchKey")
            elif source is None:
                answer.expect(404, "NoSuchVersion")
            else:
                answer.expect(400, "InvalidRequest")
            return None
        if (into is self, key, version, headers) == (True, target, None, None):
            answer.expect(400, "InvalidRequest")
            return None
        answer.expect(200)
        assert answer.headers[SOURCE_ID] == version
        result = answer.xml
        nodes = ["ETag", "CRC64", "LastModified", *(["VersionId"] if into.state == ENABLED else [])]
        assert (result.tag, [node.tag for node in result]) == ("CopyObjectResult", nodes)
        assert result.findtext("ETag") == quoted_md5(source.data)
        return into._push(target, result.findtext("VersionId"), source.data)

    def delete(self, key: str) -> str | None:
        """The id of the delete marker, if there must be one."""
        answer = self.send("DELETE", key).expect(204)
        if self.state is None:
            assert (answer.headers[ID], answer.headers[MARKER]) == (None, None)
            self.versions[key].clear()
            return None
        assert answer.headers[MARKER] == "true"
        if self.state == SUSPENDED:
            assert answer.headers[ID] == "null"
        return self._push(key, answer.headers[ID], None)

    def remove(self, key: str, version: str) -> None:
        """Deletes for good."""
        gone = self.find(key, version)
        answer = self.send("DELETE", key, query={"versionId": version}).expect(204)
        if gone is not None and self.state is not None:
            assert answer.headers[ID] == version
        assert answer.headers[MARKER] == ("true" if gone is not None and gone.data is None else None)
        self._drop(key, version)

    # --- what must be true ---

    def look(self, key: str, version: str | None = None) -> None:
        """GET and HEAD of the current version, or of one that is named."""
        query = by_id(version)
        got, head = (self.send(method, key, query=query) for method in ("GET", "HEAD"))
        assert head.body == b""
        held = self.find(key, version)
        if held is not None and held.data is not None:
            assert got.expect(200).body == held.data
            head.expect(200)
            for name, value in {
                ID: held.id if self.state else None,
                MARKER: None,
                "ETag": quoted_md5(held.data),
                "Content-Length": str(len(held.data)),
            }.items():
                assert (got.headers[name], head.headers[name]) == (value, value), (key, version)
            return
        head.expect(404)
        if version is None:
            got.expect(404, "NoSuchKey")
            wanted = (None, None) if held is None else ("true", held.id)
            for answer in (got, head):
                assert (answer.headers[MARKER], answer.headers[ID]) == wanted, (key, version)
        elif held is None:
            got.expect(404, "NoSuchVersion")
            assert (got.headers[MARKER], head.headers[MARKER]) == (None, None)
        else:
            got.expect(405, "MethodNotAllowed")
            assert (got.headers[MARKER], head.headers[MARKER]) == ("true", "true")

    def look_at_all(self) -> None:
        """Every key, every version, and the two lists."""
        for key, held in list(self.versions.items()):
            self.look(key)
            for version in held:
                self.look(key, version.id)
        self.check_lists()

    def check_lists(self, max_keys: int | None = None) -> None:
        rows = self.rows()
        entries, common = walk(self, max_keys=max_keys)
        assert (entries, common) == (rows, [])
        for key, held in self.versions.items():
            times = [time_of(version.id) for version in held if version.id != "null"]
            assert times == sorted(set(times), reverse=True), f"{key}: a later version has a later id"
        assert list_keys(self.server, self.bucket, self.region) == [
            row.key for row in rows if row.latest and row.etag is not None
        ]


# --- lists -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Page:
    rows: list[Row]
    prefixes: list[str]
    next: tuple[str, str] | None


def list_page(
    space: Space,
    prefix: str = "",
    delimiter: str = "",
    key_marker: str = "",
    id_marker: str = "",
    max_keys: int | None = None,
) -> Page:
    query = {"versions": "", "encoding-type": "url", "prefix": prefix, "delimiter": delimiter}
    query |= {"key-marker": key_marker, "version-id-marker": id_marker}
    if max_keys is not None:
        query["max-keys"] = str(max_keys)
    root = space.send("GET", query=query).expect(200).xml
    assert root.tag == "ListVersionsResult"
    said = {name: root.findtext(name) for name in ["Name", "EncodingType", "VersionIdMarker", "MaxKeys"]}
    assert said == {
        "Name": space.bucket,
        "EncodingType": "url",
        "VersionIdMarker": id_marker,
        "MaxKeys": str(max_keys or 1000),
    }
    assert unquote(root.findtext("Prefix") or "") == prefix
    assert unquote(root.findtext("KeyMarker") or "") == key_marker
    assert root.find("Delimiter") is None if not delimiter else unquote(root.findtext("Delimiter")) == delimiter
    rows = []
    for node in root:
        if node.tag in ("Version", "DeleteMarker"):
            size = node.findtext("Size")
            etag = node.findtext("ETag")
            assert (etag is None, size is None) == (node.tag == "DeleteMarker",) * 2
            key, version = unquote(node.findtext("Key")), node.findtext("VersionId")
            latest = {"true": True, "false": False}[node.findtext("IsLatest")]
            rows.append(Row(key, version, latest, etag, None if size is None else int(size)))
    prefixes = [unquote(node.text) for node in root.iterfind("CommonPrefixes/Prefix")]
    following = None
    if root.findtext("IsTruncated") == "true":
        following = unquote(root.findtext("NextKeyMarker")), root.findtext("NextVersionIdMarker")
    else:
        assert root.find("NextKeyMarker") is None and root.find("NextVersionIdMarker") is None
    return Page(rows, prefixes, following)


def walk(
    space: Space, prefix: str = "", delimiter: str = "", max_keys: int | None = None
) -> tuple[list[Row], list[str]]:
    """All pages together, by what each says of the next."""
    rows: list[Row] = []
    prefixes: list[str] = []
    markers: tuple[str, str] | None = ("", "")
    while markers is not None:
        page = list_page(space, prefix, delimiter, *markers, max_keys)
        assert page.next is None or len(page.rows) + len(page.prefixes) == (max_keys or 1000)
        rows += page.rows
        prefixes += page.prefixes
        assert page.next is None or page.next != markers, "paging does not go on"
        markers = page.next
    return rows, prefixes


Entry = tuple[str, Row | None]


def entries_of(rows: list[Row], prefix: str, delimiter: str) -> list[Entry]:
    """What a list with these parameters must have: rows and rolled-up prefixes, in order."""
    entries: list[Entry] = []
    for row in rows:
        if not row.key.startswith(prefix):
            continue
        rest = row.key[len(prefix) :]
        if delimiter and delimiter in rest:
            rolled = (prefix + rest.split(delimiter)[0] + delimiter, None)
            if not entries or entries[-1] != rolled:
                entries.append(rolled)
        else:
            entries.append((row.key, row))
    return entries


def page_of(entries: list[Entry]) -> tuple[list[Row], list[str]]:
    return [row for _, row in entries if row is not None], [name for name, row in entries if row is None]


# --- fixtures ----------------------------------------------------------------------------


def _space_factory(server: Server, make_bucket: Callable[..., str]) -> Callable[..., Space]:
    def make(state: str | None = ENABLED, *, region: str = REGION, **options: object) -> Space:
        space = Space(server, make_bucket(region, **options), region)
        if state is not None:
            space.set_state(ENABLED)
            space.set_state(state)
        return space

    return make


@pytest.fixture
def make_space(server: Server, make_bucket: Callable[..., str]) -> Callable[..., Space]:
    """Makes buckets that keep versions."""
    return _space_factory(server, make_bucket)


@pytest.fixture
def space(make_space: Callable[..., Space]) -> Space:
    return make_space()


@pytest.fixture(scope="module")
def module_space(server: Server, module_buckets: Callable[..., str]) -> Callable[..., Space]:
    return _space_factory(server, module_buckets)


# --- the bucket's state ----------------------------------------------------------------------


def state_of(space: Space) -> str | None:
    root = space.send("GET", query={"versioning": ""}).expect(200).xml
    assert root.tag == "VersioningConfiguration"
    assert [node.tag for node in root] in ([], ["Status"])
    return root.findtext("Status")


def test_the_state_of_a_bucket(client: CosS3Client, make_space: Callable[..., Space]) -> None:
    """Off, on, suspended, on; what is wrong is refused and changes nothing."""
    space = make_space(None)
    assert state_of(space) is None
    for state in [ENABLED, SUSPENDED, SUSPENDED, ENABLED, ENABLED]:
        client.put_bucket_versioning(Bucket=space.bucket, Status=state)
        for body in [b"", b"<VersioningConfiguration", b"<VersioningConfiguration/>", b"<Status>Enabled</Status>"]:
            refused = space.send("PUT", query={"versioning": ""}, body=body)
            refused.expect(400, "MalformedXML", *(["MissingRequestBodyError"] if not body else []))
        for status in ["Disabled", "enabled", ""]:
            body = f"<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>".encode()
            space.send("PUT", query={"versioning": ""}, body=body).expect(400, "InvalidArgument", "MalformedXML")
        other = SUSPENDED if state == ENABLED else ENABLED
        body = f"<VersioningConfiguration><Status>{other}</Status></VersioningConfiguration>".encode()
        space.send("PUT", query={"versioning": ""}, body=body, auth=None).expect(403, "AccessDenied")
        assert state_of(space) == state
        assert client.get_bucket_versioning(Bucket=space.bucket) == {"Status": state}
    space.send("GET", query={"versioning": ""}, auth=None).expect(403, "AccessDenied")


@pytest.mark.parametrize("last", [ENABLED, SUSPENDED])
def test_a_bucket_with_any_version_is_not_empty(make_space: Callable[..., Space], last: str) -> None:
    """409 for a delete marker alone, and for an old version that a marker hides."""
    space = make_space()
    version = space.put("k", b"data")
    marker = space.delete("k")
    space.set_state(last)
    assert list_keys(space.server, space.bucket) == []
    space.send("DELETE").expect(409, "BucketNotEmpty")
    space.remove("k", version)
    space.send("DELETE").expect(409, "BucketNotEmpty")
    space.look_at_all()
    space.remove("k", marker)
    space.send("DELETE").expect(204)
    space.send("HEAD").expect(404)
    space.send("PUT").expect(200)
    assert list_page(Space(space.server, space.bucket)) == Page([], [], None)
    assert state_of(space) is None, "a new bucket begins anew"


# --- put, get, head and delete ------------------------------------------------------------------


def test_c37_a_history_of_states(make_space: Callable[..., Space]) -> None:
    """From before versioning to Enabled, Suspended and back; everything is checked at each step.

    Of the null version there is at most one, wherever it stands, and a null marker replaces it too.
    """
    space = make_space(None)
    steps: list[Callable[[], object]] = [
        lambda: space.put("k", b"0"),
        lambda: space.put("k", b"1 before"),
        lambda: space.put("other", b"never touched"),
        lambda: space.delete("absent"),
        lambda: space.set_state(ENABLED),
        lambda: space.put("k", b"2 enabled"),
        lambda: space.put("k", b""),
        lambda: space.delete("k"),
        lambda: space.delete("k"),
        lambda: space.delete("absent"),
        lambda: space.put("k", b"3 over a marker" * 9000),
        lambda: space.set_state(SUSPENDED),
        lambda: space.put("k", b"4 suspended"),
        lambda: space.put("k", b"5 suspended"),
        lambda: space.set_state(ENABLED),
        lambda: space.put("k", b"6 enabled again"),
        lambda: space.set_state(SUSPENDED),
        lambda: space.delete("k"),
        lambda: space.delete("k"),
        lambda: space.put("k", b"7 over a null marker"),
        lambda: space.delete("k"),
        lambda: space.remove("k", "null"),
        lambda: space.remove("k", "null"),
        lambda: space.delete("new"),
        lambda: space.remove("new", "null"),
        lambda: space.put("other", b"replaced"),
        lambda: space.set_state(ENABLED),
        lambda: space.delete("other"),
        lambda: space.remove("other", "null"),
        lambda: space.remove("k", UNKNOWN),
        lambda: space.remove("none", UNKNOWN),
        lambda: space.remove("none", "null"),
    ]
    for step in steps:
        step()
        space.look_at_all()
        space.look("k", "null")
        space.look("k", UNKNOWN)
        space.look("none", "null")
        space.look("none")
    while space.versions["k"]:
        space.remove("k", space.versions["k"][0].id)
        space.look_at_all()


@pytest.mark.parametrize("newest_first", [True, False])
def test_removing_every_version_in_turn(space: Space, newest_first: bool) -> None:
    """Removing the newest makes the next one current; removing an older one changes nothing else."""
    for number in range(3):
        space.put("k", b"%d" % number * (number * 40_000 + 1))
        space.delete("k")
    while space.versions["k"]:
        space.remove("k", space.versions["k"][0 if newest_first else -1].id)
        space.look_at_all()
    space.put("k", b"anew")
    space.look_at_all()


@pytest.mark.parametrize("state", [None, ENABLED, SUSPENDED])
def test_c36_what_no_version_is_named(make_space: Callable[..., Space], state: str | None) -> None:
    """404 NoSuchVersion for reads, unknown or malformed; an empty ``versionId`` is none."""
    space = make_space(state)
    space.put("k", b"data")
    space.versions["k"].append(Version("k", "", b"data"))
    for method in ("GET", "HEAD"):
        assert space.send(method, "k", query={"versionId": ""}).expect(200).body == (b"data" * (method == "GET"))
        for name in [UNKNOWN, *MALFORMED]:
            answer = space.send(method, "k", query={"versionId": name})
            answer.expect(404, *(["NoSuchVersion"] if method == "GET" else []))
            assert answer.headers[MARKER] is None
    space.send("DELETE", "k", query={"versionId": UNKNOWN}).expect(204)
    for name in MALFORMED:
        space.send("DELETE", "k", query={"versionId": name}).expect(404, "NoSuchVersion")
    assert space.send("GET", "k").expect(200).body == b"data"
    assert len(list_page(space).rows) == 1


def test_a_version_is_read_like_an_object(space: Space) -> None:
    """Metadata, ranges and conditions are those of the version that is named."""
    old = space.put("k", b"0123456789", {"x-cos-meta-a": "old", "Content-Type": "a/old", "x-cos-tagging": "a=1"})
    space.put("k", b"new", {"x-cos-meta-a": "new", "Content-Type": "a/new"})
    etag = quoted_md5(b"0123456789")
    for method in ("GET", "HEAD"):
        got = space.send(method, "k", query={"versionId": old}).expect(200)
        assert [got.headers[name] for name in ["x-cos-meta-a", "Content-Type", "x-cos-tagging-count", ID]] == [
            *["old", "a/old", "1"],
            old,
        ]
        for headers, status in [
            ({"If-Match": etag}, 200),
            ({"If-None-Match": etag}, 304),
            ({"If-Match": quoted_md5(b"new")}, 412),
        ]:
            assert space.send(method, "k", query={"versionId": old}, headers=headers).status == status
    part = space.send("GET", "k", query={"versionId": old}, headers={"Range": "bytes=2-4"}).expect(206)
    assert (part.body, part.headers["Content-Range"], part.headers[ID]) == (b"234", "bytes 2-4/10", old)


# --- ids ----------------------------------------------------------------------------------------


def test_the_form_and_the_order_of_ids(space: Space) -> None:
    """20 rapid writes of a key, puts, copies and markers: each is of its time, and after the one before."""
    before = time.time_ns() // 1000
    ids = []
    for number in range(20):
        match number % 4:
            case 1:
                ids.append(space.copy("k", "k", ids[-1]))
            case 3:
                ids.append(space.delete("k"))
            case _:
                ids.append(space.put("k", b"%d" % number))
    times = [time_of(version) for version in ids]
    assert times == sorted(set(times))
    assert before <= times[0] and times[-1] <= time.time_ns() // 1000 + len(ids)
    assert [row.id for row in list_page(space).rows] == ids[::-1]


def test_writers_at_once(space: Space) -> None:
    """Of 500 puts of a key by 16 clients none is refused: each is a version, whole, with an id of its own."""
    datas = [b"%9d" % number for number in range(500)]

    def put(data: bytes) -> Answer:
        return space.send("PUT", "k", body=data)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(put, datas))
    assert [(answer.status, answer.code) for answer in answers if answer.status != 200] == []
    written = {answer.headers[ID]: data for answer, data in zip(answers, datas, strict=True)}
    assert len(written) == len(datas)
    newest_first = sorted(written, key=time_of, reverse=True)
    space.versions["k"] = [Version("k", version, written[version]) for version in newest_first]
    space.check_lists()
    for version in newest_first[::10]:
        space.look("k", version)


# --- listing ------------------------------------------------------------------------------------

# What sorts in odd ways, escapes in odd ways, or is a prefix of another.
KEYS = [
    "a",
    "a\0",
    "a\0\0",
    "a\0\1",
    "a\0b",
    "a\1",
    "a%",
    "a%2Fb",
    "a/",
    "a/1",
    "a//x",
    "a/b/1",
    "a/b/2",
    "a0",
    "b +b",
    "dir/",
    "dir/gone",
    "null",
    "z/1",
    "腾讯/云",
    "腾讯/雨",
    "\ufffd",
    "\U00010000",
]


@pytest.fixture(scope="module")
def filled(module_space: Callable[..., Space]) -> Space:
    """Suspended, with nulls on top and below, markers on top and below, and keys with one version."""
    space = module_space(None)
    chance = random.Random(35521)
    for key in KEYS[::2]:
        space.put(key, b"null " + key.encode())
    space.set_state(ENABLED)
    for number in range(3):
        for key in chance.sample(KEYS, 14):
            if chance.random() < 0.3:
                space.delete(key)
            else:
                space.put(key, b"%d " % number + key.encode())
    space.set_state(SUSPENDED)
    for key in chance.sample(KEYS, 5):
        space.put(key, b"suspended")
    for key in chance.sample(KEYS, 3):
        space.delete(key)
    assert len(space.rows()) > 40
    assert {(row.id == "null", row.latest, row.etag is None) for row in space.rows()} == {
        (null, latest, marker) for null in (True, False) for latest in (True, False) for marker in (True, False)
    } - {(True, False, True)}
    return space


def test_what_the_list_is_about(filled: Space) -> None:
    """Every version that the next tests list can be read by the id it is listed with."""
    filled.look_at_all()


@pytest.mark.parametrize("max_keys", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("delimiter", ["", "/", "\0", "%", "讯"])
@pytest.mark.parametrize("prefix", ["", "a", "a\0", "a/", "a/b/", "dir/gone", "腾", "none"])
def test_every_page(filled: Space, prefix: str, delimiter: str, max_keys: int) -> None:
    """Each page is as long as it may be, names the next, and together they are the whole list."""
    entries = entries_of(filled.rows(), prefix, delimiter)
    key_marker = id_marker = ""
    for start in range(0, max(len(entries), 1), max_keys):
        page = list_page(filled, prefix, delimiter, key_marker, id_marker, max_keys)
        wanted = entries[start : start + max_keys]
        assert (page.rows, page.prefixes) == page_of(wanted)
        if start + max_keys >= len(entries):
            assert page.next is None
            return
        assert page.next is not None
        key_marker, id_marker = page.next
        name, row = wanted[-1]
        assert key_marker == name
        if row is None:
            assert id_marker == "", "a page that ends on a common prefix names no version"
        elif row.id == "null":
            assert ID_FORM.fullmatch(id_marker)
            answer = filled.send("GET", name, query={"versionId": id_marker})
            answer.expect(404, "NoSuchVersion")
        else:
            assert id_marker == row.id


@pytest.mark.parametrize("delimiter", ["", "/"])
def test_from_every_version(filled: Space, delimiter: str) -> None:
    """A key alone skips all its versions; with a version, its older ones still come."""
    entries = entries_of(filled.rows(), "", delimiter)
    for at, (name, row) in enumerate(entries):
        after_all = [entry for entry in entries if entry[0].encode() > name.encode()]
        page = list_page(filled, "", delimiter, name)
        assert (page.rows, page.prefixes) == page_of(after_all), name
        if row is not None:
            page = list_page(filled, "", delimiter, name, row.id)
            assert (page.rows, page.prefixes) == page_of(entries[at + 1 :]), row


@pytest.mark.parametrize("marker", ["\0", "a\0\0\0", "a/b", "a0a", "azz", "腾", "\U0010ffff", "k" * 849])
def test_from_a_key_that_is_not_there(filled: Space, marker: str) -> None:
    """With or without a version beside it."""
    wanted = [row for row in filled.rows() if row.key.encode() > marker.encode()]
    for version in ["", UNKNOWN]:
        assert list_page(filled, key_marker=marker, id_marker=version) == Page(wanted, [], None)


def test_from_a_version_that_is_not_there(space: Space) -> None:
    """Its place is still known: older ones come, newer ones do not."""
    ids = [space.put("k", b"%d" % number) for number in range(5)]
    space.put("l", b"after")
    space.remove("k", ids[2])
    page = list_page(space, key_marker="k", id_marker=ids[2])
    assert page.rows == space.rows()[2:]
    assert list_page(space, key_marker="k", id_marker=UNKNOWN).rows == space.rows()[4:]


@pytest.mark.parametrize("max_keys", [1, 2, 3])
def test_removing_page_by_page(space: Space, max_keys: int) -> None:
    """What cleans a bucket: each page is removed before the next is asked for, and nothing is missed."""
    for number in range(3):
        for key in ["a", "b", "c"]:
            space.put(key, b"%d" % number)
            if key == "b":
                space.delete(key)
    wanted = space.rows()
    found: list[Row] = []
    markers: tuple[str, str] | None = ("", "")
    while markers is not None:
        page = list_page(space, "", "", *markers, max_keys)
        found += page.rows
        for row in page.rows:
            space.remove(row.key, row.id)
        markers = page.next
    assert [(row.key, row.id) for row in found] == [(row.key, row.id) for row in wanted]
    assert list_page(space).rows == []


@pytest.mark.parametrize("next_is_a_marker", [True, False])
def test_the_latest_once_the_latest_is_gone(space: Space, next_is_a_marker: bool) -> None:
    """A page that goes on after a version that was removed says of the next one that it is the latest."""
    space.put("k", b"0")
    if next_is_a_marker:
        space.delete("k")
    else:
        space.put("k", b"1")
    newest = space.put("k", b"2")
    page = list_page(space, max_keys=1)
    assert page.next == ("k", newest)
    space.remove("k", newest)
    assert list_page(space, "", "", *page.next).rows == space.rows()


def test_the_list_document(server: Server, space: Space) -> None:
    """Which elements there are, and their order."""
    space.put("dir/k", b"x")
    tiering = space.put("k", b"0123456789", {"x-cos-storage-class": "INTELLIGENT_TIERING"})
    space.delete("k")
    query = {"versions": "", "delimiter": "/", "encoding-type": "url", "max-keys": "3"}
    answer = space.send("GET", query=query).expect(200)
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["x-cos-bucket-region"] == REGION
    head = ["EncodingType", "Name", "Prefix", "KeyMarker", "VersionIdMarker", "MaxKeys", "IsTruncated"]
    assert [node.tag for node in answer.xml] == [*head, "Delimiter", "CommonPrefixes", "DeleteMarker", "Version"]
    version = answer.xml.find("Version")
    assert [node.tag for node in version] == (
        ["Key", "VersionId", "IsLatest", "LastModified", "ETag", "Size", "StorageClass", "StorageTier", "Owner"]
    )
    assert (version.findtext("VersionId"), version.findtext("IsLatest")) == (tiering, "false")
    assert version.findtext("StorageClass") == "INTELLIGENT_TIERING"
    marker = answer.xml.find("DeleteMarker")
    assert [node.tag for node in marker] == ["Key", "VersionId", "IsLatest", "LastModified", "Owner"]
    for node in (version, marker):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z", node.findtext("LastModified"))
        assert [child.tag for child in node.find("Owner")] == ["ID", "DisplayName"]
    cut = space.send("GET", query={"versions": "", "max-keys": "1"}).expect(200).xml
    tail = ["NextKeyMarker", "NextVersionIdMarker", "Version"]
    assert [node.tag for node in cut] == [*head[1:], *tail]
    for query in [{"max-keys": "0"}, {"max-keys": "x"}, {"delimiter": "ab"}, {"encoding-type": "base64"}]:
        space.send("GET", query={"versions": "", **query}).expect(400, "InvalidArgument", "InvalidDelimiter")
    space.send("GET", query={"versions": ""}, auth=None).expect(403, "AccessDenied")


@pytest.mark.parametrize("max_keys", [1, 2, None])
def test_a_bucket_that_never_kept_versions(make_space: Callable[..., Space], max_keys: int | None) -> None:
    """Its objects are listed too, with an empty VersionId; and ``null`` names each of them."""
    space = make_space(None)
    for key in ["a", "a/b", "b", "腾"]:
        space.put(key, key.encode())
    space.check_lists(max_keys)
    assert [(row.id, row.latest) for row in list_page(space).rows] == [("", True)] * 4
    space.look_at_all()
    space.remove("b", UNKNOWN)
    space.look_at_all()
    space.remove("b", "null")
    space.look_at_all()
    space.look("b")


def test_the_list_through_the_sdk(client: CosS3Client, space: Space) -> None:
    version = space.put("a b/%41", b"data")
    marker = space.delete("a b/%41")
    listed = client.list_objects_versions(Bucket=space.bucket, Prefix="a b/")
    assert [(entry["Key"], entry["VersionId"], entry["IsLatest"]) for entry in listed["Version"]] == [
        ("a b/%41", version, "false")
    ]
    assert [(entry["Key"], entry["VersionId"], entry["IsLatest"]) for entry in listed["DeleteMarker"]] == [
        ("a b/%41", marker, "true")
    ]
    rolled = client.list_objects_versions(Bucket=space.bucket, Delimiter="/")
    assert [entry["Prefix"] for entry in rolled["CommonPrefixes"]] == ["a b/"]
    assert "Version" not in rolled and "DeleteMarker" not in rolled


# --- a history by chance ------------------------------------------------------------------------

SIZES = [0, 1, 100, 20_000, 150_000]
STEPS = 150


def step(space: Space, chance: random.Random, number: int) -> str:
    """One operation by chance; the key that it touched."""
    keys = ["k", "k/\0", "腾%2F"]
    key, other = chance.choice(keys), chance.choice(keys)
    ids = [version.id for version in space.versions[other]] + ["null", UNKNOWN]
    names = ["put", "copy", "copy version", "restore", "delete", "remove", "state"]
    # The first steps are those of a bucket that never kept versions.
    weights = [8, 3, 4, 3, 5, 7, 2 if space.state else 0]
    match chance.choices(names, weights):
        case ["put"]:
            space.put(key, b"%d " % number + chance.randbytes(chance.choice(SIZES)))
        case ["copy"]:
            space.copy(other, key)
        case ["copy version"]:
            space.copy(other, key, chance.choice(ids))
        case ["restore"]:
            space.copy(other, other, chance.choice(ids))
            return other
        case ["delete"]:
            space.delete(key)
        case ["remove"]:
            space.remove(other, chance.choice(ids))
            return other
        case ["state"]:
            space.set_state(chance.choice([ENABLED, SUSPENDED]))
    return key


@contextmanager
def fresh_server(data: Path) -> Iterator[Callable[[], Server]]:
    """Starts a server on a data directory of its own, after the one before is killed. At last fsck is content."""
    servers: list[Server] = []

    def start() -> Server:
        for server in servers:
            server.kill()
        servers.append(Server(data))
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.kill()
    checked = run_cosine("fsck", "--data", str(data), "--deep", cwd=data.parent)
    assert checked.returncode == 0, (checked.stdout, checked.stderr)


@pytest.mark.parametrize("seed", [10881, 7743, 35521])
def test_c31_c68_c140_c142_a_history_by_chance(tmp_path: Path, seed: int) -> None:
    """Puts, copies, restorations, markers, removals, Enabled and Suspended: after each, GET and the list.

    At last the server is killed: what is there afterwards is the same, and fsck finds nothing.
    """
    chance = random.Random(seed)
    with fresh_server(tmp_path / "data") as start:
        space = Space(start(), unique_bucket())
        space.send("PUT").expect(200)
        for number in range(STEPS):
            if number == 10:
                space.set_state(ENABLED)
            key = step(space, chance, number)
            space.look(key)
            for version in chance.sample(space.versions[key], min(2, len(space.versions[key]))):
                space.look(key, version.id)
            space.check_lists(chance.choice([None, 1, 2, 3, 5]))
        assert {version.data is None for held in space.versions.values() for version in held} == {True, False}
        space.look_at_all()
        space.server = start()
        space.look_at_all()
        space.set_state(ENABLED)
        for key in list(space.versions):
            space.put(key, b"after")
        space.look_at_all()


def test_everything_at_once(tmp_path: Path) -> None:
    """Eight clients write, mark, restore and remove versions of one key: what each was told is what there is."""
    with fresh_server(tmp_path / "data") as start:
        space = Space(start(), unique_bucket())
        space.send("PUT").expect(200)
        space.put("k", b"null")
        space.set_state(ENABLED)

        def work(seed: int) -> dict[str, bytes | None]:
            """The versions that this client made and did not remove."""
            chance, mine = random.Random(seed), {}
            for number in range(40):
                data = b"%d %d " % (seed, number) * chance.choice([1, 5000])
                match chance.choice(["put", "put", "delete", "restore", "remove", "remove"]):
                    case "put":
                        mine[space.send("PUT", "k", body=data).expect(200).headers[ID]] = data
                    case "delete":
                        mine[space.send("DELETE", "k").expect(204).headers[ID]] = None
                    case "restore" if objects := [name for name, held in mine.items() if held is not None]:
                        name = chance.choice(objects)
                        fields = {"x-cos-copy-source": source_of(space.bucket, "k", name)}
                        copied = space.send("PUT", "k", headers=fields).expect(200)
                        mine[copied.xml.findtext("VersionId")] = mine[name]
                    case "remove" if mine:
                        name = chance.choice(list(mine))
                        removed = space.send("DELETE", "k", query={"versionId": name}).expect(204)
                        assert removed.headers[ID] == name
                        assert removed.headers[MARKER] == ("true" if mine.pop(name) is None else None)
            return mine

        with ThreadPoolExecutor(8) as pool:
            parts = list(pool.map(work, range(8)))
        left = {name: data for part in parts for name, data in part.items()}
        assert len(left) == sum(map(len, parts)) > 40
        newest_first = sorted(left, key=time_of, reverse=True)
        space.versions["k"][:0] = [Version("k", name, left[name]) for name in newest_first]
        space.look_at_all()


# --- copies ---------------------------------------------------------------------------------------

LARGE = random.Random(31).randbytes(300_000)


@dataclass
class Source:
    """A key with a null version, two more, and a delete marker below the newest."""

    space: Space
    null: str
    old: str
    marker: str
    newest: str


@pytest.fixture
def source(make_space: Callable[..., Space]) -> Source:
    space = make_space(None)
    space.put("source", b"from before")
    space.set_state(ENABLED)
    old = space.put("source", LARGE, {"x-cos-meta-a": "old", "Content-Type": "a/old", "x-cos-tagging": "v=old"})
    marker = space.delete("source")
    newest = space.put("source", b"newest", {"x-cos-meta-a": "newest"})
    return Source(space, "null", old, marker, newest)


def test_c30_the_latest_version(source: Source) -> None:
    """Without a version the latest is copied, and no version is named in the answer."""
    space = source.space
    space.copy("source", "copy")
    space.look("copy")
    space.remove("source", source.newest)
    space.copy("source", "none")
    space.remove("source", source.marker)
    space.copy("source", "copy")
    assert space.versions["copy"][0].data == LARGE
    space.look_at_all()


@pytest.mark.parametrize("target", ["same bucket", "same key", "another region", "never versioned"])
def test_c31_c33_c36_c37_a_named_version(make_space: Callable[..., Space], source: Source, target: str) -> None:
    """That version with its metadata and tags, or its refusal; ``null`` is a name like any other."""
    into, key = source.space, "source" if target == "same key" else "copy"
    if target == "another region":
        into = make_space(region=OTHER_REGION)
    elif target == "never versioned":
        into = make_space(None)
    for name in [source.null, source.old, source.newest]:
        source.space.copy("source", key, name, into=into)
        into.look_at_all()
    source.space.copy("source", key, source.old, into=into)
    got = into.send("GET", key).expect(200)
    assert [got.headers[name] for name in ["x-cos-meta-a", "Content-Type", "x-cos-tagging-count"]] == [
        *["old", "a/old", "1"]
    ]
    for name in [source.marker, UNKNOWN]:
        source.space.copy("source", key, name, into=into)
    source.space.copy("absent", key, "null", into=into)
    for name in MALFORMED:
        source.space.copy("source", key, quote(name), into=into)
    into.look_at_all()


def test_c15_how_a_version_may_be_spelt(source: Source) -> None:
    """``versionId`` in any case, and its value percent-encoded."""
    encoded = "".join(f"%{byte:02X}" for byte in source.old.encode())
    for suffix in [f"?versionid={source.old}", f"?VERSIONID={source.old}", f"?versionId={encoded}"]:
        value = source_of(source.space.bucket, "source") + suffix
        answer = source.space.send("PUT", "copy", headers={"x-cos-copy-source": value}).expect(200)
        assert answer.headers[SOURCE_ID] == source.old
        assert source.space.send("GET", "copy").body == LARGE
    value = source_of(source.space.bucket, "source") + "?versionId="
    answer = source.space.send("PUT", "copy", headers={"x-cos-copy-source": value}).expect(200)
    assert answer.headers[SOURCE_ID] is None
    assert source.space.send("GET", "copy").body == b"newest"


def test_c32_the_latest_is_a_delete_marker(client: CosS3Client, source: Source) -> None:
    """404, though older versions are there and can be named."""
    space = source.space
    space.delete("source")
    for target in ["copy", "source"]:
        space.copy("source", target)
    space.look_at_all()
    space.copy("source", "copy", source.old)
    named = {"Bucket": space.bucket, "Key": "source", "Region": REGION, "VersionId": source.newest}
    result = client.copy_object(Bucket=space.bucket, Key="by-sdk", CopySource=named)
    assert result[SOURCE_ID] == source.newest
    got = client.get_object(Bucket=space.bucket, Key="by-sdk", VersionId=result["VersionId"])
    assert body_of(got) == b"newest"
    with pytest.raises(CosServiceError) as caught:
        client.copy_object(Bucket=space.bucket, Key="by-sdk", CopySource={**named, "VersionId": UNKNOWN})
    assert (caught.value.get_status_code(), caught.value.get_error_code()) == (404, "NoSuchVersion")


def test_c59_conditions_on_the_version_that_is_named(source: Source) -> None:
    """They are held against that version, and not against the latest."""
    space = source.space
    old = {"x-cos-copy-source-If-Match": quoted_md5(LARGE)}
    not_old = {"x-cos-copy-source-If-None-Match": quoted_md5(LARGE)}
    value = {name: source_of(space.bucket, "source", name) for name in (source.old, source.newest)}
    for headers, named in [(not_old, source.old), (old, source.newest)]:
        fields = {"x-cos-copy-source": value[named], **headers}
        space.send("PUT", "copy", headers=fields).expect(412, "PreconditionFailed")
    space.look("copy")
    space.copy("source", "copy", source.old, old)
    space.copy("source", "copy", source.newest, not_old)
    space.look_at_all()


@pytest.mark.parametrize("state", [ENABLED, SUSPENDED])
@pytest.mark.parametrize("hidden", [False, True], ids=["object", "marker"])
def test_c68_an_old_version_onto_its_own_key(source: Source, state: str, hidden: bool) -> None:
    """It becomes the latest once more, under another id, without any directive; all others stay."""
    space = source.space
    if hidden:
        space.delete("source")
    space.set_state(state)
    for name in [source.old, source.newest, source.old, "null"]:
        before = {version.id for version in space.versions["source"]}
        restored = space.copy("source", "source", name)
        assert restored is not None and (restored not in before or state == SUSPENDED)
        space.look_at_all()
    space.copy("source", "source", source.old)
    got = space.send("GET", "source").expect(200)
    assert (got.body, got.headers["x-cos-meta-a"]) == (LARGE, "old")
    headers = {"x-cos-metadata-directive": "Replaced", "x-cos-meta-a": "edited"}
    space.copy("source", "source", source.old, headers)
    assert space.send("GET", "source").headers["x-cos-meta-a"] == "edited"
    assert space.send("GET", "source", query={"versionId": source.old}).headers["x-cos-meta-a"] == "old"


@pytest.mark.parametrize("state", [ENABLED, SUSPENDED])
def test_c67_a_self_copy_of_the_latest(source: Source, state: str) -> None:
    """Without a change it is refused as ever; with one it is a version more, or another null."""
    space = source.space
    space.set_state(state)
    space.copy("source", "source")
    space.look_at_all()
    for number in range(3):
        headers = {"x-cos-metadata-directive": "Replaced", "x-cos-meta-a": str(number)}
        space.copy("source", "source", None, headers)
        space.look_at_all()
        assert space.send("GET", "source").headers["x-cos-meta-a"] == str(number)
    assert len(space.versions["source"]) == (7 if state == ENABLED else 4)


def test_c140_c142_c143_the_state_of_the_destination(make_space: Callable[..., Space], source: Source) -> None:
    """Enabled: a version more. Suspended: another null version. Never: the object is replaced."""
    for state, kept in [(ENABLED, 4), (SUSPENDED, 2), (None, 1)]:
        into = make_space(None)
        into.put("copy", b"what was there")
        if state is not None:
            into.set_state(ENABLED)
            into.put("copy", b"a version")
            into.set_state(state)
        for name in [None, source.old]:
            source.space.copy("source", "copy", name, into=into)
            into.look_at_all()
        assert len(into.versions["copy"]) == kept


def test_a_copy_outlives_the_version_that_it_was_made_of(source: Source) -> None:
    space = source.space
    copied = space.copy("source", "copy", source.old)
    restored = space.copy("source", "source", source.old)
    space.remove("source", source.old)
    space.look_at_all()
    space.remove("copy", copied)
    space.look_at_all()
    space.copy("source", "again", restored)
    space.remove("source", restored)
    space.look_at_all()


@pytest.mark.parametrize("how", ["put", "copy", "self-copy"])
def test_c105_c107_c109_forbid_overwrite(make_space: Callable[..., Space], how: str) -> None:
    """It forbids where versions were never kept, and has no effect where they are or were."""
    forbid = {"x-cos-forbid-overwrite": "true"}
    if how != "put":
        forbid["x-cos-metadata-directive"] = "Replaced"
    for state in [None, ENABLED, SUSPENDED]:
        space = make_space(state)
        space.put("k", b"first")
        space.put("source", b"second")
        if state is None:
            fields = {} if how == "put" else {"x-cos-copy-source": source_of(space.bucket, "source")}
            if how == "self-copy":
                fields = {"x-cos-copy-source": source_of(space.bucket, "k")}
            space.send("PUT", "k", headers={**fields, **forbid}).expect(409, "FileAlreadyExists")
        elif how == "put":
            space.put("k", b"second", forbid)
        else:
            space.copy("k" if how == "self-copy" else "source", "k", None, forbid)
        space.look_at_all()
        assert len(space.versions["k"]) == (2 if state == ENABLED else 1)


# --- tags ------------------------------------------------------------------------------------------


def tag_set(**tags: str) -> dict:
    return {"TagSet": {"Tag": [{"Key": key, "Value": value} for key, value in tags.items()]}}


def tags_of(client: CosS3Client, bucket: str, key: str, **options: str) -> dict[str, str]:
    found = client.get_object_tagging(Bucket=bucket, Key=key, **options)["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in (found or {}).get("Tag", [])}


def test_c78_tags_of_each_version(client: CosS3Client, space: Space) -> None:
    """Each version has its own; without a name they are the latest's, and no version comes of it."""
    old = space.put("k", b"old", {"x-cos-tagging": "v=old"})
    new = space.put("k", b"new", {"x-cos-tagging": "v=new"})
    client.put_object_tagging(Bucket=space.bucket, Key="k", Tagging=tag_set(v="edited"))
    assert tags_of(client, space.bucket, "k", VersionId=old) == {"v": "old"}
    assert tags_of(client, space.bucket, "k", VersionId=new) == tags_of(client, space.bucket, "k") == {"v": "edited"}
    client.put_object_tagging(Bucket=space.bucket, Key="k", Tagging=tag_set(v="1", w="2"), VersionId=old)
    assert tags_of(client, space.bucket, "k", VersionId=old) == {"v": "1", "w": "2"}
    assert tags_of(client, space.bucket, "k") == {"v": "edited"}
    assert space.send("HEAD", "k", query={"versionId": old}).headers["x-cos-tagging-count"] == "2"
    space.copy("k", "copy", old)
    assert tags_of(client, space.bucket, "copy") == {"v": "1", "w": "2"}
    client.delete_object_tagging(Bucket=space.bucket, Key="k", VersionId=old)
    assert tags_of(client, space.bucket, "k", VersionId=old) == {}
    assert tags_of(client, space.bucket, "k") == {"v": "edited"}
    assert tags_of(client, space.bucket, "copy") == {"v": "1", "w": "2"}
    space.look_at_all()


def test_tags_of_versions_that_are_not_there(space: Space) -> None:
    """Unknown, malformed, hidden by a marker, or a marker: refused, and no version is any different."""
    old = space.put("k", b"old", {"x-cos-tagging": "v=old"})
    marker = space.delete("k")
    body = b"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    for method in ["GET", "PUT", "DELETE"]:
        options = {"body": body} if method == "PUT" else {}
        space.send(method, "k", query={"tagging": ""}, **options).expect(404, "NoSuchKey")
        for name in [UNKNOWN, *MALFORMED]:
            query = {"tagging": "", "versionId": name}
            space.send(method, "k", query=query, **options).expect(404, "NoSuchVersion")
        hidden = space.send(method, "k", query={"tagging": "", "versionId": marker}, **options)
        assert (hidden.status, hidden.code) in [(405, "MethodNotAllowed"), (404, "NoSuchKey")], hidden
    got = space.send("GET", "k", query={"tagging": "", "versionId": old}).expect(200)
    assert got.xml.findtext("TagSet/Tag/Value") == "old"
    assert got.headers[ID] == old
    space.look_at_all()


def tags_by_name(space: Space, name: str | None) -> dict[str, str]:
    answer = space.send("GET", "k", query={"tagging": "", **by_id(name)}).expect(200)
    return {tag.findtext("Key"): tag.findtext("Value") or "" for tag in answer.xml.iterfind("TagSet/Tag")}


def test_tags_of_the_null_version(make_space: Callable[..., Space]) -> None:
    """Where versions are kept, ``null`` means the current one, whatever its id; elsewhere it is the null version."""
    space = make_space(None)
    space.put("k", b"null", {"x-cos-tagging": "v=null"})
    null = {"tagging": "", "versionId": "null"}
    document = b"<Tagging><TagSet><Tag><Key>v</Key><Value>%s</Value></Tag></TagSet></Tagging>"
    assert tags_by_name(space, "null") == {"v": "null"}

    space.set_state(ENABLED)
    version = space.put("k", b"new", {"x-cos-tagging": "v=new"})
    assert tags_by_name(space, "null") == {"v": "new"}
    space.send("PUT", "k", query=null, body=document % b"set").expect(200)
    assert tags_by_name(space, version) == tags_by_name(space, None) == tags_by_name(space, "null") == {"v": "set"}
    space.send("DELETE", "k", query=null).expect(204)
    assert tags_by_name(space, version) == {}
    marker = space.delete("k")
    for method, body in [("GET", b""), ("PUT", document % b"x"), ("DELETE", b"")]:
        space.send(method, "k", query=null, body=body).expect(404, "NoSuchKey")
    space.remove("k", marker)

    space.set_state(SUSPENDED)
    assert (tags_by_name(space, "null"), tags_by_name(space, None)) == ({"v": "null"}, {})
    space.send("PUT", "k", query=null, body=document % b"suspended").expect(200)
    assert (tags_by_name(space, "null"), tags_by_name(space, version)) == ({"v": "suspended"}, {})
    space.look_at_all()


# --- DELETE Multiple ---------------------------------------------------------------------------------


def delete_many(space: Space, *objects: tuple[str, str | None], quiet: bool = False, **options: object) -> Answer:
    inner = "".join(
        f"<Object><Key>{escape(key)}</Key>"
        + ("" if version is None else f"<VersionId>{version}</VersionId>")
        + "</Object>"
        for key, version in objects
    )
    body = f"<Delete><Quiet>{str(quiet).lower()}</Quiet>{inner}</Delete>".encode()
    headers = {"Content-MD5": base64.b64encode(hashlib.md5(body).digest()).decode()}
    return space.send("POST", query={"delete": ""}, headers=headers, body=body, **options)


def outcomes(answer: Answer) -> list[tuple[str, dict[str, str]]]:
    """Each node of the answer with its children, except messages."""
    return [
        (node.tag, {child.tag: child.text or "" for child in node if child.tag != "Message"})
        for node in answer.expect(200).xml
    ]


def test_deleting_many_with_versions(space: Space) -> None:
    """What was marked, what was removed, which of that was a marker, and what could not be."""
    old, new = space.put("a", b"old"), space.put("a", b"new")
    hidden, marker = space.put("b", b"hidden"), space.delete("b")
    space.put("c<&>", b"stays below")
    answer = delete_many(
        space,
        ("a", new),
        ("b", marker),
        ("c<&>", None),
        ("absent", None),
        ("a", UNKNOWN),
        ("absent", "null"),
        ("a", "malformed"),
        ("b", ""),
    )
    found = outcomes(answer)
    # An empty VersionId is none.
    c_marker, absent_marker, b_marker = (found[at][1]["DeleteMarkerVersionId"] for at in (2, 3, 7))
    assert b_marker != marker
    gone = {"DeleteMarker": "true"}
    assert found == [
        ("Deleted", {"Key": "a", "VersionId": new}),
        ("Deleted", {"Key": "b", "VersionId": marker, **gone, "DeleteMarkerVersionId": marker}),
        ("Deleted", {"Key": "c<&>", **gone, "DeleteMarkerVersionId": c_marker}),
        ("Deleted", {"Key": "absent", **gone, "DeleteMarkerVersionId": absent_marker}),
        ("Deleted", {"Key": "a", "VersionId": UNKNOWN}),
        ("Deleted", {"Key": "absent", "VersionId": "null"}),
        ("Error", {"Key": "a", "VersionId": "malformed", "Code": "NoSuchVersion"}),
        ("Deleted", {"Key": "b", **gone, "DeleteMarkerVersionId": b_marker}),
    ]
    space._drop("a", new)
    space._drop("b", marker)
    for key, version in [("c<&>", c_marker), ("absent", absent_marker), ("b", b_marker)]:
        space._push(key, version, None)
    space.look_at_all()
    assert (space.find("a").id, space.versions["b"][1].id) == (old, hidden)


def test_deleting_many_quietly_and_suspended(client: CosS3Client, make_space: Callable[..., Space]) -> None:
    """Markers are ``null`` there; quietly only errors are told, and all is done the same."""
    space = make_space()
    version = space.put("k", b"0")
    space.set_state(SUSPENDED)
    space.put("k", b"1")
    marked = {"Key": "k", "DeleteMarker": "true", "DeleteMarkerVersionId": "null"}
    for _ in range(2):
        assert outcomes(delete_many(space, ("k", None))) == [("Deleted", marked)]
    space._push("k", None, None)
    space.look_at_all()
    assert outcomes(delete_many(space, ("k", "null"))) == [("Deleted", {**marked, "VersionId": "null"})]
    space._drop("k", "null")
    space.look_at_all()
    assert outcomes(delete_many(space, ("k", None), quiet=True)) == []
    space._push("k", None, None)
    space.look_at_all()
    assert outcomes(delete_many(space, ("k", "null"), ("k", "?"), quiet=True)) == [
        ("Error", {"Key": "k", "VersionId": "?", "Code": "NoSuchVersion"})
    ]
    space._drop("k", "null")
    space.look_at_all()
    result = client.delete_objects(
        Bucket=space.bucket, Delete={"Object": [{"Key": "k", "VersionId": version}, {"Key": "l"}]}
    )
    assert result["Deleted"] == [
        {"Key": "k", "VersionId": version},
        {"Key": "l", "DeleteMarker": "true", "DeleteMarkerVersionId": "null"},
    ]
    space._drop("k", version)
    space._push("l", None, None)
    space.look_at_all()


@pytest.mark.parametrize("count", [1, 20, 300])
def test_deleting_many_of_one_key(space: Space, count: int) -> None:
    """All versions of a key and a new marker in one request: nothing but that marker is left."""
    ids = [space.put("k", b"%d" % number) for number in range(count)]
    found = outcomes(delete_many(space, *[("k", version) for version in ids], ("k", None), *[("k", ids[0])]))
    assert [entry.get("VersionId") for _, entry in found] == [*ids, None, ids[0]]
    assert [entry for tag, entry in found if tag != "Deleted"] == []
    space.versions["k"].clear()
    space._push("k", found[count][1]["DeleteMarkerVersionId"], None)
    space.look_at_all()


# --- who may ------------------------------------------------------------------------------------------


def test_who_may_remove_for_good(make_space: Callable[..., Space]) -> None:
    """Whoever may write a bucket may mark a key deleted; to remove a version takes its owner."""
    space = make_space(ACL="public-read-write")
    version = space.put("k", b"data")
    refused = space.send("DELETE", "k", query={"versionId": version}, auth=None)
    refused.expect(403, "AccessDenied")
    refused = ("Error", {"Key": "k", "VersionId": version, "Code": "AccessDenied"})
    assert outcomes(delete_many(space, ("k", version), auth=None)) == [refused]
    marked, (kind, second) = outcomes(delete_many(space, ("other", None), ("k", version), auth=None))
    assert (kind, second) == refused
    space._push("other", marked[1]["DeleteMarkerVersionId"], None)
    space.look("k")
    space.look("k", version)
    answer = space.send("DELETE", "k", auth=None).expect(204)
    marker = space._push("k", answer.headers[ID], None)
    assert answer.headers[MARKER] == "true"
    space.look_at_all()
    space.send("DELETE", "k", query={"versionId": marker}, auth=None).expect(403, "AccessDenied")
    space.look_at_all()
    space.remove("k", marker)
    space.look_at_all()


def test_the_acl_of_each_version(space: Space) -> None:
    """A public version makes no other version public, neither to read nor to copy."""
    secret = space.put("k", b"secret")
    public = space.put("k", b"public", {"x-cos-acl": "public-read"})
    assert space.send("GET", "k", auth=None).expect(200).body == b"public"
    assert space.send("GET", "k", query={"versionId": public}, auth=None).expect(200).body == b"public"
    space.send("GET", "k", query={"versionId": secret}, auth=None).expect(403, "AccessDenied")
    space.send("GET", "k", query={"versionId": UNKNOWN}, auth=None).expect(403, "AccessDenied")
    space.copy("k", "k", public)
    space.send("GET", "k", auth=None).expect(403, "AccessDenied")
    space.delete("k")
    space.send("GET", "k", auth=None).expect(403, "AccessDenied")
    assert space.send("GET", "k", query={"versionId": public}, auth=None).expect(200).body == b"public"


# --- samples of the page --------------------------------------------------------------------------------


def sample_source(make_space: Callable[..., Space]) -> tuple[Space, str]:
    """``example.jpg`` with two versions in another region; and the id of the older one."""
    space = make_space(region=OTHER_REGION)
    older = space.put("example.jpg", b"[Object Content]")
    space.put("example.jpg", b"[Object Content Version 2]")
    return space, older


def sample_document(answer: Answer, etag: str, crc64: int, version: str | None) -> bytes:
    """The page's layout, with the time that the answer has."""
    found = re.search(rb"<LastModified>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)</LastModified>", answer.body)
    assert found, answer.body
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        "<CopyObjectResult>",
        f'\t<ETag>"{etag}"</ETag>',
        f"\t<CRC64>{crc64}</CRC64>",
        f"\t<LastModified>{found.group(1).decode()}</LastModified>",
        *([] if version is None else [f"\t<VersionId>{version}</VersionId>"]),
        "</CopyObjectResult>",
    ]
    return "\r\n".join(lines).encode()


def test_c31_c143_sample_9(make_space: Callable[..., Space]) -> None:
    """C31, C143: an older version, into a bucket that keeps none."""
    source, older = sample_source(make_space)
    target = make_space(None)
    fields = {"x-cos-copy-source": source_of(source.bucket, "example.jpg", older, OTHER_REGION)}
    answer = target.send("PUT", "exampleobject", headers={"Content-Length": "0", **fields}).expect(200)
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["Server"] == "tencent-cos"
    assert answer.headers.get_all(SOURCE_ID) == [older]
    assert answer.headers[ID] is None
    wanted = sample_document(answer, "ee8de918d05640145b18f70f4c3aa602", 16749565679157681890, None)
    assert answer.body == wanted and len(wanted) == 219
    got = target.send("GET", "exampleobject").expect(200)
    assert (got.body, got.headers["x-cos-hash-crc64ecma"]) == (b"[Object Content]", "16749565679157681890")


def test_c30_c140_c141_sample_10(make_space: Callable[..., Space]) -> None:
    """C30, C140: the latest version, into a bucket that keeps versions."""
    source, _ = sample_source(make_space)
    target = make_space()
    fields = {"x-cos-copy-source": source_of(source.bucket, "example.jpg", None, OTHER_REGION)}
    answer = target.send("PUT", "exampleobject", headers={"Content-Length": "0", **fields}).expect(200)
    assert answer.headers["Content-Type"] == "application/xml"
    assert answer.headers["Server"] == "tencent-cos"
    assert answer.headers[SOURCE_ID] is None
    version = answer.xml.findtext("VersionId")
    time_of(version)
    assert answer.headers[ID] is None, "the page shows the id in the document alone"
    wanted = sample_document(answer, "22e024392de860289f0baa7d6cf8a549", 11596229263574363878, version)
    assert answer.body == wanted and len(wanted) == 272
    got = target.send("GET", "exampleobject", query={"versionId": version}).expect(200)
    assert (got.body, got.headers[ID]) == (b"[Object Content Version 2]", version)
    assert got.headers["x-cos-hash-crc64ecma"] == "11596229263574363878"
