"""The cookies of one user: kept as answers set them, sent back where they belong."""

import re
import time
from collections.abc import Iterable
from email.message import Message
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import Request as UrlRequest

_MOST_PATHS = 1_000


class UserCookies:
    """Keeps cookies by the rules of http.cookiejar, for one target that is on this machine.

    So those that are marked Secure go back over plain HTTP, too, as browsers do for localhost.
    """

    def __init__(self, base_url: str, host: str) -> None:
        parts = urlsplit(base_url)
        host = host or parts.netloc
        self._root = f"{parts.scheme}://{host}"
        self._jar = CookieJar(DefaultCookiePolicy(secure_protocols=("http", "https")))
        name = re.escape(urlsplit(self._root).hostname or "")
        self._own_domain = re.compile(rf";\s*domain=\.?{name}\s*(?=;|$)", re.IGNORECASE)
        self._headers: dict[str, str] = {}
        self._taken: list[tuple[str, Iterable[tuple[bytes, bytes]]]] = []
        self._until_s = float("inf")
        self.texts: set[str] = set()
        """Every value that was set: none of them is shown."""

    def header(self, path: str) -> str:
        """Return the `Cookie` of a request of that path; empty where it has none."""
        self.settle()
        path = path.partition("?")[0]
        known = self._headers.get(path)
        if known is None:
            if len(self._headers) >= _MOST_PATHS:
                self._headers.clear()
            request = UrlRequest(self._root + path)
            self._jar.add_cookie_header(request)
            known = self._headers[path] = request.get_header("Cookie") or ""
        return known

    def take(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Take the answer to a request of that path; what it sets is kept when next asked for.

        So no time of the answer holds that.
        """
        self._taken.append((path, headers))

    def settle(self) -> None:
        """Keep what was taken, and forget what has expired."""
        taken, self._taken = self._taken, []
        for path, headers in taken:
            if found := set_cookies(headers):
                self.keep(path, found)
        if self._until_s <= time.time():
            self._forget()

    def keep(self, path: str, found: Iterable[str]) -> None:
        """Keep cookies as `Set-Cookie` has them; one of another domain is left out."""
        # One after the other: http.cookiejar deletes what an answer ends before it sets the rest.
        for text in found:
            message = Message()
            # It takes no name without a dot for a domain, not even the host's own.
            message["Set-Cookie"] = self._own_domain.sub("", text)
            self._jar.extract_cookies(
                cast("Any", _SettingAnswer(message)), UrlRequest(self._root + path)
            )
            self.texts.add(cookie_of(text)[1])
        self._forget()

    def _forget(self) -> None:
        self._headers.clear()
        self._jar.clear_expired_cookies()
        ends = (cookie.expires for cookie in self._jar)
        self._until_s = min((end for end in ends if end is not None), default=float("inf"))


class _SettingAnswer:
    """What http.cookiejar reads of an answer."""

    def __init__(self, headers: Message) -> None:
        self._headers = headers

    def info(self) -> Message:
        return self._headers


def set_cookies(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return every `Set-Cookie` of an answer."""
    return [value.decode("latin-1") for name, value in headers if name.lower() == b"set-cookie"]


def cookie_of(text: str) -> tuple[str, str]:
    """Return name and value of a `Set-Cookie`."""
    name, _, value = text.partition(";")[0].partition("=")
    return name.strip(), value.strip().strip('"')
