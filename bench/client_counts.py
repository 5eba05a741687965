"""Whether client and server count the same requests, for each strategy.

The server's count is its access log, the client's its record. `python -m bench.client_counts`
"""

import sys
import tempfile
from pathlib import Path

from bench.target import target
from bench.worker import completed, drive

CASES = (("async", 64, 24_999), ("threaded", 16, 4_999), ("blocking", 1, 2_499))


def main() -> int:
    equal = []
    with tempfile.NamedTemporaryFile() as log, target(access_log=log.file) as url:
        served = 0
        for strategy, users, count in CASES:
            record = drive(url, strategy, users, {"requests": count}, warmup_s=0)
            before, served = served, Path(log.name).read_bytes().count(b'"GET /items/')
            equal.append(completed(record) == served - before == count)
            print(f"{strategy}: client {completed(record):,}, server {served - before:,}")
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
