"""The text that brings the kernel's table from one plan to the next.  Pure.

What must stay true: a transaction names our table only; nothing that is referred to goes before what refers to it; a
rebuild is one transaction, so that there is no moment without rules; what belongs to a known connection passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nodeagent.policy.plan import Ruleset

_BATCH = 2000
_TYPES = {4: "ipv4_addr", 6: "ipv6_addr"}


def rebuild(table: str, wanted: Ruleset) -> str:
    """The transaction that makes the whole table, whatever it was."""
    frame = [f"add table inet {table}", f"delete table inet {table}", f"add table inet {table}"]
    for family, kind in _TYPES.items():
        frame.append(f"add set inet {table} themselves-{family} {{ type {kind} . {kind}; }}")
        frame += [f"add map inet {table} {way}-{family} {{ type {kind} : verdict; }}" for way in ("ingress", "egress")]
    chain = f"inet {table} forward"
    frame.append(f"add chain {chain} {{ type filter hook forward priority -5; policy accept; }}")
    frame.append(f"add rule {chain} ct state established,related accept")
    for family in (4, 6):
        ip = "ip" if family == 4 else "ip6"
        frame.append(f"add rule {chain} {ip} saddr . {ip} daddr @themselves-{family} accept")
    frame.append(f"add rule {chain} icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept")
    for way, end in (("egress", "saddr"), ("ingress", "daddr")):
        frame += [f"add rule {chain} ip {end} vmap @{way}-4", f"add rule {chain} ip6 {end} vmap @{way}-6"]
    return "\n".join([*frame, update(table, Ruleset(), wanted)])


def remove(table: str) -> str:
    return f"add table inet {table}\ndelete table inet {table}\n"


def update(table: str, held: Ruleset, wanted: Ruleset) -> str:
    """The transaction for a change; "" when there is none.  First what is new, then who refers to it, then the rest."""
    lines: list[str] = []
    for name in sorted(wanted.sets.keys() - held.sets.keys()):
        lines.append(f"add set inet {table} {name} {{ type {_set_type(name)}; }}")
    for name, elements in sorted(wanted.sets.items()):
        before = held.sets.get(name, frozenset())
        lines += _elements("delete", table, name, before - elements)
        lines += _elements("add", table, name, elements - before)
    for name in sorted(wanted.chains.keys() - held.chains.keys()):
        lines.append(f"add chain inet {table} {name}")
        lines += [f"add rule inet {table} {name} {rule}" for rule in wanted.chains[name]]
    for family in (4, 6):
        before, after = held.themselves[family], wanted.themselves[family]
        lines += _elements("delete", table, f"themselves-{family}", before - after)
        lines += _elements("add", table, f"themselves-{family}", after - before)
    for name, after_pods in wanted.pods.items():
        before_pods = held.pods[name]
        gone = [one for one, chain in before_pods.items() if after_pods.get(one) != chain]
        new = [f"{one} : jump {chain}" for one, chain in after_pods.items() if before_pods.get(one) != chain]
        lines += [*_elements("delete", table, name, gone), *_elements("add", table, name, new)]
    for name in sorted(held.chains.keys() - wanted.chains.keys()):
        lines += [f"flush chain inet {table} {name}", f"delete chain inet {table} {name}"]
    lines += [f"delete set inet {table} {name}" for name in sorted(held.sets.keys() - wanted.sets.keys())]
    return "".join(line + "\n" for line in lines)


def _set_type(name: str) -> str:
    kind, family, _ = name.split("-")
    return _TYPES[int(family)] + (" . inet_service" if kind == "named" else "")


def _elements(word: str, table: str, name: str, texts: Iterable[str]) -> Iterator[str]:
    held = sorted(texts)
    for start in range(0, len(held), _BATCH):
        yield f"{word} element inet {table} {name} {{ {', '.join(held[start : start + _BATCH])} }}"
