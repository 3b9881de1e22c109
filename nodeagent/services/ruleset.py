"""The nftables table of Services as text: maps and base chains, chains that pick, changes of elements.  Pure.

The way of a packet: `refusals` turns away what leads nowhere; `dispatch` finds the entrance (address, or node port) and
goes to a chain that picks one of n endpoints: `dnat to (address . protocol . port . random slot) map @tcp-endpoints`;
`remember` notes the choice for clients that stay; `hide` masquerades outsiders, and pods that reach themselves.

What must stay true: a rebuild is one transaction that starts by deleting the table, so it works on whatever is there;
nothing outside of our table is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nodeagent.services.elements import INSIDE_OFFSET, Element, Pick, endpoints_map
from nodeagent.services.ledger import Change, chains_of

MARK = 0x4000
FAMILIES = ("ip", "ip6")
_KEY, _NODE_KEY = "{f} daddr . meta l4proto . th dport", "meta l4proto . th dport"
_STICKY_KEY = "ip saddr . ip daddr . meta l4proto . th dport"
_ORIGINAL = "ct original ip daddr . meta l4proto . ct original proto-dst"
_BATCH = 2000  # elements of a statement
STICKY_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class TableConfig:
    """`name` of the table; `pods` are the ranges whose clients are inside the cluster, per family ("ip", "ip6")."""

    name: str = "tiphys-services"
    pods: Mapping[str, str] | None = None

    def pods_of(self, family: str) -> str:
        return (self.pods or {}).get(family, "")


def rebuild(config: TableConfig, elements: Iterable[tuple[Element, str]], sticky: Iterable[str] = ()) -> str:
    """The transaction that makes the whole table, whatever it was; `sticky` are elements of `affinity` to keep."""
    held = list(elements)
    lines: list[str] = []
    for family in FAMILIES:
        lines += [f"add table {family} {config.name}", f"delete table {family} {config.name}"]
    for family in FAMILIES:  # all maps before the first rule: nft reads a map's ports in the light of the rule before
        lines.append(f"table {family} {config.name} {{\n" + "\n".join(_maps(family)) + "\n}")
    for family in FAMILIES:
        lines.append(f"table {family} {config.name} {{\n" + "\n".join(_base_chains(family)) + "\n}")
        lines += chains(config, family, chains_of(value for one, value in held if one.family == family))
    lines += _statements("add", config.name, held)
    kept = list(sticky)
    if kept:
        lines.append(f"add element ip {config.name} affinity {{ {', '.join(kept)} }}")
    return "\n".join(lines) + "\n"


def remove(config: TableConfig) -> str:
    return "".join(f"add table {one} {config.name}\ndelete table {one} {config.name}\n" for one in FAMILIES)


def update(config: TableConfig, change: Change, present: set[tuple[str, str]]) -> str:
    """The transaction for a change; `present` are the (family, chain) that are there, and gains the new ones."""
    lines: list[str] = []
    for family in FAMILIES:
        wanted = chains_of(value for one, value in change.add.items() if one.family == family)
        missing = {name for name in wanted if (family, name) not in present}
        lines += chains(config, family, missing)
        present |= {(family, name) for name in missing}
    lines += _statements("delete", config.name, change.remove.items())
    lines += _statements("add", config.name, change.add.items())
    return "\n".join(lines) + "\n"


def _statements(word: str, table: str, elements: Iterable[tuple[Element, str]]) -> Iterator[str]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for element, value in elements:
        text = f"{element.key} : {value}" if value and word == "add" else element.key
        grouped.setdefault((element.family, element.container), []).append(text)
    for (family, container), texts in grouped.items():
        for start in range(0, len(texts), _BATCH):
            yield f"{word} element {family} {table} {container} {{ {', '.join(texts[start : start + _BATCH])} }}"


def chains(config: TableConfig, family: str, names: Iterable[str]) -> list[str]:
    """The chains that verdicts of elements lead to, with their rules."""
    lines: list[str] = []
    for name in sorted(names):
        pick = Pick.parse(name)
        if pick is not None:
            rules = pick_rules(pick, family, config.pods_of(family))
        elif name.startswith("remember-"):
            rules = _remember_rules(int(name.removeprefix("remember-")))
        else:
            continue  # part of the frame
        lines.append(f"add chain {family} {config.name} {name}")
        lines += [f"add rule {family} {config.name} {name} {rule}" for rule in rules]
    return lines


def pick_rules(pick: Pick, family: str, pods: str) -> list[str]:
    node = pick.kind.startswith("node")
    key = _NODE_KEY if node else _KEY.format(f=family)
    endpoints = "@" + endpoints_map(pick.protocol, node_port=node)
    marked, dnat = f"meta mark set meta mark or {MARK:#x}", f"dnat {family} to {key}"
    stays = pick.kind in ("local", "nodelocal")
    rules: list[str] = []
    if pick.kind in ("external", "node"):
        rules.append(marked)
    elif pick.kind == "cluster" and pods:
        rules.append(f"{family} saddr != {pods} {marked}")
    elif stays:
        rules.append(f"fib saddr type local {marked}")
    if pick.sticky and family == "ip":
        rules.append(f"meta l4proto {pick.protocol} dnat ip to {_STICKY_KEY} map @affinity")
    if stays and pick.inside:
        inside = f"{dnat} . {_slot(pick, family, pick.inside)} offset {INSIDE_OFFSET} map {endpoints}"
        rules += [f"{family} saddr {pods} {inside}"] if pods else []
        rules.append(f"fib saddr type local {inside}")
    rules.append(f"{dnat} . {_slot(pick, family, pick.outside)} map {endpoints}" if pick.outside else "drop")
    return rules


def _slot(pick: Pick, family: str, count: int) -> str:
    """Clients over IPv6 stay by a hash of their address: nft's registers are too few to remember them."""
    by_client = pick.sticky and family == "ip6"
    return f"jhash ip6 saddr mod {count}" if by_client else f"numgen random mod {count}"


