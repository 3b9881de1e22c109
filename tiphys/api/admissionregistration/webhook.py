"""How a webhook is reached."""

from typing import Annotated

from tiphys.api.declaration import At, Bytes, Int32, Model


class ServiceReference(Model, name="io.k8s.api.admissionregistration.v1.ServiceReference"):
    """A service inside the cluster."""

    namespace: Annotated[str, At(1, required=True)] = ""
    name: Annotated[str, At(2, required=True)] = ""
    path: Annotated[str | None, At(3)] = None
    port: Annotated[Int32 | None, At(4)] = None


class WebhookClientConfig(Model, name="io.k8s.api.admissionregistration.v1.WebhookClientConfig"):
    """The address of a webhook and how to trust it."""

    url: Annotated[str | None, At(3)] = None
    service: Annotated[ServiceReference | None, At(1)] = None
    caBundle: Annotated[Bytes, At(2)] = ""
