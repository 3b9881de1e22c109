"""What is asked of a running container: probes and lifecycle hooks."""

from typing import Annotated

from tiphys.api.core.signals import SIGNALS
from tiphys.api.declaration import At, Int32, IntOrString, Model


class HTTPHeader(Model, name="io.k8s.api.core.v1.HTTPHeader"):
    """A header a probe sends."""

    name: Annotated[str, At(1, required=True)] = ""
    value: Annotated[str, At(2, required=True)] = ""


class HTTPGetAction(Model, name="io.k8s.api.core.v1.HTTPGetAction"):
    """Asks over HTTP; an answer from 200 to 399 is success."""

    path: Annotated[str, At(1)] = ""
    port: Annotated[IntOrString, At(2, required=True)] = 0
    host: Annotated[str, At(3)] = ""
    scheme: Annotated[str, At(4, enum=("HTTP", "HTTPS"))] = ""
    httpHeaders: Annotated[list[HTTPHeader], At(5)] = []


class TCPSocketAction(Model, name="io.k8s.api.core.v1.TCPSocketAction"):
    """Opens a TCP connection; that it opens is success."""

    port: Annotated[IntOrString, At(1, required=True)] = 0
    host: Annotated[str, At(2)] = ""


class GRPCAction(Model, name="io.k8s.api.core.v1.GRPCAction"):
    """Asks the gRPC health service."""

    port: Annotated[Int32, At(1, required=True)] = 0
    service: Annotated[str | None, At(2, always=True, default="")] = None


class ExecAction(Model, name="io.k8s.api.core.v1.ExecAction"):
    """Runs a command in the container; exit code 0 is success."""

    command: Annotated[list[str], At(1)] = []


class SleepAction(Model, name="io.k8s.api.core.v1.SleepAction"):
    """Waits."""

    seconds: Annotated[int, At(1, required=True)] = 0


class ProbeHandler(Model, name="io.k8s.api.core.v1.ProbeHandler"):
    """The one way a probe asks."""

    exec: Annotated[ExecAction | None, At(1)] = None
    httpGet: Annotated[HTTPGetAction | None, At(2)] = None
    tcpSocket: Annotated[TCPSocketAction | None, At(3)] = None
    grpc: Annotated[GRPCAction | None, At(4)] = None


class Probe(ProbeHandler, name="io.k8s.api.core.v1.Probe", inlined=1):
    """Asks a container regularly whether it is well."""

    initialDelaySeconds: Annotated[Int32, At(2, "How long to wait after the start.")] = 0
    timeoutSeconds: Annotated[Int32, At(3, "How long an answer may take. 1 if not given.")] = 0
    periodSeconds: Annotated[Int32, At(4, "How often to ask. 10 if not given.")] = 0
    successThreshold: Annotated[
        Int32,
        At(5, "How many successes in a row turn a failure around. 1 if not given."),
    ] = 0
    failureThreshold: Annotated[Int32, At(6, "How many failures in a row count as failed. 3 if not given.")] = 0
    terminationGracePeriodSeconds: Annotated[int | None, At(7)] = None


class LifecycleHandler(Model, name="io.k8s.api.core.v1.LifecycleHandler"):
    """The one thing a hook does."""

    exec: Annotated[ExecAction | None, At(1)] = None
    httpGet: Annotated[HTTPGetAction | None, At(2)] = None
    tcpSocket: Annotated[TCPSocketAction | None, At(3)] = None
    sleep: Annotated[SleepAction | None, At(4)] = None


class Lifecycle(Model, name="io.k8s.api.core.v1.Lifecycle"):
    """What happens right after a container has started and right before it is stopped."""

    postStart: Annotated[LifecycleHandler | None, At(1)] = None
    preStop: Annotated[LifecycleHandler | None, At(2)] = None
    stopSignal: Annotated[str | None, At(3, enum=SIGNALS)] = None
