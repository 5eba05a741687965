"""The requests of a stream, in the order of sending, made from its weighted request classes."""

from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import accumulate, count
from random import Random
from typing import NamedTuple

from control_plane.domain.spec import RequestClass
from control_plane.load import placeholders
from control_plane.load.plan import WHOLE, Shard
from control_plane.load.request_values import (
    body_renderer,
    content_type,
    random_bits,
    value_generator,
)


class Request(NamedTuple):
    """A request as strategies send it.

    `path` is encoded and begins with a slash; it may hold a query. `body` is empty where there
    is none. `expect` None stands for 200 to 299. `kind` is the place of its request class.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    expect: frozenset[int] | None
    kind: int = 0


class _RequestFactory:
    """Makes the requests of one class; what has no placeholders is made once."""

    def __init__(self, request: RequestClass, seed: int, kind: int, share: Shard) -> None:
        names = request.values.keys()
        self._method, self._kind = request.method, kind
        self._path = placeholders.path_template(request.path, names)
        self._headers = {
            name: placeholders.header_template(text, names)
            for name, text in _headers(request).items()
        }
        self._body = body_renderer(request, names, Random(random_bits(seed, 0)))
        self._expect = None if request.expect is None else frozenset(request.expect)
        self._draws = {
            name: value_generator(value, random_bits(seed, place), share)
            for place, (name, value) in enumerate(request.values.items(), start=1)
        }
        self.fixed_headers = not any(header.names for header in self._headers.values())
        self._fixed_headers = self._rendered({}) if self.fixed_headers else None
        self.only = None if self._draws else self.make(0)

    def make(self, number: int) -> Request:
        """Return the request of a number: the same each time where nothing is drawn (`only`)."""
        values = {name: value(number) for name, value in self._draws.items()}
        return Request(
            self._method,
            self._path.render(values),
            self._rendered(values) if self._fixed_headers is None else self._fixed_headers,
            self._body(values),
            self._expect,
            self._kind,
        )

    def _rendered(self, values: Mapping[str, str]) -> dict[str, str]:
        # An empty value at an end would leave a space there, which is no part of a header value.
        return {name: header.render(values).strip() for name, header in self._headers.items()}


class RequestSource:
    """Draws the requests of a stream; the same `seed` gives the same requests.

    The requests of all shares together are those of the whole; where several request classes have
    sequences, a sequence may have gaps then, and no value comes twice.

    `only` is the request where all are one and the same.
    Safe to use from many threads, none of which waits for another.
    """

    def __init__(self, requests: Sequence[RequestClass], seed: int, share: Shard = WHOLE) -> None:
        self._seed = random_bits(seed, 0)
        self._makers = [
            _RequestFactory(request, random_bits(seed, kind + 1), kind, share)
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
