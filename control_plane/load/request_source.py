"""The requests of a stream, in the order of sending, made from its weighted request classes.

Which headers each carries, too.
"""

from bisect import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import accumulate, count, zip_longest
from random import Random
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from control_plane.domain.endless_responses import Until
from control_plane.domain.request import (
    RowValue,
    Scalar,
    SequenceValue,
    SingleValue,
    StringValue,
    UuidValue,
    Value,
    filled_names,
    placeholder_names,
)
from control_plane.domain.request_rules import expected_texts, template_texts
from control_plane.domain.row_files import Row
from control_plane.domain.spec import BaseRequest, RequestClass
from control_plane.load import request_templates
from control_plane.load.request_values import (
    ValueGenerator,
    body_renderer,
    content_type,
    random_bits,
    row_generator,
    value_generator,
)
from control_plane.load.responses import ContentCheck, Reading, content_checks
from control_plane.load.worker_protocol import NOTHING, WHOLE, Captured, LoadPlan, Seeds, Shard

# What keeps cookies takes long to import, and most users keep none.
if TYPE_CHECKING:
    from control_plane.load.responses import UserCookies


class Request(NamedTuple):
    """A request as strategies send it.

    `path` is encoded and begins with a slash; it may hold a query. `body` is empty where there
    is none. `expect` None stands for 200 to 299. `kind` is the place of its request class.
    `content` is what is expected of the response's body, None where nothing is; `until` says where
    its reading ends, None at its own end. `cookies` are those of its user, who takes what the
    response sets; None where none are kept.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    expect: frozenset[int] | None
    kind: int = 0
    content: ContentCheck | None = None
    until: Until | None = None
    cookies: "UserCookies | None" = None

    def take_cookies(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Let its user keep what the response sets, where users keep cookies."""
        if self.cookies is not None:
            self.cookies.take(self.path, headers)

    def reading(self) -> Reading | None:
        """Return what reads the response until somewhere; None where it is read to its end."""
        return None if self.until is None else Reading(self.until)


class Numbering(NamedTuple):
    """The requests of one process among all, and the numbers that sequences take."""

    share: Shard
    serial: Iterator[int]


class RequestFactory:
    """Makes the requests of one class; what has no placeholders is made once.

    Sequences take the numbers of a serial, which all classes share; those that repeat, and rows,
    count the requests of this class from the beginning of the window. What was captured for all
    users stands in all of its requests; what was for one is given with each that is made.
    """

    def __init__(
        self,
        request: BaseRequest,
        seeds: Seeds,
        kind: int,
        numbering: Numbering,
        captured: Captured = NOTHING,
    ) -> None:
        personal = frozenset(name for values in captured.users[:1] for name in values)
        self._given = captured.shared
        names = (*filled_names(request.values), *self._given, *personal)
        self._method, self.kind = request.method, kind
        self._share, self._serial = numbering
        self._path = request_templates.path_template(request.path, names)
        self._headers = {
            name: request_templates.header_template(text, names)
            for name, text in _headers(request).items()
        }
        trial = random_bits(seeds.trial, kind + 1)
        self._body = body_renderer(request, names, Random(random_bits(trial, 0)))
        expect = request.expect
        statuses = expect.statuses if expect else None
        self._expect = None if statuses is None else frozenset(statuses)
        self._content = content_checks(expect, names)
        self._until = request.until if isinstance(request, RequestClass) else None
        self._drawn: dict[str, ValueGenerator] = {}
        self._counted: dict[str, ValueGenerator] = {}
        self._repeated: dict[str, ValueGenerator] = {}
        self._rows: list[Callable[[int], Row]] = []
        self._make_generators(request, seeds)
        self.fixed_headers = all(
            header.names <= self._given.keys() for header in self._headers.values()
        )
        self._fixed_headers = self._rendered(self._given) if self.fixed_headers else None
        self.restart()
        texts = (*template_texts(request), *expected_texts(request))
        used = {name for _, text in texts for name in placeholder_names(text)}
        self.is_fixed, self.is_personal = not request.values, not used.isdisjoint(personal)
        self.only = self.make(0) if self.is_fixed and not self.is_personal else None

    def _make_generators(self, request: BaseRequest, seeds: Seeds) -> None:
        for place, (name, value) in enumerate(request.values.items(), start=1):
            seed = random_bits(random_bits(_seed_of(value, seeds), self.kind + 1), place)
            if isinstance(value, RowValue):
                self._rows.append(row_generator(value, seed, seeds.block))
            else:
                self._generators(value)[name] = value_generator(value, seed)

    @property
    def counts(self) -> bool:
        """Whether its requests take a number of `serial` each."""
        return bool(self._counted)

    def restart(self) -> None:
        """Let the sequences that repeat begin anew, and rows with the first one."""
        self._again = count(self._share.first, self._share.of)
        self._next_row = count(self._share.first, self._share.of)

    def go_to(self, number: int) -> None:
        """Let the next request have the row of that number, and the number of its sequences."""
        self._again, self._next_row = count(number), count(number)

    def make(self, number: int, personal: Mapping[str, Scalar] | None = None) -> Request:
        """Return the request of a number, with what was captured for its user.

        It is the same each time where nothing is drawn, and for all users where `only` is one.
        """
        values = {name: value(number) for name, value in self._drawn.items()}
        if self._given or personal:
            values |= {**self._given, **(personal or {})}
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
            self.kind,
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


