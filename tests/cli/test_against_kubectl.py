"""The same words given to kubectl and to tiphys: the same output, the same errors, the same exit code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.running import RunningCluster
from tests.cli.waiting import until

MANIFEST = Path(__file__).parents[1] / "data" / "cli" / "everything.yaml"

READ = """
get pods
get pods -o wide
get pods -A
get po,svc,deploy
get all
get all -A
get nodes -o wide
get deploy web -o yaml
get deploy -o json
get pods -o name
get deploy,svc -o name
get svc web -o jsonpath={.spec.clusterIP}
get pods -o jsonpath={range.items[*]}{.metadata.name}{","}{end}
get pods -o custom-columns=N:.metadata.name,I:.spec.containers[*].image,X:.nope
get pods -l app=web
get pods -l app=nope
get pods -n nope
get pods -n nope -o yaml
get pods -n nope -o name
get pods nope
get pods nope nope2
get pods nope --ignore-not-found
get deploy/web svc/web
get deploy/web svc/nope
get deploy/web pod/nope -o name
get deploy web nope -o yaml
get pods --show-labels
get pods -A -L app,tier
get foo
get pods,foo
get deployments.apps
get deployments.v1.apps
get deployments.foo
get PODS
get pods --field-selector status.phase=Running
get pods --field-selector foo=bar
get deploy -l a==b,,c
get pods --no-headers
get pods --sort-by=.metadata.name
get pods a/b
get pods/a/b
get pods web -l a=b
get pods web -A
get svc,pods -n nope
get --raw /version
get --raw /nope
get secret sec -o yaml
get cm conf -o yaml --show-managed-fields
get pods -w -o nope
-n kube-system get pods
get pods --all-namespaces=true
describe deploy web
describe rs
describe pods -l app=web
describe node fake-node-0
describe nodes
describe svc web
describe cm conf
describe secret sec
describe ns default
describe sa default
describe pods nope
describe pods -n nope
describe deploy/web svc/web
describe foo
describe ev
events
events -A
events -n nope
events --for deploy/web
events --for web
events --types=Warning
events --types=Foo
logs nope
logs deploy/nope
logs -l app=nope
delete cm nope
delete cm nope --ignore-not-found
delete cm -l k=nope
delete cm
delete
delete foo x
delete cm x -A
delete cm x -l a=b
delete cm x -n nope
delete -f nofile.yaml
apply
apply -f nofile.yaml
"""

LOOSE = {
    "get pods -w -o nope": r"allowed formats are: .*",
    "get pods a/b": r"resource/name form.*",
    "delete": r"\n(Example resource (.|\n)*)?$",
}


def _alike(text: str, loose: str) -> str:
    """Ages differ by the seconds between the two commands; so does the room they take."""
    text = re.sub(r"\b(\d+d)?(\d+h)?(\d+m)?\d+s\b", "AGE", text)
    text = re.sub(r"\b\d+m\b(?=\s|$)", "AGE", text)
    text = re.sub(r"RenewTime:.*|renewTime:.*", "RENEWED", text)
    return re.sub(loose, "", re.sub(r"AGE +", "AGE ", text)) if loose else re.sub(r"AGE +", "AGE ", text)


@pytest.fixture(scope="module")
def loaded(cluster: RunningCluster) -> RunningCluster:
    """A rollout that has come to rest."""
    cluster.ok("apply", "-f", str(MANIFEST))
    cluster.ok("rollout", "status", "deployment/web", "--timeout=40s")
    until(lambda: "3/3" in cluster.ok("get", "deployment", "web"), "three replicas")
    return cluster


@pytest.mark.parametrize("line", READ.split("\n")[1:-1])
def test_a_command_answers_as_kubectl_does(loaded: RunningCluster, line: str) -> None:
    words, loose = line.split(), LOOSE.get(line, "")
    # An object that changed between the two is asked for again: a node's heartbeat is not ours to stop.
    for _ in range(3):
        theirs, ours = loaded.kubectl(*words), loaded.tiphys(*words)
        if _alike(ours.out, loose) == _alike(theirs.out, loose):
            break
    assert _alike(ours.out, loose) == _alike(theirs.out, loose)
    assert _alike(ours.err, loose) == _alike(theirs.err, loose)
    assert ours.code == theirs.code


WRITE = [
    "delete cm {}",
    "delete cm/{}",
    "delete cm {} --wait=false",
    "delete cm {} -o name",
    "delete cm {} --dry-run=server",
    "delete cm {} --grace-period=0 --force",
    "delete cm {} nope",
    "delete cm --field-selector metadata.name={}",
]


@pytest.mark.parametrize("line", WRITE)
def test_a_deletion_is_told_as_kubectl_tells_it(cluster: RunningCluster, line: str) -> None:
    words = line.format("doomed").split()
    outcomes = []
    for command in (cluster.kubectl, cluster.tiphys):
        cluster.kubectl("create", "configmap", "doomed")
        outcomes.append(command(*words))
    assert outcomes[1] == outcomes[0]
    cluster.ok("delete", "configmap", "doomed", "--ignore-not-found")
