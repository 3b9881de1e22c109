"""`python -m nodeagent.images.push_example`: makes the example image from this machine's parts and pushes it.

Two layers: Debian's static busybox with a link per applet, and on top of it a page that shows the pod's name.  What
must stay true: the image stops at once on SIGTERM and runs as an ordinary user.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import urllib.error
from collections.abc import Sequence
from pathlib import Path

from nodeagent.images.layout import BuiltImage, LayerBlob, LayerBuilder, build_image, push_image, write_layout

_BUSYBOX = Path("/bin/busybox")
PORT = 8080

_SERVE = f"""#!/bin/sh
# process 1 of a container gets no signal it has no handler for
trap 'exit 0' TERM INT
httpd -f -p {PORT} -h /www &
echo "listening on port {PORT} as ${{HOSTNAME:-$(hostname)}}"
wait
"""

_PAGE = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo "Hello from ${HOSTNAME:-$(hostname)}"
"""


def base_layer() -> LayerBlob:
    """busybox with its applets.  Raises FileNotFoundError if busybox-static is not installed."""
    layer = LayerBuilder()
    for name in ("bin", "dev", "etc", "proc", "root", "run", "sbin", "sys", "usr", "usr/bin", "usr/sbin", "var"):
        layer.directory(name)
    layer.directory("tmp", 0o1777)
    layer.file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
    layer.file("etc/group", "root:x:0:\nnogroup:x:65534:\n")
    layer.file("bin/busybox", _BUSYBOX.read_bytes(), 0o755)
    listing = subprocess.run([_BUSYBOX, "--list-full"], check=True, capture_output=True, text=True).stdout
    for applet in sorted(set(listing.split()) - {"bin/busybox"}):
        layer.symlink(applet, "/bin/busybox")
    return layer.build()


def application_layer() -> LayerBlob:
    layer = LayerBuilder()
    layer.directory("app").file("app/serve", _SERVE, 0o755)
    layer.directory("www").directory("www/cgi-bin").file("www/cgi-bin/index.cgi", _PAGE, 0o755)
    return layer.build()


def example_image() -> BuiltImage:
    config = {
        "Entrypoint": ["/app/serve"],
        "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        "ExposedPorts": {f"{PORT}/tcp": {}},
        "User": "65534:65534",
        "WorkingDir": "/www",
        "Labels": {"org.opencontainers.image.title": "hello"},
    }
    return build_image([base_layer(), application_layer()], config)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="push_example", description="Make the example image and push it.")
    parser.add_argument("--registry", default="127.0.0.1:5000", help="HOST:PORT, or a URL for https")
    parser.add_argument("--repository", default="example/hello")
    parser.add_argument("--tag", default="v1")
    parser.add_argument("--layout", type=Path, help="write an OCI layout to this directory as well")
    options = parser.parse_args(argv)
    if not _BUSYBOX.exists():
        print("push_example: /bin/busybox is missing: apt-get install busybox-static", file=sys.stderr)
        return 1
    image = example_image()
    if options.layout:
        write_layout(image, options.layout, options.tag)
    base_url = options.registry if "://" in options.registry else f"http://{options.registry}"
    try:
        push_image(image, base_url, options.repository, options.tag)
    except (urllib.error.URLError, OSError) as error:
        print(f"push_example: pushing to {base_url} failed: {error}", file=sys.stderr)
        return 1
    host = base_url.partition("://")[2]
    print(f"{host}/{options.repository}:{options.tag}@{image.manifest_digest}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
