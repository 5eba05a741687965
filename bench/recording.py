"""What recording costs a sample, and how exact its percentiles are.

`python -m bench.recording [SAMPLES]`: nanoseconds a sample to append and to bucket in bulk, with
one time and with both, against `record_value` of HdrHistogram in the same process; then
percentiles against the exact ones.
"""

import sys
import time
from collections.abc import Callable
from statistics import median

import numpy as np
from hdrh.histogram import HdrHistogram

from bench.pairs import verdict
from control_plane.domain.histogram import HIGHEST_NS, Histogram, merge
from control_plane.load.outcome import response_outcome
from control_plane.load.window_stats import WindowStats
from control_plane.load.worker_protocol import LoadTraits

LIMIT_NS = 120.0
MOST_OFF_PERCENT = 0.1
ROUNDS = 5
USERS = 64
SHARES = np.array([0.5, 0.9, 0.95, 0.99, 0.999, 0.9999])
GOOD = response_outcome(200, None, 0, 2)


def took_ns(work: Callable[[], None], samples: int) -> float:
    """Processor time: what others do on the machine matters less."""
    before_ns = time.process_time_ns()
    work()
    return (time.process_time_ns() - before_ns) / samples


CLOSED = LoadTraits(users=USERS)
OPEN = LoadTraits(users=USERS, is_scheduled=True, keeps_time=True, is_open=True)


def recording(times_ns: list[int], traits: LoadTraits) -> Callable[[], None]:
    def work() -> None:
        stats = WindowStats(traits)
        at_ns = time.monotonic_ns()
        stats.open(at_ns)
        begin, end = stats.buffer.begin, stats.buffer.end
        for user, time_ns in enumerate(times_ns):
            begin(user % USERS, at_ns, at_ns + 5)
            end(user % USERS, at_ns + time_ns, GOOD)
            at_ns += 1_000
        stats.close()

    return work


def looping(times_ns: list[int]) -> Callable[[], None]:
    """The same loop with calls that do nothing: what any recorder would pay here."""

    def nothing(*_arguments: int) -> None:
        return

    def work() -> None:
        at_ns = time.monotonic_ns()
        for user, time_ns in enumerate(times_ns):
            nothing(user % USERS, at_ns, at_ns + 5)
            nothing(user % USERS, at_ns + time_ns, GOOD)
            at_ns += 1_000

    return work


def one_by_one(times_ns: list[int]) -> Callable[[], None]:
    def work() -> None:
        record = HdrHistogram(1, HIGHEST_NS, 3).record_value
        for time_ns in times_ns:
            record(time_ns)

    return work


def largest_error(times_ns: np.ndarray) -> float:
    """Relative, over the percentiles, of the merged histograms of ten parts."""
    found = merge([Histogram.of(part) for part in np.array_split(times_ns, 10)])
    exact = np.sort(times_ns)[np.ceil(SHARES * len(times_ns)).astype(int) - 1]
    errors = np.abs(found.quantiles_ns(SHARES) / exact - 1)
    return float(errors.max())


def main(samples: int = 1_000_000) -> int:
    times_ns = np.random.default_rng(1).lognormal(14, 0.8, samples).astype(np.int64)
    given = times_ns.tolist()
    works = (
        looping(given),
        recording(given, CLOSED),
        recording(given, OPEN),
        one_by_one(given),
    )
    # In turns, so that what disturbs the machine falls on all of them.
    rounds = [[took_ns(work, samples) for work in works] for _ in range(ROUNDS)]
    single_ns = median(single - idle for idle, single, _, _ in rounds)
    both_ns = median(both - idle for idle, _, both, _ in rounds)
    value_ns = median(value for *_, value in rounds)
    print(f"one time {single_ns:.0f} ns, both {both_ns:.0f} ns, record_value {value_ns:.0f} ns")
    reached = [
        verdict("ns a sample, both times", both_ns, LIMIT_NS, most=True),
        verdict("HDR against exact, %", 100 * largest_error(times_ns), MOST_OFF_PERCENT, most=True),
    ]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