class _User:
    """What requests of one user have; `only` are those that are one and the same, by class."""

    def __init__(self, values: Mapping[str, Scalar], cookies: "UserCookies | None") -> None:
        self.values, self.cookies = values, cookies
        self.only: dict[int, Request] = {}

    def request(self, maker: RequestFactory, number: int) -> Request:
        """Return the request of a number, of the class of `maker`."""
        made = maker.only or self.only.get(maker.kind)
        if made is None:
            made = maker.make(number, self.values)
            if maker.is_fixed:
                self.only[maker.kind] = made
        return made if self.cookies is None else self._with_cookies(made, self.cookies)

    def _with_cookies(self, made: Request, cookies: "UserCookies") -> Request:
        if not (text := cookies.header(made.path)):
            return made._replace(cookies=cookies)
        own = next((name for name in made.headers if name.lower() == "cookie"), "Cookie")
        whole = "; ".join(filter(None, (made.headers.get(own), text)))
        return made._replace(headers={**made.headers, own: whole}, cookies=cookies)


class RequestSource:
    """Draws the requests of a stream; the same seeds give the same requests.

    The requests of all shares together are those of the whole; where several request classes have
    sequences, a sequence has gaps, and no value comes twice.

    `only` is the request where all are one and the same. `jars` are the cookies of each user, where
    users keep them.

    Safe to use from many threads, none of which waits for another.
    """

    def __init__(
        self,
        requests: Sequence[RequestClass],
        seeds: Seeds,
        share: Shard = WHOLE,
        captured: Captured = NOTHING,
        jars: "Sequence[UserCookies]" = (),
    ) -> None:
        self._seed = random_bits(seeds.trial, 0)
        self._serial = count(share.first, share.of)
        numbering = Numbering(share, self._serial)
        self._makers = [
            RequestFactory(request, seeds, kind, numbering, captured)
            for kind, request in enumerate(requests)
        ]
        self._users = _users(captured, jars)
        self._cookies = bool(jars)
        alone = len(self._makers) == 1 and not jars
        self.only = self._makers[0].only if alone else None
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
        return self._makers[kind].only is not None and not self._cookies

    def fixed_headers(self, kind: int) -> bool:
        """Return whether all requests of a class have the same headers."""
        return self._makers[kind].fixed_headers and not self._cookies

    def draw(self) -> Request:
        """Return the next request."""
        if self.only is not None:
            return self.only
        number = next(self._numbers)
        if len(self._makers) == 1:
            return self._makers[0].make(number)
        maker = self._maker(number)
        return maker.only or maker.make(number)

    def draw_for(self, user: int) -> Callable[[], Request]:
        """Return what draws the next request of a user of this process."""
        if not self._users:
            return self.draw
        return partial(self._draw_for, self._users[user])

    def only_for(self, user: int) -> Request | None:
        """Return the request of a user where all of them are one and the same, else None."""
        maker = self._makers[0]
        if self.only is not None or not self._users:
            return self.only
        alone = len(self._makers) == 1 and maker.is_fixed and not self._cookies
        return self._users[user].request(maker, 0) if alone else None

    def cookie_texts(self) -> dict[str, str]:
        """Return the values of all cookies that were set, by what they are called."""
        jars = [user.cookies for user in self._users if user.cookies is not None]
        for jar in jars:
            jar.settle()
        texts = dict.fromkeys(text for jar in jars for text in jar.texts)
        return {f"cookie {number}": text for number, text in enumerate(texts, start=1)}

    def _draw_for(self, user: _User) -> Request:
        number = next(self._numbers)
        return user.request(self._maker(number), number)

    def _maker(self, number: int) -> RequestFactory:
        if len(self._makers) == 1:
            return self._makers[0]
        place = bisect(self._until, random_bits(self._seed, number) / 2**64 * self._until[-1])
        return self._makers[min(place, len(self._makers) - 1)]


