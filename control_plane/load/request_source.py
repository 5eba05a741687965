"""The requests of a stream, in the order of sending, made from its weighted request classes."""

from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, count
from random import Random
from typing import NamedTuple

from control_plane.domain.request_bodies_and_values import (
    RowValue,
    Scalar,
    SequenceValue,
    SingleValue,
    StringValue,
    UuidValue,
    Value,
    filled_names,
)
from control_plane.domain.row_files import Row
from control_plane.domain.spec import RequestClass, Until
from control_plane.load import placeholders
from control_plane.load.content_check import ContentCheck, Reading, content_checks
from control_plane.load.plan import WHOLE, Seeds, Shard
from control_plane.load.request_values import (
    ValueGenerator,
    body_renderer,
    content_type,
    random_bits,
    row_generator,
    value_generator,
)


class Request(NamedTuple):
    """A request as strategies send it.

    `path` is encoded and begins with a slash; it may hold a query. `body` is empty where there
    is none. `expect` None stands for 200 to 299. `kind` is the place of its request class.
    `content` is what is expected of the response's body, None where nothing is; `until` says where
    its reading ends, None at its own end.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    expect: frozenset[int] | None
    kind: int = 0
    content: ContentCheck | None = None
    until: Until | None = None

    def reading(self) -> Reading | None:
        """Return what reads the response until somewhere; None where it is read to its end."""
        return None if self.until is None else Reading(self.until)


class _RequestFactory:
    """Makes the requests of one class; what has no placeholders is made once.

    Sequences take the numbers of `serial`, which all classes share; those that repeat, and rows,
    count the requests of this class from the beginning of the window.
    """

    def __init__(
        self, request: RequestClass, seeds: Seeds, kind: int, share: Shard, serial: Iterator[int]
    ) -> None:
        names = filled_names(request.values)
        self._method, self._kind, self._share, self._serial = request.method, kind, share, serial
        self._path = placeholders.path_template(request.path, names)
        self._headers = {
            name: placeholders.header_template(text, names)
            for name, text in _headers(request).items()
        }
        trial = random_bits(seeds.trial, kind + 1)
        self._body = body_renderer(request, names, Random(random_bits(trial, 0)))
        expect = request.expect
        statuses = expect.statuses if expect else None
        self._expect = None if statuses is None else frozenset(statuses)
        self._content, self._until = content_checks(expect, names), request.until
        self._drawn: dict[str, ValueGenerator] = {}
        self._counted: dict[str, ValueGenerator] = {}
        self._repeated: dict[str, ValueGenerator] = {}
        self._rows: list[Callable[[int], Row]] = []
        for place, (name, value) in enumerate(request.values.items(), start=1):
            seed = random_bits(random_bits(_seed_of(value, seeds), kind + 1), place)
            if isinstance(value, RowValue):
                self._rows.append(row_generator(value, seed, seeds.block))
            else:
                self._generators(value)[name] = value_generator(value, seed)
        self.fixed_headers = not any(header.names for header in self._headers.values())
        self._fixed_headers = self._rendered({}) if self.fixed_headers else None
        self.restart()
        self.only = None if request.values else self.make(0)

    @property
    def counts(self) -> bool:
        """Whether its requests take a number of `serial` each."""
        return bool(self._counted)

    def restart(self) -> None:
        """Let the sequences that repeat begin anew, and rows with the first one."""
        self._again = count(self._share.first, self._share.of)
        self._next_row = count(self._share.first, self._share.of)

    def make(self, number: int) -> Request:
        """Return the request of a number: the same each time where nothing is drawn (`only`)."""
        values = {name: value(number) for name, value in self._drawn.items()}
        if self._counted:
            serial = next(self._serial)
            for name, value in self._counted.items():
                values[name] = value(serial)
        if self._repeated:
            again = next(self._again)
            for name, value in self._repeated.items():
                values[name] = value(again)
        if self._rows:
            place = next(self._next_row)
            for row in self._rows:
                values |= row(place)
        return Request(
            self._method,
            self._path.render(values),
            self._rendered(values) if self._fixed_headers is None else self._fixed_headers,
            self._body(values),
            self._expect,
            self._kind,
            self._content(values) if self._content else None,
            self._until,
        )

    def _generators(self, value: SingleValue) -> dict[str, ValueGenerator]:
        if not isinstance(value, SequenceValue):
            return self._drawn
        return self._repeated if value.repeat else self._counted

    def _rendered(self, values: Mapping[str, Scalar]) -> dict[str, str]:
        # An empty value at an end would leave a space there, which is no part of a header value.
        return {name: header.render(values).strip() for name, header in self._headers.items()}


def _seed_of(value: Value, seeds: Seeds) -> int:
    if value.repeat:
        return seeds.repeat
    return seeds.unique if isinstance(value, StringValue | UuidValue) else seeds.trial


class RequestSource:
    """Draws the requests of a stream; the same seeds give the same requests.

    The requests of all shares together are those of the whole; where several request classes have
    sequences, a sequence has gaps, and no value comes twice.

    `only` is the request where all are one and the same.
    Safe to use from many threads, none of which waits for another.
    """

    def __init__(
        self, requests: Sequence[RequestClass], seeds: Seeds, share: Shard = WHOLE
    ) -> None:
        self._seed = random_bits(seeds.trial, 0)
        self._serial = count(share.first, share.of)
        self._makers = [
            _RequestFactory(request, seeds, kind, share, self._serial)
            for kind, request in enumerate(requests)
        ]
        self.only = self._makers[0].only if len(self._makers) == 1 else None
        self._until = list(accumulate(request.weight for request in requests))
        self._share = share
        self.go_to(0)

    def go_to(self, number: int) -> None:
        """Draw on from the request of a number of the whole.

        Call it while nobody draws. Sequences go on, so that no value comes twice.
        """
        self._numbers = count(number + self._share.first, self._share.of)
        for maker in self._makers:
            maker.restart()

    def taken(self) -> int:
        """Return below which number the sequences took theirs; 0 where they took none.

        Call it when nobody draws any more.
        """
        first = self._share.first
        position = next(self._serial) if any(maker.counts for maker in self._makers) else first
        return position - self._share.of + 1 if position > first else 0

    def fixed(self, kind: int) -> bool:
        """Return whether all requests of a class are one and the same object."""
        return self._makers[kind].only is not None

    def fixed_headers(self, kind: int) -> bool:
        """Return whether all requests of a class have the same headers."""
        return self._makers[kind].fixed_headers

    def draw(self) -> Request:
        """Return the next request."""
        if self.only is not None:
            return self.only
        number = next(self._numbers)
        if len(self._makers) == 1:
            return self._makers[0].make(number)
        place = bisect(self._until, random_bits(self._seed, number) / 2**64 * self._until[-1])
        maker = self._makers[min(place, len(self._makers) - 1)]
        return maker.only or maker.make(number)


def _headers(request: RequestClass) -> dict[str, str]:
    """The declared type of the body, unless the request class names another."""
    given = {name.lower() for name in request.headers}
    kind = content_type(request)
    implied = {"Content-Type": kind} if kind and "content-type" not in given else {}
    return {**implied, **request.headers}
