"""The rows of the checklists of PUT Object - Copy (C) and Upload Part - Copy (U), and the tests named after them.

``test_c31_c36_...`` is about rows C31 and C36. A row has such a test, or it stands in ``WITHOUT`` with the reason.
"""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# What each part of the checklists is about, and its rows.
ROWS = {
    "request": "C01-C06",
    "x-cos-copy-source": "C10-C24",
    "which version is copied, and errors": "C30-C45",
    "conditions": "C50-C59",
    "metadata": "C60-C70",
    "defaults of the destination": "C75-C80",
    "storage classes": "C85-C92",
    "tags": "C95-C100",
    "forbidding to overwrite": "C105-C109",
    "ACL": "C115-C117",
    "encryption": "C120-C125",
    "permissions": "C130-C134",
    "versions of the destination": "C140-C143",
    "answer": "C150-C162",
    "charging": "C165",
    "samples": "C170-C171",
    "Upload Part - Copy": "U01-U28",
}

WITHOUT: dict[str, str] = {}

PYTHON = re.compile(r"^\s*(?:async )?def (test_\w+)", re.MULTILINE)
# An attribute that makes a test, others, and the function: not every function, since `read_u16_be` is about no row.
RUST = re.compile(r"#\[(?:\w+::)?test\b[^\]]*\](?:\s|#\[[^\]]*\]|//.*)*(?:async )?fn (\w+)")
NUMBER = re.compile(r"(?:^|_)([cu]\d+)(?=_|$)")


def numbers(spans: str) -> list[str]:
    """``C01-C03 C10`` as C01, C02, C03, C10."""
    rows = []
    for span in spans.split():
        first, _, last = span.partition("-")
        letter, width = first[0], len(first) - 1
        rows += [f"{letter}{number:0{width}}" for number in range(int(first[1:]), int((last or first)[1:]) + 1)]
    return rows


def named_after_rows() -> dict[str, list[str]]:
    """The names of tests, of this suite and of the crates, by the rows that they carry."""
    found = defaultdict(list)
    sources = [(path, PYTHON) for path in (ROOT / "tests/sdk").glob("*.py")]
    sources += [(path, RUST) for path in (ROOT / "crates").rglob("*.rs")]
    for path, pattern in sources:
        for name in pattern.findall(path.read_text()):
            for row in NUMBER.findall(name):
                found[row.upper()].append(f"{path.relative_to(ROOT)}: {name}")
    return found


def test_every_row_has_a_test_or_a_reason() -> None:
    rows = [row for spans in ROWS.values() for row in numbers(spans)]
    assert len(set(rows)) == len(rows) == 145
    found = named_after_rows()
    assert [row for row in rows if row not in found and row not in WITHOUT] == [], "rows without a test"
    assert {row: found[row] for row in WITHOUT if row in found} == {}, "a reason, though there is a test"
    assert {row: names for row, names in found.items() if row not in rows} == {}, "tests of rows that do not exist"
    assert [row for row in WITHOUT if row not in rows] == [], "reasons for rows that do not exist"
    assert all(WITHOUT.values())
