"""What one of several processes does of a stream: every `of`th from the `first` on. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """Of users, requests and arrivals alike, which are numbered from 0. `first` is below `of`."""

    first: int = 0
    of: int = 1

    def part(self, total: int) -> int:
        """How many of `total`; the parts of all processes add up to it."""
        return len(range(self.first, total, self.of))

    def number(self, index: int) -> int:
        """The number in the whole of this process's own `index`, from 0."""
        return self.first + index * self.of


WHOLE = Share()


def shares(processes: int) -> tuple[Share, ...]:
    return tuple(Share(first, processes) for first in range(processes))
