"""Asking one webhook: whether it is concerned, the call, and what its silence means.

What must stay true: a webhook that cannot be called, or answers nonsense, is treated by its failurePolicy and by
nothing else; a webhook with side effects is never called in a dry run; nothing of a body gets into a log or a message.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass

import orjson

from apiserver.admission import Attributes
from apiserver.admission.description import describe, shown
from apiserver.admission.expressions import ConditionError, Runner
from apiserver.admission.webhook.configurations import Webhook
from apiserver.admission.webhook.review import InvalidResponse, Verdict, denial, read_answer, review
from apiserver.authorization import Authorizer
from apiserver.outbound import Answer, Outbound, OutboundError
from apiserver.resources import Resources
from tiphys.api.kinds import KindInfo
from tiphys.api.status import bad_request, internal_error
from tiphys.logs import fields

_log = logging.getLogger(__name__)
_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "application/json, */*",
    "Accept-Encoding": "gzip",
    "User-Agent": "kube-apiserver-admission",
}
_STATUS_WORDS = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    403: "forbidden: unknown",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the request",
}


@dataclass(frozen=True, slots=True)
class Caller:
    """What webhooks of both kinds need of the server."""

    resources: Resources
    outbound: Outbound
    authorizer: Authorizer

    async def concerned(self, hook: Webhook, attributes: Attributes) -> KindInfo | None:
        """The kind in whose form the webhook wants the write; None: not at all.  Raises StatusError."""
        wanted = hook.match.find(attributes, self.resources)
        if wanted is None or not hook.conditions:
            return wanted
        values = {
            "object": await shown(attributes, attributes.obj, wanted, self.resources),
            "oldObject": await shown(attributes, attributes.old, wanted, self.resources),
            "request": describe(attributes, wanted),
        }
        try:
            holds = await hook.conditions.hold(Runner(attributes, self.authorizer, values))
        except ConditionError as error:
            raise attributes.refuse(str(error)) from None
        return wanted if holds else None

    async def ask(self, hook: Webhook, attributes: Attributes, wanted: KindInfo, *, mutating: bool) -> Verdict | None:
        """The verdict, allowed; None where there is none and the policy is to ignore that.  Raises StatusError."""
        if attributes.dry_run and hook.has_side_effects:
            raise bad_request(f'admission webhook "{hook.name}" does not support dry run')
        try:
            verdict = await self._call(hook, attributes, wanted, mutating=mutating)
        except _CallFailed as error:
            text = f'failed calling webhook "{hook.name}": {error}'
            if hook.ignores_failure:
                _log.warning("webhook failed and is ignored", extra=fields(webhook=hook.name, error=str(error)))
                return None
            raise internal_error(text) from None
        for text in verdict.warnings:
            attributes.warn(text)
        if not verdict.allowed:
            raise denial(hook.name, verdict.status)
        return verdict

    async def _call(self, hook: Webhook, attributes: Attributes, wanted: KindInfo, *, mutating: bool) -> Verdict:
        if not hook.review_version:
            raise _CallFailed("could not find a review version that is understood here")
        obj = await shown(attributes, attributes.obj, wanted, self.resources)
        old = await shown(attributes, attributes.old, wanted, self.resources)
        uid = str(uuid.uuid4())
        body = orjson.dumps(review(uid, hook.review_version, describe(attributes, wanted), obj, old))
        try:
            answer = await self.outbound.call(
                hook.target,
                hook.trust,
                body=body,
                headers=_HEADERS,
                query=f"timeout={hook.timeout_seconds}s",
                timeout_seconds=hook.timeout_seconds,
            )
        except OutboundError as error:
            raise _CallFailed(f"failed to call webhook: {error}") from None
        if not 200 <= answer.status < 300:
            raise _CallFailed(f"failed to call webhook: {_words(answer)}")
        try:
            return read_answer(answer.body, uid, hook.review_version, mutating=mutating)
        except InvalidResponse as error:
            raise _CallFailed(f"received invalid webhook response: {error}") from None


class _CallFailed(Exception):
    """No verdict."""


def _words(answer: Answer) -> str:
    """A status as upstream's client puts it; the body stays with us."""
    known = _STATUS_WORDS.get(answer.status)
    if known:
        return known
    if answer.status >= 500:
        return 'an error on the server ("unknown") has prevented the request from succeeding'
    return f"the server responded with the status code {answer.status} but did not return more information"
