"""What one load worker has to do: one stream of one trial, as a JSON line."""

from dataclasses import dataclass

from pydantic import TypeAdapter

from control_plane.domain.spec import Client, Stream


@dataclass(frozen=True)
class Shard:
    """Of users, requests and arrivals alike, which are numbered from 0. `first` is below `of`."""

    first: int = 0
    of: int = 1

    def part(self, total: int) -> int:
        """How many of `total`; the parts of all processes add up to it."""
        return len(range(self.first, total, self.of))

    def number(self, index: int) -> int:
        """The number in the whole of this process's own `index`, from 0."""
        return self.first + index * self.of


WHOLE = Shard()


def shards(processes: int) -> tuple[Shard, ...]:
    return tuple(Shard(first, processes) for first in range(processes))


@dataclass(frozen=True)
class LoadPlan:
    """`base_url` is scheme, host and port. The warm-up follows the ramp-up of the stream.

    `stream` is the whole one, of which this process does its `share`.
    """

    stream: Stream
    client: Client
    base_url: str
    warmup_s: float
    timeout_s: float
    seed: int
    share: Shard = WHOLE

    @property
    def users(self) -> int:
        """How many requests of this process can be in flight at once."""
        return self.share.part(self.stream.load.users)

    @property
    def requests(self) -> int | None:
        """How many this process sends; None where the stream stops by duration."""
        stop = self.stream.stop
        return self.share.part(stop.requests) if stop.requests is not None else None

    @property
    def scheduled(self) -> bool:
        """Whether intended starts are known before, else they are the actual ones."""
        return self.stream.load.is_scheduled

    @property
    def timed(self) -> bool:
        """Whether the client sends by the clock, and not because a request ended."""
        return self.stream.load.keeps_time

    @property
    def open(self) -> bool:
        """Whether samples belong to the window by their intended start."""
        return self.stream.load.is_open

    @property
    def think_ns(self) -> int:
        """How long a user waits after an answer."""
        return round(self.stream.load.think_time_s * 1e9)

    @property
    def duration_s(self) -> float | None:
        """The length of the window; None where the stream stops by requests."""
        return self.stream.stop.duration_s

    @property
    def early_s(self) -> float:
        """How long the load of the window runs before it opens; 0 where that is another load."""
        if self.duration_s is None:
            return 0.0
        return self.stream.load.ramp_up_s + self.warmup_s

    @property
    def lead_s(self) -> float:
        """The longest time from the common start to the window's."""
        ramp_up_s = self.stream.load.ramp_up_s
        return self.stream.start_after_s + ramp_up_s + self.warmup_s + self.timeout_s

    @property
    def patience_s(self) -> float:
        """A worker that tells of no ended request for so long is stuck."""
        pause_s = self.stream.load.longest_pause_s
        return 2 * self.timeout_s + pause_s + (self.duration_s or 0) + 10

    def line(self) -> bytes:
        """One line of JSON, with its end."""
        return _PLAN.dump_json(self) + b"\n"

    @staticmethod
    def read(line: bytes) -> "LoadPlan":
        return _PLAN.validate_json(line)


_PLAN = TypeAdapter(LoadPlan)
