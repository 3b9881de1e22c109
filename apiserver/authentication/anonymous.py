"""The caller who shows no credential: system:anonymous in system:unauthenticated.

A bearer token or basic credential that no other method understood is refused here, so that a caller with a typo in a
token is told so instead of being treated as a stranger.
"""

from __future__ import annotations

from apiserver.request import ANONYMOUS, Request, User
from tiphys.api.status import unauthorized


class Anonymous:
    async def authenticate(self, request: Request) -> User | None:
        if request.headers.get("Authorization"):
            raise unauthorized()
        return ANONYMOUS
