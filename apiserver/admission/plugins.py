"""The plugins in the order they run: upstream's recommended order, as far as they exist here."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver.admission import AdmissionChain, Plugin
from apiserver.admission.defaulttolerationseconds import DefaultTolerationSeconds
from apiserver.admission.namespacelifecycle import NamespaceLifecycle
from apiserver.admission.noderestriction import NodeRestriction
from apiserver.admission.priority import Priority
from apiserver.admission.serviceaccount import ServiceAccount
from apiserver.admission.storageobjectinuseprotection import StorageObjectInUseProtection
from apiserver.admission.taintnodesbycondition import TaintNodesByCondition
from apiserver.resources import Resources


def builtin_admission(resources: Resources, last: Sequence[Plugin] = ()) -> AdmissionChain:
    """`last`: plugins that need more of the server than its resources."""
    return AdmissionChain(
        [
            NamespaceLifecycle(resources),
            ServiceAccount(resources),
            NodeRestriction(),
            TaintNodesByCondition(),
            Priority(resources),
            DefaultTolerationSeconds(),
            StorageObjectInUseProtection(),
            *last,
        ]
    )
