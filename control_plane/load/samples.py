"""Samples as rows of six numbers, one row for each request that ended."""

from collections.abc import Iterator
from struct import Struct

import numpy as np
import numpy.typing as npt

from control_plane.load.tally import Samples

COLUMNS = 6
INTENDED, START, END, OUTCOME, SENT, RECEIVED = range(COLUMNS)
ROW = Struct(f"={COLUMNS}q")


def where(rows: Samples, chosen: npt.NDArray[np.bool_]) -> Samples:
    """Nothing is copied where all are chosen, as nearly always."""
    return rows if chosen.all() else rows[chosen]


def groups(keys: Samples, rows: Samples) -> Iterator[tuple[int, Samples]]:
    """Each key with its rows, ascending; nothing is copied where there is one key."""
    if not len(keys):
        return
    first, last = int(keys.min()), int(keys.max())
    if first == last:
        yield first, rows
        return
    for key in np.unique(keys):
        yield int(key), rows[keys == key]
