"""The headers of a request as every strategy sends them: the same ones in the same order."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from control_plane.load.plan import LoadPlan
from control_plane.load.request_source import Request, RequestSource

COMMON_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "looplab"}
"""What every request carries besides its own headers."""

_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""Methods that state the length of a body also where there is none (RFC 9110, 8.6)."""


class RequestHeaders:
    """`Host`, the common ones that the request has not itself, its own ones, `Content-Length` where
    there is a body or the method asks for it, and `Connection: close` on a new connection.
    """

    def __init__(self, plan: LoadPlan, source: RequestSource) -> None:
        self._source = source
        self._common = {"Host": urlsplit(plan.base_url).netloc, **COMMON_HEADERS}
        self._last = {} if plan.client.reuse_connections else {"Connection": "close"}
        self._known: dict[tuple[int, int], dict[str, str]] = {}

    def of(self, request: Request) -> Mapping[str, str]:
        """Return all headers of a request.

        Where they have no placeholders it is the same object for each length of the body.
        """
        key = request.kind, len(request.body)
        known = self._known.get(key)
        if known is not None:
            return known
        own = {name.lower() for name in request.headers}
        common = {name: text for name, text in self._common.items() if name.lower() not in own}
        headers = {**common, **request.headers, **_length(request), **self._last}
        if self._source.fixed_headers(request.kind):
            self._known[key] = headers
        return headers


def _length(request: Request) -> dict[str, str]:
    if request.body or request.method in _WITH_LENGTH:
        return {"Content-Length": str(len(request.body))}
    return {}
