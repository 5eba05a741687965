import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.histogram import HIGHEST_NS, LOWEST_ROUNDED, Histogram
from control_plane.load.sample_buffer import HistogramBuilder

DURATIONS = st.lists(st.integers(0, 2 * HIGHEST_NS), max_size=60) | st.lists(
    st.integers(LOWEST_ROUNDED, HIGHEST_NS), max_size=60
)


@given(st.lists(DURATIONS, max_size=5))
def test_parts_make_the_same_histogram_as_the_whole(parts: list[list[int]]) -> None:
    tally = HistogramBuilder()
    for part in parts:
        tally.add(np.array(part, np.int64))
    whole = Histogram.of(np.array([one for part in parts for one in part], np.int64))
    found = tally.histogram()
    assert found.indices.tolist() == whole.indices.tolist()
    assert found.counts.tolist() == whole.counts.tolist()
    assert (found.minimum_ns, found.maximum_ns) == (whole.minimum_ns, whole.maximum_ns)
    assert found.sum_ns == whole.sum_ns
