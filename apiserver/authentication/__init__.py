"""Who is asking: one file per method, tried in order; the first that knows the caller answers.

What must stay true: a credential that was offered and is wrong is a 401, never anonymous.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from apiserver.request import ANONYMOUS, Request, User


class Authenticator(Protocol):
    async def authenticate(self, request: Request) -> User | None:
        """The user, None when this method's credential is not offered; raises StatusError 401 when it is wrong."""


class AuthenticatorChain:
    """All methods in order; without any credential the caller is system:anonymous."""

    def __init__(self, authenticators: Sequence[Authenticator]) -> None:
        self._authenticators = tuple(authenticators)

    async def authenticate(self, request: Request) -> User:
        for authenticator in self._authenticators:
            user = await authenticator.authenticate(request)
            if user is not None:
                return with_authenticated_group(user)
        return ANONYMOUS


def with_authenticated_group(user: User) -> User:
    if "system:authenticated" in user.groups or user.name == ANONYMOUS.name:
        return user
    return replace(user, groups=(*user.groups, "system:authenticated"))
