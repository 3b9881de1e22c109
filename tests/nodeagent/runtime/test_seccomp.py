"""The default profile as rules, for sets of capabilities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodeagent.runtime.seccomp import default_seccomp, load_profile


def decide(profile: dict[str, Any], name: str) -> str:
    """Action for a call with arguments that match no condition; "conditional" if only some arguments pass."""
    actions = [(rule["action"], rule.get("args")) for rule in profile["syscalls"] if name in rule["names"]]
    if any(action == "SCMP_ACT_ALLOW" and not args for action, args in actions):
        return "allow"
    if any(args for _, args in actions):
        return "conditional"
    return "errno" if not actions else actions[0][0]


@pytest.mark.parametrize(
    ("name", "without", "with_admin"),
    [
        ("read", "allow", "allow"),
        ("mount", "errno", "allow"),
        ("setns", "errno", "allow"),
        ("bpf", "errno", "allow"),
        ("io_uring_setup", "errno", "errno"),
        ("socket", "conditional", "conditional"),
        ("clone", "conditional", "allow"),
        ("clone3", "SCMP_ACT_ERRNO", "allow"),
        ("personality", "conditional", "conditional"),
        ("kexec_load", "errno", "errno"),
    ],
)
def test_a_call_passes_by_capability(name: str, without: str, with_admin: str) -> None:
    assert decide(default_seccomp(set()), name) == without
    assert decide(default_seccomp({"CAP_SYS_ADMIN"}), name) == with_admin


def test_sockets_of_the_kernels_cipher_and_of_hypervisors_are_refused() -> None:
    rules = [rule["args"][0] for rule in default_seccomp(set())["syscalls"] if rule["names"] == ["socket"]]

    def passes(family: int) -> bool:
        compare = {"LT": int.__lt__, "EQ": int.__eq__, "GT": int.__gt__}
        return any(compare[rule["op"].removeprefix("SCMP_CMP_")](family, rule["value"]) for rule in rules)

    assert [family for family in range(50) if not passes(family)] == [38, 40]


def test_names_are_many_and_unique() -> None:
    allowed = default_seccomp(set(), "x86_64")["syscalls"][0]["names"]
    assert len(allowed) == len(set(allowed)) > 350


def test_a_localhost_profile_is_limited_to_what_a_profile_is(tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    file.write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [], "listenerPath": "/run/evil"}))
    assert load_profile(str(file)) == {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": []}
    for path in ("relative.json", f"{tmp_path}/../x", f"{tmp_path}/absent"):
        with pytest.raises(ValueError, match="seccomp profile"):
            load_profile(path)
    file.write_text("[]")
    with pytest.raises(ValueError, match="not a seccomp profile"):
        load_profile(str(file))
