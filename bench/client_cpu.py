"""Processor time of the client for 1,000 requests to the bundled application, 64 users.

`raw` beside wrk, `async` beside Locust's FastHttpUser, all asking for one item.
`python -m bench.client_cpu [PAIRS] [SECONDS]`
"""

import sys

from bench.load_worker import closed, completed, drive_stream
from bench.other_tools import USERS, install, locust, wrk
from bench.pairs import median_ratio, verdict
from bench.target import target

PATH = "/items/17"
RAW_TO_WRK, ASYNC_TO_LOCUST = 1.1, 0.85


def ours_s(url: str, strategy: str, seconds: float) -> float:
    """For 1,000 requests, without what was spent waiting actively."""
    stream = closed(USERS, {"duration_s": seconds}, {"path": PATH})
    record = drive_stream(url, strategy, stream)
    return 1_000 * (record.cpu_s - record.spin_s) / completed(record)


def main(pairs: int = 7, seconds: float = 4.0) -> int:
    install()
    reached = []
    with target() as url:
        for strategy, name, peer, limit in (
            ("raw", "wrk", wrk, RAW_TO_WRK),
            ("async", "Locust", locust, ASYNC_TO_LOCUST),
        ):
            ratio = median_ratio(
                f"{strategy} / {name}",
                lambda strategy=strategy: ours_s(url, strategy, seconds),
                lambda peer=peer: peer(url + PATH, seconds).cpu_s_per_1000,
                pairs,
            )
            what = f"client CPU for 1,000 requests on FastAPI, {strategy} / {name}"
            reached.append(verdict(what, ratio, limit, most=True))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