def _users(captured: Captured, jars: "Sequence[UserCookies]") -> list[_User]:
    """Return each user of whom requests have something; none where there is nothing of the kind."""
    count_of_users = max(len(captured.users), len(jars))
    values = captured.users or ({},) * count_of_users
    return [_User(own, jar) for own, jar in zip_longest(values, jars)]


def _headers(request: BaseRequest) -> dict[str, str]:
    """The declared type of the body, unless the request class names another."""
    given = {name.lower() for name in request.headers}
    kind = content_type(request)
    implied = {"Content-Type": kind} if kind and "content-type" not in given else {}
    return {**implied, **request.headers}


COMMON_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "looplab"}
"""What every request carries besides its own headers."""

_WITH_LENGTH = frozenset({"POST", "PUT", "PATCH"})
"""Methods that state the length of a body also where there is none (RFC 9110, 8.6)."""


class RequestHeaders:
    """The headers of requests as every strategy sends them, in one order.

    `Host`, the common ones that the request has not itself, its own ones, `Content-Length` where
    there is a body or the method asks for it, and `Connection: close` on a new connection.
    """

    def __init__(
        self,
        plan: LoadPlan,
        source: RequestSource,
        form: Callable[[dict[str, str]], Mapping[str, str]] = dict,
    ) -> None:
        """`form` makes of them what the library takes."""
        self._source, self._form = source, form
        self._common = {"Host": plan.host or urlsplit(plan.base_url).netloc, **COMMON_HEADERS}
        self._last = {} if plan.client.reuse_connections else {"Connection": "close"}
        self._known: dict[tuple[int, int], Mapping[str, str]] = {}

    def of(self, request: Request) -> Mapping[str, str]:
        """Return all headers of a request.

        Where they have no placeholders it is the same object for each length of the body.
        """
        key = request.kind, len(request.body)
        known = self._known.get(key)
        if known is not None:
            return known
        own = {name.lower() for name in request.headers}
        common = {name: text for name, text in self._common.items() if name.lower() not in own}
        headers = self._form({**common, **request.headers, **_length(request), **self._last})
        if self._source.fixed_headers(request.kind):
            self._known[key] = headers
        return headers


def _length(request: Request) -> dict[str, str]:
    if request.body or request.method in _WITH_LENGTH:
        return {"Content-Length": str(len(request.body))}
    return {}
