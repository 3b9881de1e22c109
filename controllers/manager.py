"""Which controllers there are, and running them together.

They share one connection, one set of informers, one event recorder; what a controller writes it writes as its own
service account, with the rights it declares (roles.py).  When one of them ends with an error the whole manager
does: the supervisor starts it anew, which is simpler than half a control plane.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Protocol

from prometheus_client import CollectorRegistry

from controllers.bootstraptoken import BootstrapSigner, TokenCleaner
from controllers.certificates import CertificateApprover, CertificateCleaner, CertificateSigner
from controllers.cronjob import CronJobController
from controllers.daemonset import DaemonSetController
from controllers.deployment import DeploymentController
from controllers.disruption import DisruptionController, PodDisruptionCleaner
from controllers.endpoints import EndpointsController
from controllers.endpointslice import EndpointSliceController
from controllers.endpointslicemirroring import EndpointSliceMirroringController
from controllers.ephemeralvolume import EphemeralVolumeController
from controllers.garbagecollector import GarbageCollector
from controllers.job import JobController
from controllers.kubeletserving import KubeletServingApprover
from controllers.leasegarbage import LeaseGarbageController
from controllers.legacytoken import LegacyTokenController
from controllers.localpath import LocalPathProvisioner, LocalPathReclaimer
from controllers.namespace import NamespaceController
from controllers.nodeipam import NodeIPAM
from controllers.nodelifecycle import NodeLifecycleController
from controllers.persistentvolumebinder import PersistentVolumeClaimBinder, PersistentVolumeKeeper
from controllers.persistentvolumeexpander import PersistentVolumeExpander
from controllers.podautoscaler import PodAutoscalerController
from controllers.podgc import PodGCController
from controllers.replicaset import ReplicaSetController
from controllers.replicationcontroller import ReplicationControllerController
from controllers.resourcequota import ResourceQuotaController
from controllers.rolloutonchange import (
    DaemonSetRolloutOnChange,
    DeploymentRolloutOnChange,
    StatefulSetRolloutOnChange,
)
from controllers.rootcacertpublisher import RootCACertPublisher
from controllers.serviceaccount import ServiceAccountController
from controllers.serviceloadbalancer import ServiceLoadBalancerController
from controllers.simulatednodes import SimulatedNodes
from controllers.statefulset import StatefulSetController
from controllers.storageprotection import PVCProtectionController, PVProtectionController
from controllers.tainteviction import TaintEvictionController
from controllers.ttlafterfinished import TTLAfterFinishedController
from tiphys.client.controller import Environment
from tiphys.client.events import EventRecorder
from tiphys.client.informers import Informers
from tiphys.client.rest import Client
from tiphys.clock import Clock


class Runnable(Protocol):
    def run(self) -> Awaitable[None]: ...


CONTROLLERS: Mapping[str, Callable[[Environment], Runnable]] = {
    controller.name: controller
    for controller in (
        BootstrapSigner,
        CertificateApprover,
        CertificateCleaner,
        CertificateSigner,
        CronJobController,
        DaemonSetController,
        DaemonSetRolloutOnChange,
        DeploymentController,
        DeploymentRolloutOnChange,
        DisruptionController,
        EndpointsController,
        EndpointSliceController,
        EndpointSliceMirroringController,
        EphemeralVolumeController,
        GarbageCollector,
        JobController,
        LeaseGarbageController,
        KubeletServingApprover,
        LegacyTokenController,
        LocalPathProvisioner,
        LocalPathReclaimer,
        NamespaceController,
        NodeIPAM,
        NodeLifecycleController,
        PersistentVolumeClaimBinder,
        PersistentVolumeExpander,
        PersistentVolumeKeeper,
        PodAutoscalerController,
        PodDisruptionCleaner,
        PodGCController,
        PVCProtectionController,
        PVProtectionController,
        ReplicaSetController,
        ReplicationControllerController,
        ResourceQuotaController,
        RootCACertPublisher,
        ServiceAccountController,
        ServiceLoadBalancerController,
        StatefulSetController,
        StatefulSetRolloutOnChange,
        TaintEvictionController,
        TokenCleaner,
        TTLAfterFinishedController,
    )
}


def enabled(words: Iterable[str]) -> list[str]:
    """The names `--controllers` selects: "*" all, "name" that one, "-name" not that one.  ValueError for others.

    A name may leave out its "-controller", as upstream's do."""
    chosen: set[str] = set()
    refused: set[str] = set()
    for word in words:
        if word == "*":
            chosen.update(CONTROLLERS)
            continue
        name = word.removeprefix("-")
        full = name if name in CONTROLLERS else f"{name}-controller"
        if full not in CONTROLLERS:
            raise ValueError(f'"{name}" is not in the list of known controllers: {", ".join(sorted(CONTROLLERS))}')
        (refused if word.startswith("-") else chosen).add(full)
    return [name for name in CONTROLLERS if name in chosen - refused]


class Manager:
    """`run` while leading; `client` must be fenced by the elector."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        names: Iterable[str] = tuple(CONTROLLERS),
        simulated_nodes: int = 0,
        registry: CollectorRegistry | None = None,
        random: Random | None = None,
        pki_dir: Path | None = None,
        cluster_cidrs: tuple[str, ...] = (),
    ) -> None:
        self.client = client
        self.clock = clock
        self.names = tuple(names)
        self.simulated_nodes = simulated_nodes
        self.registry = registry
        self.pki_dir = pki_dir
        self.cluster_cidrs = cluster_cidrs
        self.random = random or Random(os.urandom(8))
        self.synced = False

    async def run(self) -> None:
        """Run until cancelled.  Raises what a controller could not handle."""
        async with Informers(self.client, self.random) as informers:
            events = EventRecorder(self.client, "kube-controller-manager", clock=self.clock)
            environment = Environment(
                self.client,
                informers,
                events,
                self.clock,
                self.random,
                self.registry,
                self.pki_dir,
                self.cluster_cidrs,
                own_identities=True,
            )
            running = [CONTROLLERS[name](environment) for name in self.names]
            if self.simulated_nodes:
                running.append(SimulatedNodes(environment, self.simulated_nodes))
            informers.start()
            try:
                async with asyncio.TaskGroup() as tasks:
                    for controller in running:
                        tasks.create_task(_run(controller))
                    await informers.wait_synced()
                    self.synced = True
            finally:
                self.synced = False
                await events.stop()


async def _run(controller: Runnable) -> None:
    await controller.run()
