"""What a job's podFailurePolicy says of a failed pod, and whether its successPolicy is met.  Pure."""

from __future__ import annotations

from dataclasses import dataclass

from controllers.job_indexes import Indexes, parse_indexes
from controllers.podconditions import condition
from tiphys.api.batch.job import Job, PodFailurePolicyOnExitCodesRequirement, PodFailurePolicyRule
from tiphys.api.core.pod import Pod


@dataclass(frozen=True)
class Ruling:
    """`action` is "" where no rule fits; `message` is there for FailJob."""

    action: str = ""
    message: str = ""

    @property
    def counts(self) -> bool:
        """The failure counts towards the back-off limits."""
        return self.action != "Ignore"


def ruling(job: Job, pod: Pod) -> Ruling:
    """The first rule that fits the failed pod decides."""
    policy = job.spec.podFailurePolicy
    for position, rule in enumerate(policy.rules if policy is not None else ()):
        cause = _cause(rule, pod)
        if cause:
            message = f"{cause} matching {rule.action} rule at index {position}"
            return Ruling(rule.action, message if rule.action == "FailJob" else "")
    return Ruling()


def _cause(rule: PodFailurePolicyRule, pod: Pod) -> str:
    """What about the pod the rule fits; "" if it does not."""
    name = f"{pod.metadata.namespace}/{pod.metadata.name}"
    if rule.onExitCodes is not None:
        for container in (*pod.status.containerStatuses, *pod.status.initContainerStatuses):
            ended = container.state.terminated
            if ended is None or ended.exitCode == 0:
                continue
            if rule.onExitCodes.containerName in (None, container.name) and _fits(rule.onExitCodes, ended.exitCode):
                return f"Container {container.name} for pod {name} failed with exit code {ended.exitCode}"
        return ""
    for pattern in rule.onPodConditions:
        found = condition(pod, pattern.type)
        if found is not None and found.status == pattern.status:
            return f"Pod {name} has condition {found.type}"
    return ""


def _fits(requirement: PodFailurePolicyOnExitCodesRequirement, code: int) -> bool:
    return (code in requirement.values) == (requirement.operator == "In")


def success_rule(job: Job, succeeded: Indexes) -> int | None:
    """The position of the first success rule that the succeeded indexes meet."""
    policy, completions = job.spec.successPolicy, job.spec.completions or 0
    if policy is None or not succeeded.runs:
        return None
    for position, rule in enumerate(policy.rules):
        if rule.succeededIndexes is None:
            if rule.succeededCount is not None and succeeded.total >= rule.succeededCount:
                return position
            continue
        wanted = parse_indexes(rule.succeededIndexes, completions)
        needed = wanted.total if rule.succeededCount is None else rule.succeededCount
        if wanted.shared(succeeded) >= needed:
            return position
    return None
