"""The runs that a comparison is asked for, as they stand in its URL."""

from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.identity import known_id

MOST = 12


def chosen_ids(runs: str, baseline: str | None) -> tuple[tuple[str, ...], str]:
    """Read `a,b,c` and the baseline (default: the first).

    Raises InvalidInput for none, one twice, more than 12, or a baseline that is not among them;
    NotFound for what cannot be an id.
    """
    ids = tuple(part.strip() for part in runs.split(",") if part.strip())
    if not ids:
        raise _wrong("runs", "Name 2 to 12 runs: /compare?runs=first,second.")
    if len(ids) > MOST:
        raise _wrong("runs", f"{len(ids):,} runs are above the limit of {MOST}.")
    for one in ids:
        known_id(one)
    if len(set(ids)) < len(ids):
        raise _wrong("runs", "A run is named twice.")
    if baseline and baseline not in ids:
        raise _wrong("baseline", "The baseline must be one of the runs.")
    return ids, baseline or ids[0]


def _wrong(field: str, message: str) -> InvalidInput:
    return InvalidInput(message, (FieldError(field, message),))
