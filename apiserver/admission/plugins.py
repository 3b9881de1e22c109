"""The plugins in the order they run: upstream's recommended order, as far as they exist here."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver.admission import AdmissionChain, Plugin
from apiserver.admission.certificateapproval import CertificateApproval
from apiserver.admission.certificatesigning import CertificateSigning
from apiserver.admission.certificatesubjectrestriction import CertificateSubjectRestriction
from apiserver.admission.defaultingressclass import DefaultIngressClass
from apiserver.admission.defaultstorageclass import DefaultStorageClass
from apiserver.admission.defaulttolerationseconds import DefaultTolerationSeconds
from apiserver.admission.eventratelimit import EventRateLimit
from apiserver.admission.limitranger import LimitRanger
from apiserver.admission.mutatingadmissionpolicy import MutatingAdmissionPolicy
from apiserver.admission.mutatingadmissionwebhook import MutatingAdmissionWebhook
from apiserver.admission.namespacelifecycle import NamespaceLifecycle
from apiserver.admission.noderestriction import NodeRestriction
from apiserver.admission.persistentvolumeclaimresize import PersistentVolumeClaimResize
from apiserver.admission.podsecurity import PodSecurity
from apiserver.admission.policy.evaluation import Ground
from apiserver.admission.priority import Priority
from apiserver.admission.resourcequota import ResourceQuota
from apiserver.admission.runtimeclass import RuntimeClass
from apiserver.admission.serviceaccount import ServiceAccount
from apiserver.admission.storageobjectinuseprotection import StorageObjectInUseProtection
from apiserver.admission.taintnodesbycondition import TaintNodesByCondition
from apiserver.admission.validatingadmissionpolicy import ValidatingAdmissionPolicy
from apiserver.admission.validatingadmissionwebhook import ValidatingAdmissionWebhook
from apiserver.admission.webhook.calling import Caller
from apiserver.authorization import Authorizer
from apiserver.outbound import Outbound
from apiserver.resources import Resources
from tiphys.clock import Clock


def builtin_admission(
    resources: Resources, outbound: Outbound, authorizer: Authorizer, clock: Clock, last: Sequence[Plugin] = ()
) -> AdmissionChain:
    """`last`: plugins that need more of the server than this, or must see what webhooks made of an object."""
    caller, ground = Caller(resources, outbound, authorizer), Ground(resources, authorizer)
    return AdmissionChain(
        [
            NamespaceLifecycle(resources),
            LimitRanger(resources),
            ServiceAccount(resources),
            NodeRestriction(),
            TaintNodesByCondition(),
            PodSecurity(resources),
            Priority(resources),
            DefaultTolerationSeconds(),
            EventRateLimit(clock.monotonic),
            DefaultStorageClass(resources),
            StorageObjectInUseProtection(),
            PersistentVolumeClaimResize(resources),
            RuntimeClass(resources),
            CertificateApproval(authorizer),
            CertificateSigning(authorizer),
            CertificateSubjectRestriction(),
            DefaultIngressClass(resources),
            MutatingAdmissionPolicy(ground),
            MutatingAdmissionWebhook(caller),
            ValidatingAdmissionPolicy(ground),
            ValidatingAdmissionWebhook(caller),
            ResourceQuota(resources),
            *last,
        ]
    )
