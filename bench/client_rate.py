"""The rate of `async` at 64 users against that of wrk, with the same pinned target.

`python -m bench.client_rate [PAIRS] [SECONDS]`
"""

import re
import sys

from bench.pairs import median_ratio, verdict
from bench.target import on_client_core, target
from bench.worker import completed, drive

USERS = 64
SHARE_OF_WRK = 0.95


def wrk_per_s(url: str, seconds: float) -> float:
    """wrk asks for one item only: it has no generator of its own."""
    options = ["-t1", f"-c{USERS}", f"-d{seconds:g}s"]
    printed = on_client_core("wrk", *options, f"{url}/items/17")
    found = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    if found is None:
        raise RuntimeError(f"wrk printed no rate: {printed}")
    return float(found[1])


def async_per_s(url: str, seconds: float) -> float:
    record = drive(url, "async", USERS, {"duration_s": seconds})
    share = record.cpu_s / (record.duration_ns / 1e9)
    print(f"  async: client CPU {share:.2f} of a core, {sum(record.errors.values())} errors")
    return completed(record) / (record.duration_ns / 1e9)


def main(pairs: int = 7, seconds: float = 5.0) -> int:
    with target() as url:
        wrk_per_s(url, 2)
        ratio = median_ratio(
            "async / wrk", lambda: async_per_s(url, seconds), lambda: wrk_per_s(url, seconds), pairs
        )
    return 0 if verdict("requests per second, async / wrk", ratio, SHARE_OF_WRK, most=False) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(one) for one in sys.argv[1:])))
