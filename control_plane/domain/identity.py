"""Run ids: ten characters without look-alikes."""

import re
import secrets

from control_plane.domain.errors import NotFound

_SIGNS = "0123456789abcdefghjkmnpqrstvwxyz"
_PATTERN = re.compile(rf"[{_SIGNS}]{{10}}")


def new_id() -> str:
    """50 random bits as ten characters of `0-9a-hjkmnp-tv-z`."""
    return "".join(secrets.choice(_SIGNS) for _ in range(10))


def is_id(text: str) -> bool:
    return _PATTERN.fullmatch(text) is not None


def known_id(run_id: str) -> str:
    """Raises NotFound for what cannot be the id of a run."""
    if not is_id(run_id):
        raise no_run(run_id)
    return run_id


def no_run(run_id: str) -> NotFound:
    """What is raised where no run has that id."""
    return NotFound(f"There is no run {run_id[:20]!r}.")
