"""Several nodes of one machine, as `up` and `down` see them: addresses, command lines' parts, making and taking down.

What touches the network happens in a child process: the supervisor is forked from the process that runs `up`, and that
one must never have started a thread or an event loop.
"""

from __future__ import annotations

import ipaddress
import os
import traceback
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from tiphys.cli.cluster import CLUSTER_CIDR, SERVICE_CIDR, Layout, Options
from tiphys.cli.errors import CommandError

if TYPE_CHECKING:
    from nodeagent.network.segment import Segment

_ANSWER_LIMIT_BYTES = 64 << 10


def of(options: Options) -> Segment:
    from nodeagent.network.segment import Segment

    return Segment(ipaddress.IPv4Network(options.segment), options.data_dir)


def address(options: Options, number: int) -> str:
    """Of node `number` towards the others, counted from 1."""
    return str(ipaddress.IPv4Network(options.segment)[number])


def server_url(options: Options) -> str:
    """Where the nodes of this machine reach the API server."""
    return f"https://{address(options, 1)}:{options.port}" if options.segment else options.server_url


def listen(options: Options) -> str:
    """Where the API server listens: also towards the other nodes of this machine."""
    if not options.segment or ipaddress.ip_address(options.bind_address).is_unspecified:
        return options.bind_address
    return f"{options.bind_address},{address(options, 1)}"


def make(options: Options, layout: Layout) -> Options:
    """Bridge and network namespaces are there afterwards.  Raises CommandError."""
    before = layout.load_options()
    segment = before.segment if before is not None else ""
    for number in range(2, options.nodes + 1):
        layout.node_dir(number).mkdir(parents=True, exist_ok=True, mode=0o700)

    def work() -> str:
        from nodeagent.network import segment as network

        taken = [*network.routed(), ipaddress.IPv4Network(CLUSTER_CIDR), ipaddress.IPv4Network(SERVICE_CIDR)]
        text = segment or str(network.choose(taken, options.data_dir))
        namespaces = {number: layout.namespace(number) for number in range(1, options.nodes + 1)}
        network.ensure(of(replace(options, segment=text)), namespaces, CLUSTER_CIDR)
        return text

    return replace(options, segment=in_child(work))


def take_down(options: Options, layout: Layout) -> list[str]:
    """Everything of the further nodes but their data; what is left, as text for people."""
    if not options.segment:
        return []
    left = []
    for number in range(2, options.nodes + 1):
        text = in_child(lambda number=number: _take_down_node(layout, number))  # type: ignore[misc]
        left += [f"{options.node_names[number - 1]}: {line}" for line in text.splitlines()]

    def work() -> str:
        from nodeagent.network import segment as network

        network.remove(of(options), [layout.namespace(number) for number in range(1, options.nodes + 1)])
        return ""

    in_child(work)
    return left


def _take_down_node(layout: Layout, number: int) -> str:
    from nodeagent.network.segment import enter
    from nodeagent.runtime import syscalls
    from nodeagent.teardown import teardown

    pin = layout.namespace(number)
    if pin.exists() and pin.stat().st_dev != layout.root.stat().st_dev:
        enter(str(pin))
    else:
        syscalls.unshare(syscalls.CLONE_NEWNET)  # it went with a reboot; the machine's own network is not the node's
    return "\n".join(teardown(layout.node_dir(number)))


def in_child(work: Callable[[], str]) -> str:
    """What `work` returns, in a process of its own.  Raises CommandError with the words of what it raised."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.write(writer, work().encode()[:_ANSWER_LIMIT_BYTES])
            code = 0
        except OSError as error:
            os.write(writer, str(error).encode()[:_ANSWER_LIMIT_BYTES])
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read().decode(errors="replace")
    _, status = os.waitpid(pid, 0)
    if status:
        raise CommandError(answer or "setting up the network of the nodes failed")
    return answer
