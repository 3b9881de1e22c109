"""/version: what we are, in the words clients compare."""

from __future__ import annotations

import platform

MAJOR, MINOR, PATCH = 1, 36, 2
GIT_VERSION = f"v{MAJOR}.{MINOR}.{PATCH}+tiphys"

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def version_document() -> dict[str, str]:
    """version.Info of apimachinery."""
    machine = platform.machine()
    return {
        "major": str(MAJOR),
        "minor": str(MINOR),
        "emulationMajor": str(MAJOR),
        "emulationMinor": str(MINOR),
        "minCompatibilityMajor": str(MAJOR),
        "minCompatibilityMinor": str(MINOR - 1),
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": f"python{platform.python_version()}",
        "platform": f"linux/{_ARCHITECTURES.get(machine, machine)}",
    }
