"""Compiles the C sources here into one static program, and makes the images that the conformance rows run.

What must stay true: nothing but Debian parts goes in: busybox-static, and what gcc makes of our sources with libc6-dev
and libssl-dev.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from nodeagent.images.layout import BuiltImage, LayerBlob, LayerBuilder, build_image
from nodeagent.images.push_example import base_layer
from tests.agnhost.certificate import localhost
from tests.nodeagent.registry import Registry, require

SOURCES = Path(__file__).parent
FLAGS = ("-O2", "-static", "-std=gnu11", "-Wall", "-Wextra", "-pthread")
LIBRARIES = ("-lssl", "-lcrypto")
PACKAGES = "gcc libc6-dev libssl-dev"
COMPILE_SECONDS = 120
PATH_ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
FIXED_UID = 1000  # of the image whose own user is not root


def compile_program(directory: Path) -> Path:
    """The program in `directory`; AssertionError with the compiler's words if it cannot be made."""
    compiler = require("gcc", PACKAGES)
    program = directory / "agnhost"
    words = [compiler, *FLAGS, "-o", str(program), *map(str, sorted(SOURCES.glob("*.c"))), *LIBRARIES]
    done = subprocess.run(words, capture_output=True, text=True, timeout=COMPILE_SECONDS)
    assert done.returncode == 0, f"is a package missing? apt-get install {PACKAGES}\n{done.stderr}"
    return program


@dataclass(frozen=True, slots=True)
class Images:
    """References that a node can pull."""

    busybox: str  # Cmd: a shell
    agnhost: str  # Entrypoint: /agnhost, Cmd: pause; busybox below it
    non_root: str  # agnhost that runs as a user of its own
    nonewprivs: str  # /nnp, set-user-id root, prints its effective user
    kitten: str  # data.json and etc/os-release, for image volumes


def push_images(registry: Registry, directory: Path) -> Images:
    base = base_layer()
    made = _images(base, compile_program(directory).read_bytes())
    return Images(**{name: registry.push(image, f"e2e/{name}", "1") for name, image in made.items()})


def _images(base: LayerBlob, program: bytes) -> dict[str, BuiltImage]:
    certificate, key = localhost()
    files = LayerBuilder().file("agnhost", program, 0o755).symlink("agnhost-2", "/agnhost")
    agnhost = files.file("localhost.crt", certificate).file("localhost.key", key).build()
    setuid = LayerBuilder().file("nnp", program, 0o4755).build()
    kitten = LayerBuilder().file("data.json", '{"image": "kitten.jpg"}\n').directory("etc")
    kitten.file("etc/os-release", 'NAME="Alpine Linux"\nID=alpine\n')
    settings = {"Entrypoint": ["/agnhost"], "Cmd": ["pause"], "Env": PATH_ENVIRONMENT}
    return {
        "busybox": build_image([base], {"Cmd": ["sh"], "Env": PATH_ENVIRONMENT}),
        "agnhost": build_image([base, agnhost], settings),
        "non_root": build_image([base, agnhost], {**settings, "User": str(FIXED_UID)}),
        "nonewprivs": build_image([base, setuid], {"Entrypoint": ["/nnp"], "Env": PATH_ENVIRONMENT}),
        "kitten": build_image([kitten.build()], {"Env": PATH_ENVIRONMENT}),
    }
