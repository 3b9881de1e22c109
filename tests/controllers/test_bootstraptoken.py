"""Bootstrap tokens: whom they make of a caller, what they sign, and that they end."""

import base64
import hashlib
import hmac
from datetime import timedelta

import orjson
import pytest

from controllers.bootstraptoken import BootstrapSigner, TokenCleaner, expires_in_seconds, signature, signatures
from tests.client.server import eventually
from tests.controllers.bootstrap import bootstrap_secret
from tests.controllers.objects import NOW, ago
from tests.controllers.running import controllers
from tiphys.api.core.configmap import ConfigMap
from tiphys.api.core.secret import Secret
from tiphys.api.times import format_time
from tiphys.client.config import ClientConfig
from tiphys.client.errors import ApiError
from tiphys.client.rest import Client
from tiphys.clock import SystemClock

TOKEN = "abcdef.0123456789abcdef"


def test_a_signature_is_a_detached_jws_of_the_content() -> None:
    header, payload, tag = signature("content", "abcdef", "secret").split(".")
    assert payload == "" and base64.urlsafe_b64decode(header + "==") == b'{"alg":"HS256","kid":"abcdef"}'
    signed = f"{header}.{base64.urlsafe_b64encode(b'content').rstrip(b'=').decode()}"
    expected = hmac.new(b"secret", signed.encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(tag + "=") == expected


def test_only_living_tokens_that_may_sign_do() -> None:
    base = {"token-secret": "s", "usage-bootstrap-signing": "true"}
    tokens = [
        {**base, "token-id": "aaaaaa"},
        {**base, "token-id": "bbbbbb", "expiration": ago(1)},
        {**base, "token-id": "cccccc", "usage-bootstrap-signing": "false"},
    ]
    assert set(signatures("content", tokens, NOW)) == {"jws-kubeconfig-aaaaaa"}
    assert expires_in_seconds({"expiration": "never"}, NOW) == 0 and expires_in_seconds({}, NOW) is None


async def whoami(config: ClientConfig, token: str) -> list[str]:
    """Name and groups of the caller."""
    body = b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'
    async with Client(ClientConfig(server=config.server, ca_data=config.ca_data, token=token)) as caller:
        path, headers = "/apis/authentication.k8s.io/v1/selfsubjectreviews", {"Content-Type": "application/json"}
        status, _, answer = await caller.request("POST", path, body=body, headers=headers)
    if status != 201:
        raise PermissionError(status)
    user = orjson.loads(answer)["status"]["userInfo"]
    return [user["username"], *user["groups"]]


@pytest.mark.parametrize(
    "change",
    [
        {"usage_bootstrap_authentication": "false"},
        {"expiration": "2020-01-01T00:00:00Z"},
        {"expiration": "soon"},
        {"auth_extra_groups": "system:masters"},
        {"token_secret": "another0another0"},
    ],
)
async def test_a_token_that_is_not_good_is_refused(client: Client, change: dict[str, str]) -> None:
    good = bootstrap_secret("fedcba", "0123456789abcdef", auth_extra_groups="system:bootstrappers:workers")
    await client.create(Secret.model_validate(good))
    groups = await whoami(client.config, "fedcba.0123456789abcdef")
    assert groups[:3] == ["system:bootstrap:fedcba", "system:bootstrappers", "system:bootstrappers:workers"]
    await client.create(Secret.model_validate(bootstrap_secret("abcdef", "0123456789abcdef", **change)))
    with pytest.raises(PermissionError, match="401"):
        await whoami(client.config, TOKEN)


async def test_cluster_info_is_signed_for_every_token_and_a_token_goes_when_its_time_is_up(client: Client) -> None:
    info = {"metadata": {"name": "cluster-info", "namespace": "kube-public"}, "data": {"kubeconfig": "where"}}
    await client.create(ConfigMap.model_validate(info))
    end = format_time(SystemClock().now() + timedelta(seconds=3))
    await client.create(Secret.model_validate(bootstrap_secret("abcdef", "0123456789abcdef", expiration=end)))
    await client.create(Secret.model_validate(bootstrap_secret("fedcba", "0123456789abcdef")))
    async with controllers(client, BootstrapSigner):

        async def signed() -> set[str]:
            data = (await client.get(ConfigMap, "cluster-info", "kube-public")).data
            assert data["kubeconfig"] == "where"
            return set(data) - {"kubeconfig"}

        async def by_both() -> bool:
            return await signed() == {"jws-kubeconfig-abcdef", "jws-kubeconfig-fedcba"}

        await eventually(by_both, "two signatures")
        async with controllers(client, TokenCleaner):

            async def by_one() -> bool:
                return await signed() == {"jws-kubeconfig-fedcba"}

            await eventually(by_one, "the signature of the token that stays")

            async def gone() -> bool:
                try:
                    await client.get(Secret, "bootstrap-token-abcdef", "kube-system")
                except ApiError as error:
                    return error.not_found
                return False

            await eventually(gone, "the token gone")