def _remember_rules(seconds: int) -> list[str]:
    client = "ct original ip saddr . " + _ORIGINAL
    note = f"update @affinity {{ {client} timeout {seconds}s : ip daddr . th dport }}"
    return [f"meta l4proto {protocol} {note}" for protocol in ("tcp", "udp")]


def _maps(family: str) -> list[str]:
    address = "ipv4_addr" if family == "ip" else "ipv6_addr"
    key, entrance, slot = _KEY.format(f=family), f"{address} . inet_proto . inet_service", "numgen random mod 2"
    maps = [
        f"map vips {{ type {entrance} : verdict; }}",
        "map nodeports { type inet_proto . inet_service : verdict; }",
        f"map refused {{ type {entrance} : verdict; }}",
        "map node-refused { type inet_proto . inet_service : verdict; }",
        f"set cluster-ips {{ type {address}; }}",
        f"set hairpin {{ type {address} . {address}; }}",
        f"set restricted {{ type {entrance}; }}",
        f"set allowed {{ type {entrance} . {address}; flags interval; }}",
    ]
    for protocol in ("tcp", "udp"):
        value = f"{family} daddr . {protocol} dport"
        for node, start in ((False, key), (True, _NODE_KEY)):
            name = endpoints_map(protocol, node_port=node)
            maps.append(f"map {name} {{ typeof {start} . {slot} : {value}; }}")
    if family == "ip":
        known = "type ipv4_addr . ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service"
        maps += [
            f"map affine {{ type {entrance} : verdict; }}",
            "map node-affine { type inet_proto . inet_service : verdict; }",
            f"map affinity {{ {known}; flags dynamic,timeout; size {STICKY_SIZE}; }}",
        ]
    return maps


def _base_chains(family: str) -> list[str]:
    key, loopback = _KEY.format(f=family), "127.0.0.0/8" if family == "ip" else "::1"
    node = f"fib daddr type local {family} daddr != {loopback} {_NODE_KEY}"
    unknown = f"ct state new {family} daddr @cluster-ips jump refuse"
    lines = [
        *_chain("refuse", "meta l4proto tcp reject with tcp reset", "reject"),
        *_chain(
            "refusals",
            f"{key} @restricted {key} . {family} saddr != @allowed drop",
            f"{key} vmap @refused",
            f"{node} vmap @node-refused",
        ),
        *_base("refuse-incoming", "filter", "prerouting", -110, "ct state new jump refusals"),
        *_base("refuse-outgoing", "filter", "output", -110, "ct state new jump refusals"),
        *_chain("dispatch", f"{key} vmap @vips", f"{node} vmap @nodeports"),
        *_base("incoming", "nat", "prerouting", -100, "jump dispatch"),
        *_base("outgoing", "nat", "output", -100, "jump dispatch"),
        *_base("unknown-forwarded", "filter", "forward", 0, unknown),
        *_base("unknown-outgoing", "filter", "output", 0, unknown),
        *_base(
            "hide",
            "nat",
            "postrouting",
            100,
            f"meta mark & {MARK:#x} == {MARK:#x} meta mark set meta mark & {MARK ^ 0xFFFFFFFF:#x} masquerade",
            f"ct status dnat {family} saddr . {family} daddr @hairpin masquerade",
        ),
    ]
    return lines + (_memory() if family == "ip" else [])


def _memory() -> list[str]:
    """Who went where, for clients that stay: learnt when the connection leaves for its endpoint."""
    new, port = "ct state new ct status dnat", "meta l4proto . ct original proto-dst"
    rules = [f"meta l4proto {one} {new} {_ORIGINAL} vmap @affine" for one in ("tcp", "udp")]
    rules += [f"meta l4proto {one} {new} {port} vmap @node-affine" for one in ("tcp", "udp")]
    return [
        *_chain("remember", *rules),
        *_base("remember-forwarded", "filter", "postrouting", 90, "jump remember"),
        *_base("remember-incoming", "filter", "input", 0, "jump remember"),
    ]


def _chain(name: str, *rules: str) -> list[str]:
    return [f"chain {name} {{", *(f"  {rule}" for rule in rules), "}"]


def _base(name: str, kind: str, hook: str, priority: int, *rules: str) -> list[str]:
    return _chain(name, f"type {kind} hook {hook} priority {priority}; policy accept;", *rules)
