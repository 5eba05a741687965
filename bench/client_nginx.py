"""Rates of `raw` and `async` at 64 users against nginx, beside wrk and Locust's FastHttpUser.

`python -m bench.client_nginx [PAIRS] [SECONDS]`
"""

import sys

from bench.load_worker import closed, drive_stream, rate_per_s
from bench.other_tools import USERS, install, locust, wrk
from bench.pairs import median_ratio, verdict
from bench.target import nginx

RAW_TO_WRK, ASYNC_TO_WRK, ASYNC_TO_LOCUST = 0.95, 0.13, 1.3


def ours_per_s(url: str, strategy: str, seconds: float) -> float:
    record = drive_stream(url, strategy, closed(USERS, {"duration_s": seconds}, {"path": "/"}))
    share = (record.cpu_s - record.spin_s) / (record.duration_ns / 1e9)
    print(f"  {strategy}: client CPU {share:.2f} of a core, {sum(record.errors.values())} errors")
    return rate_per_s(record)


def main(pairs: int = 7, seconds: float = 4.0) -> int:
    install()
    reached = []
    with nginx() as url:
        wrk(f"{url}/", 1)
        for strategy, name, peer, limit in (
            ("raw", "wrk", wrk, RAW_TO_WRK),
            ("async", "wrk", wrk, ASYNC_TO_WRK),
            ("async", "Locust", locust, ASYNC_TO_LOCUST),
        ):
            ratio = median_ratio(
                f"{strategy} / {name}",
                lambda strategy=strategy: ours_per_s(url, strategy, seconds),
                lambda peer=peer: peer(f"{url}/", seconds).per_s,
                pairs,
            )
            what = f"requests per second on nginx, {strategy} / {name}"
            reached.append(verdict(what, ratio, limit, most=False))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
