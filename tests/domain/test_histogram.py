"""Our bulk bucketing against numpy's order statistics and against HdrHistogram itself."""

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from control_plane.domain.histogram import (
    EMPTY,
    HIGHEST_NS,
    Histogram,
    bucket,
    decode,
    merge,
    middle_ns,
)

values = st.integers(0, HIGHEST_NS)
samples = st.lists(values, min_size=1, max_size=300)
shares = st.sampled_from([0.001, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0])


def of(numbers: list[int]) -> Histogram:
    return Histogram.of(np.array(numbers, np.int64))


def hdr(numbers: list[int]) -> HdrHistogram:
    found = HdrHistogram(1, HIGHEST_NS, 3)
    for number in numbers:
        assert found.record_value(number)
    return found


@given(samples)
def test_buckets_are_those_of_hdr_histogram(numbers):
    ours = of(numbers)
    dense = np.array(np.ctypeslib.as_array(hdr(numbers).counts), np.int64)
    assert ours.indices.tolist() == np.flatnonzero(dense).tolist()
    assert ours.counts.tolist() == dense[dense > 0].tolist()


@given(values)
def test_the_middle_of_a_bucket_is_within_a_thousandth(value):
    middle = int(middle_ns(bucket(np.array([value])))[0])
    assert abs(middle - value) <= max(0, value / 2_000) + 0.5


@given(values)
def test_a_middle_lies_in_its_own_bucket(value):
    index = bucket(np.array([value]))
    assert bucket(middle_ns(index)).tolist() == index.tolist()


@pytest.mark.parametrize("value", [0, 1, 2_047, 2_048, 2_049, 4_095, 4_096, 2**42, HIGHEST_NS])
def test_edges_of_buckets(value):
    assert of([value]).quantile_ns(0.5) == value


@pytest.mark.parametrize("value", [HIGHEST_NS + 1, 2**62])
def test_longer_durations_count_as_the_longest(value):
    index = bucket(np.array([value]))
    assert index.tolist() == bucket(np.array([HIGHEST_NS])).tolist()


@given(samples, shares)
def test_quantiles_are_nearest_rank(numbers, share):
    expected = np.quantile(np.array(numbers), share, method="inverted_cdf")
    found = of(numbers).quantile_ns(share)
    assert abs(found - expected) <= expected / 1_000 + 1


@pytest.mark.parametrize(
    ("count", "share", "rank"),
    [(1, 0.99, 1), (100, 0.99, 99), (1_000, 0.999, 999), (10, 0.95, 10), (4, 0.5, 2), (5, 0.5, 3)],
)
def test_the_rank_of_a_percentile(count, share, rank):
    found = of(list(range(1, count + 1)))
    assert found.quantile_ns(share) == rank
    assert found.beyond(share) == count - rank


@given(samples, shares)
def test_support_counts_the_samples_beyond(numbers, share):
    ordered = sorted(numbers)
    rank = len(numbers) - of(numbers).beyond(share)
    assert 1 <= rank <= len(numbers)
    assert rank >= share * len(numbers) - 1e-6
    assert abs(of(numbers).quantile_ns(share) - ordered[rank - 1]) <= ordered[rank - 1] / 1_000 + 1


@given(samples)
def test_smallest_largest_and_mean_are_exact(numbers):
    found = of(numbers)
    assert (found.minimum_ns, found.maximum_ns) == (min(numbers), max(numbers))
    assert found.mean_ns == pytest.approx(sum(numbers) / len(numbers))
    assert found.quantile_ns(1.0) <= max(numbers)


@given(st.lists(st.lists(values, max_size=50), max_size=6))
def test_merging_is_bucketing_together(parts):
    merged = merge([of(part) for part in parts])
    together = of([number for part in parts for number in part])
    assert merged.indices.tolist() == together.indices.tolist()
    assert merged.counts.tolist() == together.counts.tolist()
    assert (merged.minimum_ns, merged.maximum_ns, merged.sum_ns) == (
        together.minimum_ns,
        together.maximum_ns,
        together.sum_ns,
    )


@given(samples)
def test_hdr_histogram_reads_what_we_write(numbers):
    theirs = HdrHistogram.decode(of(numbers).encode())
    assert theirs.get_total_count() == len(numbers)
    ours = of(numbers)
    for share in (0.5, 0.99, 1.0):
        middle = theirs.get_value_at_percentile(100 * share)
        assert abs(middle - ours.quantile_ns(share)) <= middle / 1_000 + 1


@given(samples)
def test_decoding_gives_the_same_counts(numbers):
    ours = of(numbers)
    found = decode(ours.encode())
    assert found.indices.tolist() == ours.indices.tolist()
    assert found.counts.tolist() == ours.counts.tolist()


def test_we_read_what_hdr_histogram_writes():
    found = decode(hdr([5, 1_000_000, 1_000_000]).encode())
    assert found.total == 3
    assert found.quantile_ns(0.9) == pytest.approx(1_000_000, rel=0.001)


def test_nothing_recorded():
    empty = Histogram.of(np.zeros(0, np.int64))
    assert empty is EMPTY
    assert np.isnan(empty.quantile_ns(0.5))
    assert np.isnan(empty.mean_ns)
    assert empty.beyond(0.99) == 0
    assert decode(EMPTY.encode()) is EMPTY
    assert merge([]) is EMPTY
    assert merge([EMPTY, EMPTY]) is EMPTY


def test_many_quantiles_at_once_keep_their_shape():
    found = of([1, 2, 3, 4]).quantiles_ns(np.array([[0.25, 0.5], [0.75, 1.0]]))
    assert found.tolist() == [[1, 2], [3, 4]]
