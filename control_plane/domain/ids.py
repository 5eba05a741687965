"""The ids of runs: made, checked, read from the URL of a comparison, and put into that of a run."""

import re
import secrets
from collections.abc import Sequence

from control_plane.domain.errors import FieldError, InvalidInput, NotFound
from control_plane.domain.limits import MAX_COMPARED_RUNS

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PATTERN = re.compile(rf"[{_ALPHABET}]{{10}}")
_DIGEST = re.compile(r"[0-9a-f]{16}")


def new_id() -> str:
    """Make an id: 50 random bits as ten characters of `0-9a-hjkmnp-tv-z`."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))


def is_id(text: str) -> bool:
    """Return whether the text has the shape of an id."""
    return _PATTERN.fullmatch(text) is not None


def is_digest(text: str) -> bool:
    """Return whether the text has the shape of the digest of a spec, which names a trend."""
    return _DIGEST.fullmatch(text) is not None


def checked_id(run_id: str) -> str:
    """Return the id. Raises NotFound for what cannot be the id of a run."""
    if not is_id(run_id):
        raise no_run(run_id)
    return run_id


def no_run(run_id: str) -> NotFound:
    """Return the error for an id that no run has."""
    return NotFound(f"There is no run {run_id[:20]!r}.")


def run_address(run_id: str) -> str:
    """Return the address of the page of a run, below that of the dashboard."""
    return f"/runs/{run_id}"


def experiment_address(experiment_id: str) -> str:
    """Return the address of the page of an experiment, below that of the dashboard."""
    return f"/experiments/{experiment_id}"


def tool_result_address(peer_id: str) -> str:
    """Return the address of the page of another tool's result, below that of the dashboard."""
    return f"/peers/{peer_id}"


def report_address(ids: Sequence[str]) -> str:
    """Return the address of one HTML file: of a run, of several side by side, or of a trend."""
    if is_digest(ids[0]):
        return f"/trends/{ids[0]}.html"
    if len(ids) > 1:
        return f"/compare.html?runs={','.join(ids)}"
    return f"{run_address(ids[0])}.html"


def slug(text: str) -> str:
    """Return the text in lowercase letters, digits and dashes; empty where it has none of them."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def compared_ids(runs: str, baseline: str | None) -> tuple[tuple[str, ...], str]:
    """Return the ids of `a,b,c` and the baseline (default: the first).

    Raises InvalidInput for none, one twice, too many, or a baseline that is not among them;
    NotFound for what cannot be an id.
    """
    ids = tuple(part.strip() for part in runs.split(",") if part.strip())
    if not ids:
        raise _wrong("runs", "Name 2 to 12 runs: /compare?runs=first,second.")
    if len(ids) > MAX_COMPARED_RUNS:
        raise _wrong("runs", f"{len(ids):,} runs are above the limit of {MAX_COMPARED_RUNS}.")
    for run_id in ids:
        checked_id(run_id)
    if len(set(ids)) < len(ids):
        raise _wrong("runs", "A run is named twice.")
    if baseline and baseline not in ids:
        raise _wrong("baseline", "The baseline must be one of the runs.")
    return ids, baseline or ids[0]


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, (FieldError(field, message),))
