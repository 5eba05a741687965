"""What a recorder knows of a window that is over."""

from dataclasses import dataclass

from control_plane.domain.histogram import Histogram


@dataclass(frozen=True)
class Totals:
    """The whole window. Ages, `in_system_ns` and all with a default as in StreamRecord."""

    closed_ns: int
    errors: dict[str, int]
    statuses: dict[str, int]
    in_flight_ns: tuple[int, ...]
    ended: int
    bytes_sent: int
    bytes_received: int
    in_system_ns: int
    send_lag: Histogram | None
    away_ns: int = 0
    awaited_ns: int = 0
    answered: int | None = None
    late: int = 0
