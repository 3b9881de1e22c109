"""KindCluster as suites use it, on the running cluster that STAND_IN_KUBECONFIG and STAND_IN_KUBECTL name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml


class KindCluster:
    def __init__(self, name: str, kubeconfig: Path | None = None, image: str | None = None) -> None:
        self.name = name
        self.kubeconfig_path = Path(kubeconfig or Path.home() / "kind.kubeconfig")
        self.kubectl_path = Path(os.environ["STAND_IN_KUBECTL"])

    def create(self, config_file: str | None = None) -> None:
        """It exists; a kubeconfig calls everything as kind would call it."""
        config = yaml.safe_load(Path(os.environ["STAND_IN_KUBECONFIG"]).read_text())
        name = f"kind-{self.name}"
        for entry in (*config["clusters"], *config["users"], *config["contexts"]):
            entry["name"] = name
        for context in config["contexts"]:
            context["context"] |= {"cluster": name, "user": name}
        self.kubeconfig_path.write_text(yaml.safe_dump({**config, "current-context": name}))

    def delete(self) -> None:
        """Whoever started it takes it down."""

    def load_docker_image(self, docker_image: str) -> None:
        """Simulated nodes need no image."""

    def kubectl(self, *words: str, **options: Any) -> str:
        """What kubectl prints; CalledProcessError when it fails."""
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig_path)}
        return subprocess.check_output([self.kubectl_path, *words], env=environment, encoding="utf-8", **options)
