"""CertificateSigningRequest: somebody asks for a certificate."""

from typing import Annotated

from tiphys.api.declaration import At, Bytes, Int32, Model, Object, Time, default
from tiphys.api.kinds import SubresourceInfo, kind
from tiphys.api.meta import ListMeta, ObjectMeta

USAGES = (
    *("any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment"),
    *("decipher only", "digital signature", "email protection", "encipher only", "ipsec end system"),
    *("ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc"),
    *("ocsp signing", "s/mime", "server auth", "signing", "timestamping"),
)


class CertificateSigningRequestSpec(Model, name="io.k8s.api.certificates.v1.CertificateSigningRequestSpec"):
    """Who asks for which certificate."""

    request: Annotated[Bytes, At(1, required=True)] = ""
    signerName: Annotated[str, At(7, required=True)] = ""
    expirationSeconds: Annotated[Int32 | None, At(8)] = None
    usages: Annotated[
        list[str],
        At(
            5,
            enum=USAGES,
        ),
    ] = []
    username: Annotated[str, At(2)] = ""
    uid: Annotated[str, At(3)] = ""
    groups: Annotated[list[str], At(4)] = []
    extra: Annotated[dict[str, list[str]], At(6, proto="map<string, ExtraValue>")] = {}


class CertificateSigningRequestCondition(Model, name="io.k8s.api.certificates.v1.CertificateSigningRequestCondition"):
    """Approved, denied or failed, and why."""

    type: Annotated[str, At(1, required=True)] = ""
    status: Annotated[str, At(6, required=True)] = ""
    reason: Annotated[str, At(2)] = ""
    message: Annotated[str, At(3)] = ""
    lastUpdateTime: Annotated[Time | None, At(4, always=True)] = None
    lastTransitionTime: Annotated[Time | None, At(5, always=True)] = None


class CertificateSigningRequestStatus(Model, name="io.k8s.api.certificates.v1.CertificateSigningRequestStatus"):
    """The decision and the certificate."""

    conditions: Annotated[list[CertificateSigningRequestCondition], At(1, keys=("type",))] = []
    certificate: Annotated[Bytes, At(2)] = ""


@kind(
    plural="certificatesigningrequests",
    short_names=("csr",),
    namespaced=False,
    subresources=(
        SubresourceInfo("approval"),
        SubresourceInfo("status"),
    ),
)
class CertificateSigningRequest(Object, name="io.k8s.api.certificates.v1.CertificateSigningRequest"):
    """A request for a certificate, its approval and the certificate."""

    apiVersion: str = "certificates.k8s.io/v1"
    kind: str = "CertificateSigningRequest"
    metadata: Annotated[ObjectMeta, At(1)] = default(ObjectMeta)
    spec: Annotated[CertificateSigningRequestSpec, At(2, required=True)] = default(CertificateSigningRequestSpec)
    status: Annotated[CertificateSigningRequestStatus, At(3)] = default(CertificateSigningRequestStatus)


class CertificateSigningRequestList(Object, name="io.k8s.api.certificates.v1.CertificateSigningRequestList"):
    """A list of CertificateSigningRequest objects."""

    apiVersion: str = "certificates.k8s.io/v1"
    kind: str = "CertificateSigningRequestList"
    metadata: Annotated[ListMeta, At(1)] = default(ListMeta)
    items: Annotated[list[CertificateSigningRequest], At(2, required=True, list_type="")] = []
