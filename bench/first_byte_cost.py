"""Throughput that the time to first byte costs `raw`: the same load recorded without it.

`python -m bench.first_byte_cost [PAIRS] [SECONDS]`. The target is nginx, which answers faster than
the client asks. Where all requests are one, `raw` does not read the same answer again; of several
it looks at each. Both sides send the same number of requests.
"""

import sys

from bench.load_worker import UNHEARD, closed, completed, drive_stream, rate_per_s
from bench.other_tools import USERS, install
from bench.pairs import median_ratio, verdict
from bench.target import nginx

MOST_LOST = 0.02
REQUESTS = {
    "the same answer": [{"path": "/"}],
    "two request classes": [{"path": "/"}, {"path": "/?again"}],
}
"""Requests of several classes are not known to be the same: each answer goes through the parser."""


def per_s(url: str, requests: list[dict[str, str]], number: int, *, heard: bool) -> float:
    stream = {**closed(USERS, {"requests": number}, {}), "requests": requests}
    environment = {} if heard else UNHEARD
    record = drive_stream(url, "raw", stream, warmup_s=0.1, environment=environment)
    if completed(record) != number:
        raise SystemExit(f"{completed(record)} of {number} requests completed")
    return number / (record.duration_ns / 1e9)


def main(pairs: int = 20, seconds: float = 4.0) -> int:
    install()
    reached = []
    with nginx() as url:
        for name, requests in REQUESTS.items():
            stream = {**closed(USERS, {"duration_s": 1}, {}), "requests": requests}
            number = round(seconds * rate_per_s(drive_stream(url, "raw", stream)))
            ratio = median_ratio(
                f"raw, {name}, with first byte / without",
                lambda requests=requests, n=number: per_s(url, requests, n, heard=True),
                lambda requests=requests, n=number: per_s(url, requests, n, heard=False),
                pairs,
            )
            what = f"throughput lost by the first byte, raw, {name}"
            reached.append(verdict(what, 1 - ratio, MOST_LOST, most=True))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
