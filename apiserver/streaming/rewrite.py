"""Links in a proxied answer that would lead past the proxy, made to lead through it.  Pure.

What must stay true: only links to the proxied host itself with an absolute path are changed; a link to elsewhere, and a
relative one, stays as it is.
"""

from __future__ import annotations

import html
import posixpath
import re
from urllib.parse import urlsplit, urlunsplit

_ATTRIBUTES = {
    "a": "href", "applet": "codebase", "area": "href", "audio": "src", "base": "href", "blockquote": "cite",
    "body": "background", "button": "formaction", "command": "icon", "del": "cite", "embed": "src", "form": "action",
    "frame": "longdesc src", "head": "profile", "html": "manifest", "iframe": "longdesc src",
    "img": "longdesc src usemap", "input": "formaction src usemap", "ins": "cite", "link": "href",
    "object": "classid codebase data usemap", "q": "cite", "script": "src", "source": "src", "video": "poster src",
}  # fmt: skip
_TAG = re.compile(r"""<([a-zA-Z]+)((?:[^<>"']|"[^"]*"|'[^']*')*+)>""")
_ATTRIBUTE = re.compile(r"""(\s)([a-zA-Z]+)(\s*=\s*)("[^"]*"|'[^']*'|[^\s"'>]+)""")


class Links:
    """`prefix`: the proxy's path up to and including `/proxy`; `backend` and `asked`: authorities."""

    def __init__(self, prefix: str, backend: str, asked: str) -> None:
        self._prefix = prefix
        self._hosts = {backend, asked, backend.removesuffix(":80").removesuffix(":443")}

    def location(self, text: str) -> str:
        """A URL as the client must see it."""
        try:
            url = urlsplit(text)
        except ValueError:
            return text
        if (url.netloc and url.netloc not in self._hosts) or not url.path.startswith("/"):
            return text
        path = url.path
        if not path.startswith(self._prefix):
            path = posixpath.normpath("/" + path.lstrip("/"))
            path = self._prefix + ("" if path == "/" else path)
            if url.path.endswith("/"):
                path += "/"
        return urlunsplit(("", "", path, url.query, url.fragment))

    def page(self, text: str) -> str:
        """An HTML page as the client must see it."""
        return _TAG.sub(self._tag, text)

    def _tag(self, tag: re.Match[str]) -> str:
        names = _ATTRIBUTES.get(tag[1].lower(), "").split()
        if not names:
            return tag[0]

        def attribute(found: re.Match[str]) -> str:
            if found[2].lower() not in names:
                return found[0]
            raw = found[4]
            quote = raw[0] if raw[0] in "\"'" else '"'
            value = html.unescape(raw.strip(quote) if raw[0] in "\"'" else raw)
            changed = self.location(value)
            if changed == value:
                return found[0]
            return f"{found[1]}{found[2]}{found[3]}{quote}{html.escape(changed)}{quote}"

        return f"<{tag[1]}{_ATTRIBUTE.sub(attribute, tag[2])}>"
