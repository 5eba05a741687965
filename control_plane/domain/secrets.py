"""What must not be shown: values of headers that carry secrets, wherever they come back.

A secret value is kept apart from the spec that it belongs to. In the spec stands a placeholder,
which tells by a keyed digest whether two are the same, and which run knows the value.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from control_plane.domain.stream_record import FailedResponse

SHORTEST_SECRET = 6
"""A shorter value, such as `1` or `debug`, would blank out half of what is shown."""

HIDDEN = "[hidden]"
_SECRET_HEADER = re.compile(
    r"(^|[-_])(auth|authorization|authentication|cookie|token|secret|password|passwd|credentials?"
    r"|api-?key|apikey|session-?id|signature|access-key|private-key)($|[-_\d])",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"(?<=://)([^\s/:@]*):([^\s/@]+)@")


def is_secret_header(name: str) -> bool:
    """Return whether the value of a header is never shown: Authorization, Cookie, X-Api-Key …"""
    return _SECRET_HEADER.search(name) is not None


def hide(text: str, secrets: Mapping[str, str]) -> str:
    """Return the text with each secret replaced by its name, and passwords in URLs hidden.

    A value is found as it is, percent-encoded, and as a program prints its bytes.
    """
    for name, value in sorted(secrets.items(), key=lambda item: -len(item[1])):
        for form in dict.fromkeys((value, quote(value, safe=""), quote(value))):
            if len(form) >= SHORTEST_SECRET:
                text = text.replace(form, f"[{name}]")
    return _IN_URL.sub(rf"\1:{HIDDEN}@", text)


def without_secrets(failed: FailedResponse, secrets: Mapping[str, str]) -> FailedResponse:
    """Return a failed response with the secrets hidden in all of its texts."""
    return replace(
        failed,
        request=hide(failed.request, secrets),
        location=hide(failed.location, secrets) if failed.location else failed.location,
        head=hide(failed.head, secrets),
        body=hide(failed.body, secrets),
        detail=hide(failed.detail, secrets),
    )
