"""How much more memory a load worker needs for 1,000,000 requests than for 10,000.

`python -m bench.client_memory [REQUESTS]`
"""

import sys

from bench.load_worker import drive
from bench.pairs import verdict
from bench.target import target

FEW = 10_000
LIMIT_MB = 20
USERS = 64


def main(many: int = 1_000_000) -> int:
    with target() as url:
        few, most = (
            drive(url, "async", USERS, {"requests": count}).peak_memory_bytes / 1e6
            for count in (FEW, many)
        )
    print(f"peak memory: {few:.1f} MB for {FEW:,} requests, {most:.1f} MB for {many:,}")
    return 0 if verdict("growth in MB", most - few, LIMIT_MB, most=True) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
