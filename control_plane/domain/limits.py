"""The bounds of a spec. The settings may raise them (`LOOPLAB_MAX_CONCURRENCY` and so on)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Upper bounds; lower bounds are fixed in `spec`. Times in seconds, sizes in bytes."""

    max_streams: int = 8
    max_requests: int = 10_000_000
    max_concurrency: int = 2_000
    max_threads: int = 500
    max_duration_s: float = 3_600.0
    max_rate_per_s: float = 200_000.0
    max_timeout_s: float = 600.0
    max_warmup_s: float = 600.0
    max_trials: int = 100
    max_workers: int = 64
    max_processes: int = 64
    max_body_bytes: int = 64_000_000
    max_queue: int = 1_000

    @staticmethod
    def setting(name: str) -> str:
        """The environment variable that raises the limit of that name."""
        return f"LOOPLAB_{name.upper()}"
