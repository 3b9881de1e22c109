"""Where a suite lives: its unpacked source and a virtual environment of its own, made once and kept in a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.clients.suites.suite import Suite


@dataclass(frozen=True)
class Environment:
    root: Path

    @property
    def python(self) -> Path:
        return self.root / "venv" / "bin" / "python"

    @property
    def source(self) -> Path:
        """The unpacked source distribution."""
        [directory] = [path for path in (self.root / "source").iterdir() if path.is_dir()]
        return directory

    @property
    def finished(self) -> Path:
        return self.root / "finished"


def cache_directory() -> Path:
    """`$XDG_CACHE_HOME/tiphys-suites`, by default below ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tiphys-suites"


def prepare(suite: Suite, cache: Path) -> Environment:
    """The suite's environment; downloads and installs only what an earlier run has not left there.

    Raises CalledProcessError when pip fails.
    """
    pins = hashlib.sha256("\n".join((sys.version, *suite.requirements, *suite.alone)).encode()).hexdigest()[:12]
    environment = Environment(cache / f"{suite.name}-{suite.version}-{pins}")
    if environment.finished.exists():
        return environment
    shutil.rmtree(environment.root, ignore_errors=True)
    environment.root.mkdir(parents=True)
    _run(sys.executable, "-m", "venv", environment.root / "venv")
    pip = (environment.python, "-m", "pip", "-q", "--disable-pip-version-check")
    archives = environment.root / "archive"
    _run(*pip, "download", "--no-deps", "--no-binary", suite.name, suite.sdist, "-d", archives)
    [archive] = archives.iterdir()
    with tarfile.open(archive) as package:
        package.extractall(environment.root / "source", filter="data")
    _run(*pip, "install", environment.source, *suite.requirements)
    if suite.alone:
        _run(*pip, "install", "--no-deps", *suite.alone)
    environment.finished.touch()
    return environment


def _run(*words: str | Path) -> None:
    subprocess.run([str(word) for word in words], check=True)
