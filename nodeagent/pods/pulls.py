"""Images for containers: presence, pull policy, credentials, back-off, and the events and waiting reasons of all that.

What must stay true: nothing here blocks a pod's worker (a pull is a task, and its end wakes the pod); a credential
is only ever taken from the Secrets the pod or its service account names.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from nodeagent.images.credentials import Credential, CredentialError, credentials_from_secret
from nodeagent.images.errors import ImagePullError, InvalidReferenceError
from nodeagent.images.image import Image
from nodeagent.images.reference import parse_reference
from nodeagent.images.store import ImageStore
from nodeagent.pods import backoff
from nodeagent.pods.containerspec import ImageFacts
from nodeagent.pods.environment import object_bytes
from nodeagent.pods.objects import NotSynced, ReferencedObjects
from nodeagent.pods.observed import BackoffEntry, Waiting
from tiphys.api.core.container import Container
from tiphys.api.core.pod import Pod
from tiphys.api.core.serviceaccount import ServiceAccount
from tiphys.client.errors import ApiError, ConnectionFailed
from tiphys.client.rest import Client
from tiphys.clock import Clock
from tiphys.logs import fields

_log = logging.getLogger(__name__)

SHOW_ERROR_SECONDS = 2.0  # how long the container waits with ErrImagePull before it says ImagePullBackOff
NEVER = "ErrImageNeverPull"
NOT_YET = Waiting("")  # the pull is under way: the container waits for the usual reason

EventSink = Callable[[Pod, str, str, str, str], None]  # pod, type, reason, message, container
Key = tuple[str, str]  # pod uid, image


@dataclass
class _Pull:
    """The pulls of one image for one pod."""

    task: asyncio.Task[None] | None = None
    image: Image | None = None  # pulled and not yet used
    error: ImagePullError | None = None
    failed_at: float = 0.0
    backoff: BackoffEntry | None = None
    announced: bool = False  # the BackOff event of this wait is out
    timer: asyncio.TimerHandle | None = None


class PodImages:
    """See nodeagent.pods.node.Images."""

    def __init__(
        self, store: ImageStore, client: Client, objects: ReferencedObjects, clock: Clock, event: EventSink
    ) -> None:
        self._store, self._client, self._objects = store, client, objects
        self._clock, self._event = clock, event
        self._pulls: dict[Key, _Pull] = {}

    def ensure(self, pod: Pod, container: Container, wake: Callable[[], None]) -> ImageFacts | Waiting:
        """The image, or why it is not there; `wake` is called when it is worth asking again."""
        name = container.image
        try:
            parse_reference(name)
        except InvalidReferenceError as error:
            message = f'Failed to apply default image tag "{name}": {error.message}'
            self._event(pod, "Warning", "InspectFailed", message, container.name)
            return Waiting("InvalidImageName", message)
        state = self._pulls.setdefault((pod.metadata.uid, name), _Pull())
        if state.image is not None:
            image, state.image = state.image, None
            return image_facts(image)
        present = self._store.get(name)
        policy = container.imagePullPolicy or "IfNotPresent"
        if present is not None and policy != "Always":
            if self._store.open_to_all(present.id):
                self._present(pod, container)
                return image_facts(present)
            return self._pull(pod, container, state, wake, present)
        if policy == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            self._event(pod, "Warning", "ErrImageNeverPull", message, container.name)
            return Waiting("ErrImageNeverPull", message)
        return self._pull(pod, container, state, wake)

    def _present(self, pod: Pod, container: Container) -> None:
        message = f'Container image "{container.image}" already present on machine and can be accessed by the pod'
        self._event(pod, "Normal", "Pulled", message, container.name)

    def _pull(
        self, pod: Pod, container: Container, state: _Pull, wake: Callable[[], None], present: Image | None = None
    ) -> Waiting:
        """Bring the image, or with `present` make sure that the pod may have the one that is here."""
        if state.task is not None:
            return NOT_YET
        if state.error is not None and state.backoff is not None:
            passed = self._clock.monotonic() - state.failed_at
            if passed < (state.backoff.seconds if state.error.reason == NEVER else SHOW_ERROR_SECONDS):
                self._wake_after(state, SHOW_ERROR_SECONDS - passed, wake)
                never = state.error.reason == NEVER
                return Waiting(state.error.reason, state.error.message if never else state.error.rpc_message)
            if passed < state.backoff.seconds and state.error.reason != NEVER:
                self._wake_after(state, state.backoff.seconds - passed, wake)
                return self._held_back(pod, container, state)
        work = self._run(pod, container, state, wake, present)
        state.task = asyncio.create_task(work, name=f"pull {container.image}")
        return NOT_YET

    def _held_back(self, pod: Pod, container: Container, state: _Pull) -> Waiting:
        assert state.error is not None
        cause = f"{state.error.reason}: {state.error.rpc_message}"
        message = f'Back-off pulling image "{container.image}": {cause}'
        if not state.announced:
            state.announced = True
            self._event(pod, "Normal", "BackOff", message, container.name)
            self._event(pod, "Warning", "Failed", "Error: ImagePullBackOff", container.name)
        return Waiting("ImagePullBackOff", message)

    def _wake_after(self, state: _Pull, seconds: float, wake: Callable[[], None]) -> None:
        if state.timer is not None:
            state.timer.cancel()
        state.timer = asyncio.get_running_loop().call_later(seconds + 0.01, wake)

    async def _run(
        self, pod: Pod, container: Container, state: _Pull, wake: Callable[[], None], present: Image | None
    ) -> None:
        started = self._clock.monotonic()
        try:
            if present is None:
                self._event(pod, "Normal", "Pulling", f'Pulling image "{container.image}"', container.name)
            credentials = await self._credentials(pod)
            if present is not None:
                if self._store.accessible(present.id, container.image, credentials):
                    self._present(pod, container)
                    state.image, state.error, state.backoff = present, None, None
                    return
                if container.imagePullPolicy == "Never":
                    text = f'Container image "{container.image}" is present with pull policy of Never'
                    raise ImagePullError(f"{text} but does not have the proper credentials to be used", reason=NEVER)
                self._event(pod, "Normal", "Pulling", f'Pulling image "{container.image}"', container.name)
            image = await self._store.pull(container.image, credentials)
        except ImagePullError as error:
            self._failed(pod, container, state, error)
        except Exception as error:
            _log.exception("image pull failed unexpectedly", extra=fields(image=container.image))
            self._failed(pod, container, state, ImagePullError(str(error) or type(error).__name__))
        else:
            state.image, state.error, state.backoff = image, None, None
            took = backoff.go_duration(self._clock.monotonic() - started)
            message = (
                f'Successfully pulled image "{container.image}" in {took} ({took} including waiting). '
                f"Image size: {image.size} bytes."
            )
            self._event(pod, "Normal", "Pulled", message, container.name)
        finally:
            state.task = None
            wake()

    def _failed(self, pod: Pod, container: Container, state: _Pull, error: ImagePullError) -> None:
        now = self._clock.now()
        state.error, state.failed_at, state.announced = error, self._clock.monotonic(), False
        state.backoff = backoff.next_entry(state.backoff, now, now)
        if error.reason == NEVER:
            self._event(pod, "Warning", NEVER, error.message, container.name)
        else:
            message = f'Failed to pull image "{container.image}": {error.rpc_message}'
            self._event(pod, "Warning", "Failed", message, container.name)
        self._event(pod, "Warning", "Failed", f"Error: {error.reason}", container.name)

    async def _credentials(self, pod: Pod) -> list[Credential]:
        """Of the pod's imagePullSecrets and its service account's.  A Secret that is missing or odd is left out."""
        names = {ref.name for ref in pod.spec.imagePullSecrets}
        try:
            account = await self._client.get(
                ServiceAccount, pod.spec.serviceAccountName or "default", pod.metadata.namespace
            )
            names.update(ref.name for ref in account.imagePullSecrets)
        except (ApiError, ConnectionFailed):
            pass  # no account, or no server: the pod's own secrets may do
        found: list[Credential] = []
        for name in sorted(names):
            try:
                secret = await self._objects.secret(pod.metadata.uid, pod.metadata.namespace, name)
                if secret is not None:
                    found += credentials_from_secret(secret.type, object_bytes(secret.data, base64_encoded=True))
                else:
                    self._event(pod, "Warning", "FailedToRetrieveImagePullSecret", _missing(name), "")
            except (CredentialError, NotSynced, ValueError) as error:
                _log.warning("image pull secret unusable", extra=fields(secret=name, cause=error))
        return found

    def forget(self, pod_uid: str) -> None:
        """The pod is gone: stop its pulls."""
        for key in [key for key in self._pulls if key[0] == pod_uid]:
            state = self._pulls.pop(key)
            if state.task is not None:
                state.task.cancel()
            if state.timer is not None:
                state.timer.cancel()


def _missing(name: str) -> str:
    return f"Unable to retrieve some image pull secrets ({name}); attempting to pull the image may not succeed."


def image_facts(image: Image) -> ImageFacts:
    """What a container takes from an image."""
    config = image.config
    return ImageFacts(
        id=image.repo_digests[0] if image.repo_digests else image.id,
        layers=tuple(image.layers),
        entrypoint=config.entrypoint,
        cmd=config.cmd,
        env=config.env,
        working_dir=config.working_dir,
        user=config.user,
        stop_signal=config.stop_signal,
    )
