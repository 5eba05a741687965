from concurrent.futures import ThreadPoolExecutor
from itertools import count

import numpy as np

from control_plane.load.arrivals import Arrivals


def supply(per_chunk: int) -> Arrivals:
    """0, 1, 2 … without end."""
    return Arrivals(np.arange(first, first + per_chunk) for first in count(0, per_chunk))


def test_each_is_handed_out_once() -> None:
    arrivals = supply(7)
    with ThreadPoolExecutor(8) as threads:
        taken = list(threads.map(lambda _: [arrivals.take() for _ in range(500)], range(8)))
    assert sorted(one for part in taken for one in part) == list(range(4_000))
    assert all(part == sorted(part) for part in taken)


def test_the_next_one_can_be_seen_and_stays() -> None:
    arrivals = supply(10)
    assert arrivals.opens_ns == 0
    assert [arrivals.take(), arrivals.opens_ns] == [0, 1]
