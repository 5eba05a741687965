"""Throughput that recording costs `raw` and `async`: the same load with every sample dropped.

`python -m bench.recording_loss [PAIRS] [SECONDS]`. The target is nginx, which answers faster than
either client asks. Both sides send the same number of requests.
"""

import sys

from bench.load_worker import UNRECORDED, closed, completed, drive_stream, rate_per_s
from bench.other_tools import USERS, install
from bench.pairs import median_ratio, verdict
from bench.target import nginx

MOST_LOST = {"raw": 0.05, "async": 0.02}


def per_s(url: str, strategy: str, requests: int, *, recorded: bool) -> float:
    stream = closed(USERS, {"requests": requests}, {"path": "/"})
    environment = {} if recorded else UNRECORDED
    record = drive_stream(url, strategy, stream, warmup_s=0.1, environment=environment)
    if recorded and completed(record) != requests:
        raise SystemExit(f"{completed(record)} of {requests} requests completed")
    return requests / (record.duration_ns / 1e9)


def main(pairs: int = 20, seconds: float = 4.0) -> int:
    install()
    reached = []
    with nginx() as url:
        for strategy, most in MOST_LOST.items():
            usual = drive_stream(url, strategy, closed(USERS, {"duration_s": 1}, {"path": "/"}))
            requests = round(seconds * rate_per_s(usual))
            ratio = median_ratio(
                f"{strategy} recorded / dropped",
                lambda strategy=strategy, n=requests: per_s(url, strategy, n, recorded=True),
                lambda strategy=strategy, n=requests: per_s(url, strategy, n, recorded=False),
                pairs,
            )
            what = f"throughput lost by recording, {strategy}"
            reached.append(verdict(what, 1 - ratio, most, most=True))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
