"""Whether client and server count the same requests, for each strategy.

Against uvicorn, whose count is its access log, and against a server that closes every second
kept-alive request without an answer. The client's count is its record.
`python -m bench.client_counts [REQUESTS]`
"""

import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import get_args

from bench.load_worker import closed, drive, drive_stream
from bench.pairs import verdict
from bench.target import own, target
from control_plane.domain.client_strategies import StrategyName
from control_plane.domain.stream_record import StreamRecord

USERS = {"blocking": 1, "threaded": 16}
SHARES = {"blocking": 0.1, "threaded": 0.2, "httpx": 0.2}
"""How much of the requests a slower strategy sends."""


def counted(strategy: str, requests: int) -> tuple[int, int]:
    """Users and requests of a strategy."""
    return USERS.get(strategy, 64), max(64, round(requests * SHARES.get(strategy, 1)))


def ordinary(requests: int) -> bool:
    """All are answered."""
    equal = []
    with tempfile.NamedTemporaryFile() as log, target(access_log=log.file) as url:
        served = 0
        for strategy in get_args(StrategyName):
            users, count = counted(strategy, requests)
            record = drive(url, strategy, users, {"requests": count}, warmup_s=0)
            before, served = served, Path(log.name).read_bytes().count(b'"GET /items/')
            equal.append(told(f"{strategy}, all answered", record, served - before, count))
    return all(equal)


def dropping(requests: int) -> bool:
    """Every second one on a connection is not."""
    equal = []
    with own("bench.dropping") as url:
        for strategy in get_args(StrategyName):
            users, count = counted(strategy, requests)
            stream = closed(users, {"requests": count}, {"path": "/x"})
            record = drive_stream(url, strategy, stream, warmup_s=0)
            with urllib.request.urlopen(f"{url}/count") as answer:
                served = int(answer.read())
            equal.append(told(f"{strategy}, every second dropped", record, served, count))
    return all(equal)


def told(name: str, record: StreamRecord, served: int, wanted: int) -> bool:
    """By how much the three counts differ."""
    print(f"{name}: meant {wanted:,}, client {record.sent:,}, server {served:,}")
    apart = max(record.sent, served, wanted) - min(record.sent, served, wanted)
    return verdict(f"requests counted apart, {name}", apart, 0, most=True)


def main(requests: int = 24_999) -> int:
    equal = [ordinary(requests), dropping(requests)]
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
