"""The program as a process: ``cosine`` with any arguments, its banner, its end."""

from __future__ import annotations

import hashlib
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.etree import ElementTree

from qcloud_cos import CosConfig

from harness import (
    SECRET_ID,
    SECRET_KEY,
    START_DEADLINE,
    STOP_DEADLINE,
    Server,
)

DEV_SECRET_ID = "AKIDCosineDevelopmentOnly000000000000"
DEV_SECRET_KEY = "CosineDevelopmentOnly00000000000"
FREE_PORT = ["--listen", "127.0.0.1:0"]
KEYS = {"COSINE_SECRET_ID": SECRET_ID, "COSINE_SECRET_KEY": SECRET_KEY}
# Far below the time that requests under way are given, far above what an end takes.
PROMPT = 10.0

_READY = re.compile(r"^cosine is ready: (https?)://127\.0\.0\.1:(\d+)$")


def binary() -> str:
    """The binary under test."""
    path = os.environ.get("COSINE_BIN")
    assert path, "set COSINE_BIN to the path of the cosine binary"
    return str(Path(path).resolve())


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without what steers Cosine or sends clients elsewhere."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("COSINE_") and not name.lower().endswith("_proxy")
    }
    return {**mine, **(settings or {})}


def run_cosine(*arguments: str, cwd: Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [binary(), *arguments],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=START_DEADLINE,
    )


def shell(script: str, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """What a script prints; it must succeed. ``$COSINE`` is the binary."""
    ran = subprocess.run(
        ["sh", "-euc", script],
        cwd=cwd,
        env=environment({"COSINE": binary(), "HOME": str(cwd), **(env or {})}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=STOP_DEADLINE,
    )
    assert ran.returncode == 0, (ran.returncode, ran.stdout, ran.stderr)
    return ran.stdout.decode()


def everything_under(*directories: Path) -> dict[str, str]:
    """Every path, with the digest of its content where it is a file."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        for directory in directories
        for path in sorted(directory.rglob("*"))
    }


class Cosine(Server):
    """A command that serves, with any arguments and settings; ends with the ``with`` block.

    Clients sign with the SecretId of the banner, and with its SecretKey unless told another.
    """

    def __init__(
        self, *arguments: str, cwd: Path, env: Mapping[str, str] | None = None, secret_key: str | None = None
    ) -> None:
        self._log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [binary(), *arguments],
            cwd=cwd,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            # Python ignores SIGXFSZ, and so shall the program: a write beyond a limit fails, no more.
            restore_signals=False,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._drain, args=(lines,), daemon=True)
        self._reader.start()
        self.banner = self._read_banner(lines)
        ready = _READY.match(self.banner[0])
        if ready is None:
            self.kill()
            raise AssertionError(f"the first line does not say where: {self.banner[0]!r}")
        self.scheme, self.port = ready.group(1), int(ready.group(2))
        self.secret_id = self.shown("SecretId")
        self.secret_key = secret_key or self.shown("SecretKey")

    def _read_banner(self, lines: queue.Queue[str | None]) -> list[str]:
        banner: list[str] = []
        deadline = time.monotonic() + START_DEADLINE
        while not (banner and banner[-1].startswith("curl -")):
            try:
                line = lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self.kill()
                raise AssertionError(f"no banner in {START_DEADLINE} s: {banner}\n{self.log()}") from None
            if line is None:
                status = self.process.wait(STOP_DEADLINE)
                raise AssertionError(f"cosine ended with {status} before it was ready:\n{self.log()}")
            banner.append(line.rstrip("\n"))
        return banner

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            self.kill()
        elif self.process.poll() is None:
            self.stop()

    def shown(self, name: str) -> str:
        """The value of a line ``name: value`` of the banner."""
        (value,) = (line.removeprefix(f"{name}:").strip() for line in self.banner if line.startswith(f"{name}:"))
        return value

    @property
    def python(self) -> str:
        """The printed Python snippet."""
        start = next(at for at, line in enumerate(self.banner) if line.startswith("Python (")) + 1
        return "\n".join(self.banner[start : self.banner.index("", start)])

    @property
    def curl(self) -> str:
        """The printed curl line."""
        return self.banner[-1]

    def config(self, **options: object) -> CosConfig:
        return super().config(**{"SecretId": self.secret_id, "SecretKey": self.secret_key, **options})


def serve_arguments(data: Path) -> list[str]:
    return ["serve", "--data", str(data), *FREE_PORT]


def run_snippet(cosine: Cosine, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Runs the printed Python in an interpreter of its own; what it prints."""
    ran = subprocess.run(
        [sys.executable, "-c", cosine.python],
        cwd=cwd,
        env=environment(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=STOP_DEADLINE,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def listed_buckets(document: str) -> list[str | None]:
    root = ElementTree.fromstring(document)
    assert root.tag == "ListAllMyBucketsResult", document
    return [element.text for element in root.iterfind("Buckets/Bucket/Name")]
