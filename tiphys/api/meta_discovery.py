"""The legacy discovery documents."""

from typing import Annotated

from tiphys.api.declaration import At, Model, default


class ServerAddressByClientCIDR(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.ServerAddressByClientCIDR"):
    """The server address clients of one network should use."""

    clientCIDR: Annotated[str, At(1, required=True)] = ""
    serverAddress: Annotated[str, At(2, required=True)] = ""


class GroupVersionForDiscovery(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionForDiscovery"):
    """A version of a group, with both names joined."""

    groupVersion: Annotated[str, At(1, required=True)] = ""
    version: Annotated[str, At(2, required=True)] = ""


class APIGroup(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup"):
    """A group with its versions."""

    kind: Annotated[str, At()] = ""
    apiVersion: Annotated[str, At()] = ""
    name: Annotated[str, At(1, required=True)] = ""
    versions: Annotated[list[GroupVersionForDiscovery], At(2, required=True)] = []
    preferredVersion: Annotated[GroupVersionForDiscovery, At(3)] = default(GroupVersionForDiscovery)
    serverAddressByClientCIDRs: Annotated[list[ServerAddressByClientCIDR], At(4)] = []


class APIGroupList(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.APIGroupList"):
    """All groups of a server but the core one."""

    kind: Annotated[str, At()] = ""
    apiVersion: Annotated[str, At()] = ""
    groups: Annotated[list[APIGroup], At(1, required=True)] = []


class APIVersions(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.APIVersions"):
    """The versions of the core group."""

    kind: Annotated[str, At()] = ""
    apiVersion: Annotated[str, At()] = ""
    versions: Annotated[list[str], At(1, required=True)] = []
    serverAddressByClientCIDRs: Annotated[list[ServerAddressByClientCIDR], At(2, required=True)] = []


class APIResource(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.APIResource"):
    """A resource or subresource of a group and version."""

    name: Annotated[str, At(1, required=True)] = ""
    singularName: Annotated[str, At(6, required=True)] = ""
    namespaced: Annotated[bool, At(2, required=True)] = False
    group: Annotated[str, At(8)] = ""
    version: Annotated[str, At(9)] = ""
    kind: Annotated[str, At(3, required=True)] = ""
    verbs: Annotated[list[str], At(4, required=True, list_type="", proto="Verbs")] = []
    shortNames: Annotated[list[str], At(5)] = []
    categories: Annotated[list[str], At(7)] = []
    storageVersionHash: Annotated[str, At(10)] = ""


class APIResourceList(Model, name="io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList"):
    """The resources of a group and version."""

    kind: Annotated[str, At()] = ""
    apiVersion: Annotated[str, At()] = ""
    groupVersion: Annotated[str, At(1, required=True)] = ""
    resources: Annotated[list[APIResource], At(2, required=True)] = []


class Info(Model, name="io.k8s.apimachinery.pkg.version.Info"):
    """Which build of Kubernetes a server claims to be."""

    major: Annotated[str, At(required=True)] = ""
    minor: Annotated[str, At(required=True)] = ""
    emulationMajor: Annotated[str, At()] = ""
    emulationMinor: Annotated[str, At()] = ""
    minCompatibilityMajor: Annotated[str, At()] = ""
    minCompatibilityMinor: Annotated[str, At()] = ""
    gitVersion: Annotated[str, At(required=True)] = ""
    gitCommit: Annotated[str, At(required=True)] = ""
    gitTreeState: Annotated[str, At(required=True)] = ""
    buildDate: Annotated[str, At(required=True)] = ""
    goVersion: Annotated[str, At(required=True)] = ""
    compiler: Annotated[str, At(required=True)] = ""
    platform: Annotated[str, At(required=True)] = ""
