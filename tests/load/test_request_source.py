from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.load.request_source import Request, RequestSource
from control_plane.load.responses import UserCookies
from control_plane.load.worker_protocol import NOTHING, WHOLE, Captured, Seeds, Shard, shards
from tests.load.workers import plan_of

ITEM = {
    "path": "/items/{id}?again={id}",
    "values": {"id": {"kind": "integer", "low": 1, "high": 24_999}},
    "headers": {"X-Item": "item {id}", "X-Fixed": "same"},
}


def source_of(*requests: dict, seed: int = 1) -> RequestSource:
    plan = plan_of("http://127.0.0.1:1", requests=list(requests))
    return RequestSource(plan.stream.requests, Seeds.of(seed))


def drawn(source: RequestSource, count: int) -> list[Request]:
    return [source.draw() for _ in range(count)]


def test_one_value_for_all_places_of_a_request() -> None:
    for request in drawn(source_of(ITEM), 20):
        number = request.path.split("again=")[1]
        assert request.path == f"/items/{number}?again={number}"
        assert request.headers == {"X-Item": f"item {number}", "X-Fixed": "same"}
        assert (request.method, request.body, request.expect) == ("GET", b"", None)


@given(st.integers(0, 2**53))
def test_the_seed_decides_everything(seed: int) -> None:
    other = {"path": "/{word}", "values": {"word": {"kind": "string", "length": 12}}, "weight": 2}
    first, again = source_of(ITEM, other, seed=seed), source_of(ITEM, other, seed=seed)
    requests = drawn(first, 30)
    assert requests == drawn(again, 30)
    assert requests != drawn(source_of(ITEM, other, seed=seed + 1), 30)


def test_threads_draw_the_same_requests_in_another_order() -> None:
    other = {"path": "/{word}", "values": {"word": {"kind": "string", "length": 12}}}
    alone, together = source_of(ITEM, other), source_of(ITEM, other)
    with ThreadPoolExecutor(8) as threads:
        parts = threads.map(lambda _: drawn(together, 250), range(8))
        paths = [request.path for part in parts for request in part]
    assert sorted(paths) == sorted(request.path for request in drawn(alone, 2_000))


def test_weights_are_shares() -> None:
    source = source_of(*({"path": f"/{weight}", "weight": weight} for weight in (1, 3, 0.5)))
    counts = Counter(request.path for request in drawn(source, 9_000))
    assert counts["/1"] == pytest.approx(2_000, rel=0.1)
    assert counts["/3"] == pytest.approx(6_000, rel=0.1)
    assert counts["/0.5"] == pytest.approx(1_000, rel=0.15)


def test_a_sequence_is_not_torn_by_threads() -> None:
    values = {"n": {"kind": "sequence", "start": 0, "step": 1}}
    source = source_of({"path": "/{n}", "values": values})
    with ThreadPoolExecutor(8) as threads:
        parts = list(threads.map(lambda _: drawn(source, 500), range(8)))
    numbers = [[int(request.path[1:]) for request in part] for part in parts]
    assert sorted(chain.from_iterable(numbers)) == list(range(4_000))
    assert all(low < high for part in numbers for low, high in pairwise(part))


def test_the_type_of_a_body_can_be_named() -> None:
    post = {"method": "POST", "body": {"json": {"a": 1}}, "expect": [201, 409]}
    named = {**post, "headers": {"content-type": "application/vnd.api+json"}}
    assert source_of(post).draw().headers == {"Content-Type": "application/json"}
    assert source_of(named).draw().headers == named["headers"]
    assert source_of(post).draw().expect == frozenset({201, 409})


def test_the_window_begins_with_the_first_request_whatever_went_before() -> None:
    serial = {"path": "/{id}", "values": {"id": {"kind": "sequence"}}}
    source = source_of(ITEM, {**ITEM, "path": "/other"})
    first = drawn(source, 20)
    source.go_to(0)
    assert drawn(source, 20) == first
    source = source_of(serial)
    drawn(source, 3)
    source.go_to(0)
    # What a target was once given it is not given again.
    assert source.draw().path not in {"/0", "/1", "/2"}


THREE = {"requests": 3}
ACCOUNT: dict[str, Any] = {
    "path": "/{user}/{password}",
    "values": {
        "account": {
            "kind": "row",
            "file": {"content": "user,password\n" + "".join(f"u{n},p{n}\n" for n in range(6))},
            "columns": ["user", "password"],
        }
    },
}


