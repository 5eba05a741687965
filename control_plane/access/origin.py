"""Changes are taken only from the dashboard's own pages, and from programs.

The algorithm of Go 1.25's CrossOriginProtection: browsers tell where a request comes from in
Sec-Fetch-Site; those too old for it send Origin; what sends neither is not a browser.
"""

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from control_plane.access.http_errors import error_response, header_values
from control_plane.domain.application_report import SAFE_METHODS

_OWN_SITES = frozenset({"same-origin", "none"})


class OriginMiddleware:
    """Answers 403 to changes that a page of another site asks for.

    `same-site` is foreign too: every other port of this machine is the same site.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS and _foreign(scope):
            app = error_response(
                403, "This came from a page of another site, which may not do that."
            )
        await app(scope, receive, send)


def _foreign(scope: Scope) -> bool:
    sites = header_values(scope, b"sec-fetch-site")
    if sites:
        return not _OWN_SITES.issuperset(sites)
    hosts = [host.lower() for host in header_values(scope, b"host")]
    return any(_host_of(origin) not in hosts for origin in header_values(scope, b"origin"))


def _host_of(origin: str) -> str | None:
    """Return host and port of `http://127.0.0.1:8200`; None for `null` and what is no origin."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return None
    return parts.netloc.lower() or None
