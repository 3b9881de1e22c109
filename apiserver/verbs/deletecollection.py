"""deletecollection: delete what a list with the same selectors shows, one object after another.

What must stay true: an object that somebody else removed in between is no error; the answer is the list that was acted
on.
"""

from __future__ import annotations

from apiserver.encoding import bytes_response, dump
from apiserver.negotiation import negotiate
from apiserver.request import Request, Response
from apiserver.verbs import Scope
from apiserver.verbs.delete import delete_object, read_delete_options
from apiserver.verbs.list import find
from tiphys.api.status import StatusError


async def deletecollection(request: Request, scope: Scope) -> Response:
    accepted = negotiate(request.headers.get("Accept", ""), transforms=False)
    options = await read_delete_options(request, scope)
    listing = await find(request, scope)
    deleted = []
    for item in listing.items:
        try:
            stored = await delete_object(request, scope, item.namespace, item.name, options)
        except StatusError as error:
            if error.code != 404:
                raise
            continue
        deleted.append(stored.encoded)
    head = {
        "kind": scope.info.list_kind,
        "apiVersion": scope.info.api_version,
        "metadata": {"resourceVersion": str(listing.revision)},
    }
    body = b'%b,"items":[%b]}' % (dump(head)[:-1], b",".join(deleted))
    return bytes_response(body, accepted)