def rows_of(count: int, block: Shard = WHOLE, share: Shard = WHOLE, **changes: object) -> list[str]:
    """The numbers of the rows that a window of so many requests is sent with."""
    values = {"account": ACCOUNT["values"]["account"] | changes}
    plan = plan_of("http://127.0.0.1:1", requests=[ACCOUNT | {"values": values}])
    seeds = replace(Seeds.of(1 + block.first), repeat=1, block=block)
    source = RequestSource(plan.stream.requests, seeds, share)
    source.go_to(2**40)
    drawn(source, 4)
    source.go_to(0)
    pairs = [request.path.split("/")[1:] for request in drawn(source, count)]
    assert all(user[1:] == password[1:] for user, password in pairs)
    return [user[1:] for user, _ in pairs]


def test_the_columns_of_one_row_are_used_together_in_order() -> None:
    assert rows_of(8) == list("01234501")
    parts = [rows_of(3, share=share) for share in shards(2)]
    assert parts == [list("024"), list("135")]


def test_shuffled_rows_come_once_before_any_comes_again() -> None:
    first, second = (rows_of(12, Shard(block, 2), order="shuffled") for block in (0, 1))
    assert first[:6] == first[6:] != list("012345")
    assert sorted(first[:6]) == sorted(second[:6]) == list("012345")
    assert first != second
    assert rows_of(6, Shard(0, 2), order="shuffled", repeat=True) == rows_of(
        6, Shard(1, 2), order="shuffled", repeat=True
    )


def test_trials_divide_rows_that_come_once() -> None:
    values = {"account": ACCOUNT["values"]["account"] | {"order": "each_once"}}
    plan = plan_of("http://127.0.0.1:1", requests=[ACCOUNT | {"values": values}], stop=THREE)
    found = []
    for block in (Shard(0, 2), Shard(1, 2)):
        source = RequestSource(plan.stream.requests, replace(Seeds.of(1), block=block))
        found += [request.path for request in drawn(source, 3)]
    assert found == [f"/u{n}/p{n}" for n in range(6)]


def captured_source(*requests: dict, captured: Captured, jars: int = 0) -> RequestSource:
    names = [*captured.shared, *(captured.users or ({},))[0]]
    before = [{"path": "/", "capture": {name: {"header": "X"} for name in names}}]
    plan = plan_of("http://127.0.0.1:1", requests=list(requests), before=before)
    cookies = [UserCookies("http://127.0.0.1:1", "") for _ in range(jars)]
    return RequestSource(plan.stream.requests, Seeds.of(1), WHOLE, captured, cookies)


TOKEN = {"path": "/me", "headers": {"Authorization": "Bearer {token}"}}


def test_what_all_users_share_is_part_of_one_request() -> None:
    source = captured_source(TOKEN, captured=Captured({"token": "t 1"}))
    assert source.only is not None
    assert source.only.headers == {"Authorization": "Bearer t 1"}
    assert source.draw_for(3) == source.draw
    assert source.fixed(0)
    assert source.fixed_headers(0)


def test_users_have_their_own_values_and_one_request_each() -> None:
    captured = Captured({"shop": 7}, ({"token": "ann"}, {"token": "bob"}))
    other = {"path": "/{shop}/{n}", "values": {"n": {"kind": "integer", "low": 1, "high": 9}}}
    source = captured_source(TOKEN, other, captured=captured)
    draws = [source.draw_for(user) for user in range(2)]
    for user, name in enumerate(("ann", "bob")):
        requests = [draws[user]() for _ in range(20)]
        own = [request for request in requests if request.path == "/me"]
        assert {id(request) for request in own} == {id(own[0])}
        assert own[0].headers == {"Authorization": f"Bearer {name}"}
        assert all(request.path.startswith("/7/") for request in requests if request not in own)
    assert not source.fixed(0)
    alone = captured_source(TOKEN, captured=captured)
    assert alone.only is None
    assert alone.only_for(1) is alone.draw_for(1)()


def test_cookies_of_a_user_follow_those_of_the_request() -> None:
    plain, own = {"path": "/me"}, {"path": "/me", "headers": {"cookie": "theme=dark"}}
    for request, sent in ((plain, {"Cookie": "a=1"}), (own, {"cookie": "theme=dark; a=1"})):
        source = captured_source(request, captured=NOTHING, jars=2)
        assert source.only_for(0) is None
        first = source.draw_for(0)()
        assert first.cookies is not None
        first.cookies.take("/me", [(b"Set-Cookie", b"a=1")])
        assert source.draw_for(0)().headers == sent
        assert source.draw_for(1)().headers == request.get("headers", {})
        assert source.cookie_texts() == {"cookie 1": "1"}
