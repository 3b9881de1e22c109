"""Advice to people: what handlers noted with `request.warn` leaves as `Warning: 299 - "..."` headers.

Several warnings share one header line, comma separated, which clients read like several headers.
"""

from __future__ import annotations

from apiserver.request import AnyResponse, Handler, Request

_TOTAL_LIMIT = 4096


async def warnings(request: Request, following: Handler) -> AnyResponse:
    response = await following(request)
    if request.warnings:
        values: list[str] = []
        size = 0
        for text in request.warnings:
            value = f'299 - "{_quote(text)}"'
            size += len(value)
            if size > _TOTAL_LIMIT:
                break
            values.append(value)
        response.headers["Warning"] = ", ".join(values)
    return response


def _quote(text: str) -> str:
    visible = "".join(char if char.isprintable() else " " for char in text)
    return visible.replace("\\", "\\\\").replace('"', '\\"').encode("ascii", "replace").decode()
