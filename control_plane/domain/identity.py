"""Run ids: ten characters without look-alikes."""

import re
import secrets

_SIGNS = "0123456789abcdefghjkmnpqrstvwxyz"
_PATTERN = re.compile(rf"[{_SIGNS}]{{10}}")


def new_id() -> str:
    """50 random bits as ten characters of `0-9a-hjkmnp-tv-z`."""
    return "".join(secrets.choice(_SIGNS) for _ in range(10))


def is_id(text: str) -> bool:
    return _PATTERN.fullmatch(text) is not None
