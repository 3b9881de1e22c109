"""DefaultTolerationSeconds: a pod stays five minutes on a node that is not ready or cannot be reached."""

from __future__ import annotations

from apiserver.admission import Attributes, Obj, Plugin

_KEYS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_SECONDS = 300


class DefaultTolerationSeconds(Plugin):
    kinds = frozenset({("", "pods")})

    async def mutate(self, attributes: Attributes) -> None:
        if attributes.operation == "DELETE" or not attributes.is_for("", "pods") or attributes.subresource:
            return
        assert attributes.obj is not None
        spec = attributes.obj.setdefault("spec", {})
        tolerations = spec.get("tolerations", [])
        missing = [key for key in _KEYS if not any(_covers(one, key) for one in tolerations)]
        if missing:
            added = [
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _SECONDS}
                for key in missing
            ]
            spec["tolerations"] = [*tolerations, *added]


def _covers(toleration: Obj, key: str) -> bool:
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")
