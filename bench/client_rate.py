"""The rate of `async` at 64 users against that of wrk, on the bundled application.

`python -m bench.client_rate [PAIRS] [SECONDS]`
"""

import sys

from bench.load_worker import drive, rate_per_s
from bench.other_tools import USERS, install, wrk
from bench.pairs import median_ratio, verdict
from bench.target import target

SHARE_OF_WRK = 0.98


def wrk_per_s(url: str, seconds: float) -> float:
    """wrk asks for one item only: it has no generator of its own."""
    return wrk(f"{url}/items/17", seconds).per_s


def async_per_s(url: str, seconds: float) -> float:
    record = drive(url, "async", USERS, {"duration_s": seconds})
    share = record.cpu_s / (record.duration_ns / 1e9)
    print(f"  async: client CPU {share:.2f} of a core, {sum(record.errors.values())} errors")
    return rate_per_s(record)


def main(pairs: int = 7, seconds: float = 5.0) -> int:
    install()
    with target() as url:
        wrk_per_s(url, 2)
        ratio = median_ratio(
            "async / wrk", lambda: async_per_s(url, seconds), lambda: wrk_per_s(url, seconds), pairs
        )
    what = "requests per second on FastAPI, async / wrk"
    return 0 if verdict(what, ratio, SHARE_OF_WRK, most=False) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
