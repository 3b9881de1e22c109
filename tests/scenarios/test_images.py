"""Images from real registries: whiteouts, digests, secrets, and a registry that goes away and comes back."""

from __future__ import annotations

import base64
import json
from functools import partial

import pytest

from tests.machine import Machine, Object, eventually, is_running, waiting_reason
from tests.nodeagent.registry import PASSWORD, USER, Registry
from tests.scenarios.pods import busybox_image, container, pod, whiteout_image

pytestmark = pytest.mark.timeout(180)


def ended(found: Object) -> bool:
    return found["status"]["phase"] in ("Succeeded", "Failed")


def pull_secret(name: str, registry: Registry, password: str) -> Object:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    config = json.dumps({"auths": {registry.host: {"auth": auth}}})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": config},
    }


def refused(found: Object) -> bool:
    return waiting_reason(found) in ("ErrImagePull", "ImagePullBackOff")


def pull_failure(machine: Machine, name: str) -> str | None:
    """The message of the event that tells why the pull failed."""
    return next((text for _, text in machine.events(name) if text.startswith("Failed to pull image")), None)


def test_an_upper_layer_deletes_hides_and_replaces(machine: Machine, registry: Registry) -> None:
    image = registry.push(whiteout_image(), "whiteout", "v1")
    script = "cd /; ls data opaque changed; find / -xdev -name '.wh.*'"
    machine.apply(pod("whiteout", container(image, script), restartPolicy="Never"))
    machine.wait_pod("whiteout", ended)
    assert machine.log("whiteout").split() == ["changed:", "inside", "data:", "kept", "opaque:", "new"]
    machine.kubectl("delete", "pod", "whiteout")


def test_an_image_is_pulled_by_digest(machine: Machine, registry: Registry) -> None:
    built = busybox_image(version="by digest")
    registry.push(built, "exact", "v1")
    registry.push(busybox_image(version="another"), "exact", "v1")
    reference = f"{registry.host}/exact@{built.manifest_digest}"
    machine.apply(pod("exact", container(reference, "cat /data/version"), restartPolicy="Never"))
    found = machine.wait_pod("exact", ended)
    assert machine.log("exact") == "by digest"
    assert found["status"]["containerStatuses"][0]["imageID"].endswith(built.manifest_digest)
    machine.kubectl("delete", "pod", "exact")


def test_a_guarded_registry_needs_the_right_secret(machine: Machine) -> None:
    guarded = machine.registry("guarded", auth="basic")
    image = guarded.push(busybox_image(version="guarded"), "private", "v1")
    machine.apply(pull_secret("wrong", guarded, "not it"), pull_secret("right", guarded, PASSWORD))
    for name, secrets in (("none", []), ("wrong", [{"name": "wrong"}])):
        machine.apply(pod(f"guarded-{name}", container(image), imagePullSecrets=secrets))
        machine.wait_pod(f"guarded-{name}", refused)
        message = eventually(partial(pull_failure, machine, f"guarded-{name}"), "the event of the failed pull")
        assert "pull access denied" in message and "authorization failed" in message, message
    machine.apply(pod("guarded-right", container(image), imagePullSecrets=[{"name": "right"}]))
    machine.wait_pod("guarded-right", is_running)
    # the image is on the node now, and still nobody runs it without the secret
    machine.apply(pod("guarded-after", container(image, imagePullPolicy="Always")))
    machine.wait_pod("guarded-after", refused)
    machine.kubectl("delete", "pod", "guarded-none", "guarded-wrong", "guarded-right", "guarded-after")


def test_a_pod_recovers_by_itself_when_the_registry_does(machine: Machine) -> None:
    flaky = machine.registry("flaky")
    image = flaky.push(busybox_image(version="flaky"), "flaky", "v1")
    flaky.stop()
    machine.apply(pod("waiting", container(image)))
    machine.wait_pod("waiting", lambda p: waiting_reason(p) == "ImagePullBackOff")
    assert any("connection refused" in m.lower() for r, m in machine.events("waiting") if r == "Failed")
    flaky.start()
    machine.wait_pod("waiting", is_running)
    machine.kubectl("delete", "pod", "waiting")


def test_an_image_that_is_present_starts_without_its_registry(machine: Machine) -> None:
    leaving = machine.registry("leaving")
    image = leaving.push(busybox_image(version="leaving"), "leaving", "v1")
    machine.apply(pod("before", container(image)))
    machine.wait_pod("before", is_running)
    leaving.stop()
    machine.apply(pod("after", container(image)))
    machine.wait_pod("after", is_running)
    machine.apply(pod("always", container(image, imagePullPolicy="Always")))
    machine.wait_pod("always", refused)
    machine.apply(pod("absent", container(image.replace(":v1", ":v2"), imagePullPolicy="Never")))
    machine.wait_pod("absent", lambda p: waiting_reason(p) == "ErrImageNeverPull")
    machine.kubectl("delete", "pod", "before", "after", "always", "absent")
