"""24,999 GETs by each strategy against plain scripts with the same library.

`python -m bench.client_duration [PAIRS] [REQUESTS]`
"""

import sys
from collections.abc import Callable
from pathlib import Path

from bench.load_worker import drive
from bench.pairs import median_ratio, verdict
from bench.target import on_client_core, target

HERE = Path(__file__).parent
THREADS = 6
CASES = (
    ("async", 100, "plain_gather.py", (), 0.6),
    ("blocking", 1, "plain_blocking.py", (), 1.05),
    ("threaded", THREADS, "plain_threaded.py", (str(THREADS),), 1.05),
)


def plain(script: str, url: str, count: int, *arguments: str) -> Callable[[], float]:
    """Seconds that the script measured itself, without the start of its interpreter."""
    command = [sys.executable, str(HERE / script), url, str(count), *arguments]
    return lambda: float(on_client_core(*command))


def ours(strategy: str, users: int, url: str, count: int) -> Callable[[], float]:
    """Seconds from the first intended start to the last end."""
    stop = {"requests": count}
    return lambda: drive(url, strategy, users, stop, warmup_s=0).duration_ns / 1e9


def main(pairs: int = 5, count: int = 24_999) -> int:
    reached = []
    with target() as url:
        for strategy, users, script, arguments, limit in CASES:
            name = f"{strategy} / {script}"
            ratio = median_ratio(
                name,
                ours(strategy, users, url, count),
                plain(script, url, count, *arguments),
                pairs,
            )
            reached.append(verdict(f"duration, {name}", ratio, limit, most=True))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main(*(int(argument) for argument in sys.argv[1:])))
