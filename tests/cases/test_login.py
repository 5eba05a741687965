"""Logins before the load, under each strategy, and data that is used in order or once."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

from control_plane.domain.client_strategies import STRATEGIES
from tests.cases.serving import serving
from tests.dashboard import TERMINAL, Dashboard

USERS = "username,password\n" + "".join(f"user-{n},secret-of-user-{n}\n" for n in range(12))
ACCOUNT = {
    "kind": "row",
    "file": {"name": "users.csv", "content": USERS},
    "columns": ["username", "password"],
}
CREDENTIALS = {"username": "{username}", "password": "{password}"}
OAUTH2 = {
    "method": "POST",
    "path": "/token",
    "per": "user",
    "body": {"form": {"grant_type": "password", **CREDENTIALS}},
    "values": {"account": ACCOUNT},
    "capture": {"token": {"json": "access_token"}},
}
BY_TOKEN = {
    "path": "/me",
    "headers": {"Authorization": "Bearer {token}"},
    "expect": {"json_key": "user"},
}
FORM = [
    {"path": "/form", "per": "user", "capture": {"csrf": {"cookie": "csrftoken"}}},
    {
        "method": "POST",
        "path": "/form",
        "per": "user",
        "body": {"form": {"csrfmiddlewaretoken": "{csrf}", **CREDENTIALS}},
        "values": {"account": ACCOUNT},
        "expect": [302],
    },
]


@pytest.fixture(scope="module")
def shop(case: Callable[[str], Dashboard]) -> Dashboard:
    return case("login")


@pytest.fixture(scope="module")
def url(shop: Dashboard) -> Iterator[str]:
    """The shop, which runs already."""
    with serving(shop.db.parent) as url:
        yield url


def ran(shop: Dashboard, *requests: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The run of these requests by four users, one where that is what the strategy has."""
    client = changes.pop("client", {})
    users = 1 if client.get("strategy") == "blocking" else 4
    stream = {
        "requests": list(requests),
        "load": {"model": "closed", "concurrency": users},
        "stop": {"requests": 40},
    }
    document = {"target": {"application": "shop"}, "workload": {"streams": [stream]}}
    made = shop.submit(document | {"warmup_s": 0, "client": client} | changes)
    run: dict[str, Any] = shop.until_state(made, TERMINAL, 60, every_s=0.2)
    return run


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_user_is_logged_in_under_every_strategy(
    shop: Dashboard, url: str, strategy: str
) -> None:
    """By a form with a CSRF token and a cookie, and by a cookie that every answer replaces."""
    turn = {"path": "/turn/next", "weight": 1}
    client = {"strategy": strategy, "cookies": True}
    target = {"url": url}
    run = ran(shop, {"path": "/me"}, turn, client=client, before=FORM, target=target)
    (stream,) = run["streams"]
    assert stream["statuses"] == {"200": 40}, run["failures"]
    users = 1 if strategy == "blocking" else 4
    assert run["trials"][0]["client"]["requests_before"] == 2 * users


def texts_of(shop: Dashboard, run: dict[str, Any]) -> Iterator[str]:
    """All that is shown or kept of a run, but for the table of its secrets."""
    address = f"/runs/{run['id']}"
    yield from (shop.get(f"{address}{form}").text for form in ("", ".json", ".csv"))
    yield shop.get(f"/api/runs/{run['id']}").text
    yield shop.get(f"/runs/new?from={run['id']}").text
    with closing(sqlite3.connect(shop.db)) as database:
        for table in ("run", "run_facts", "trial"):
            yield str(database.execute(f"SELECT * FROM {table}").fetchall())


@pytest.mark.parametrize("strategy", ["async", "raw"])
def test_a_token_belongs_to_its_user_and_stands_nowhere(shop: Dashboard, strategy: str) -> None:
    """Also where processes share the users, and where answers and the log repeat it."""
    wrong = BY_TOKEN | {"expect": {"text": "nobody"}}
    client = {"strategy": strategy, "processes": 2}
    run = ran(shop, BY_TOKEN, wrong, client=client, before=[OAUTH2])
    assert run["streams"][0]["statuses"] == {"200": 40}
    (failed,) = run["failures"]
    assert '"sent": "[token ' in failed["body"]
    issued = [line for line in run["trials"][0]["target"]["log"] if line.startswith("issued")]
    assert len(issued) == 4
    assert all(line.startswith("issued [token ") for line in issued)
    texts = [*texts_of(shop, run)]
    assert not any("secret-of-user" in text for text in texts)
    assert "4 requests before the window" in texts[0]


def test_what_one_login_captured_serves_all_users(shop: Dashboard) -> None:
    before = {**OAUTH2, "per": "run"}
    run = ran(shop, BY_TOKEN, before=[before], client={"strategy": "raw", "processes": 2}, trials=2)
    assert run["streams"][0]["statuses"] == {"200": 80}
    assert [trial["client"]["requests_before"] for trial in run["trials"]] == [1, 1]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"body": {"form": {"username": "{username}", "password": "x{password}"}}},
            "POST /token before the load: 401, {\"detail\": \"not {'username': ['user-0'], "
            "'password': ['x[password",
        ),
        ({"expect": [201]}, 'POST /token before the load: 200, {"access_token": "[token 1]'),
        ({"path": "/environment"}, 'POST /environment before the load: 500, "[SHOP_PASSWORD]"'),
        (
            {"capture": {"token": {"json": "token.0"}}},
            "POST /token before the load: 200, and it has no JSON value token.0: it is an object "
            "with access_token, token_type, so {token} has no value",
        ),
        (
            {"capture": {"token": {"cookie": "sid"}}},
            "POST /token before the load: 200, and it sets no cookie sid, so {token} has no value",
        ),
    ],
)
def test_a_login_that_fails_fails_the_run(
    shop: Dashboard, url: str, change: dict[str, Any], said: str
) -> None:
    before = {**OAUTH2, "per": "run", **change}
    # What its environment hides is known of an application that was started.
    target = {"application": "shop"} if "SHOP_PASSWORD" in said else {"url": url}
    run = ran(shop, BY_TOKEN, before=[before], target=target)
    assert run["state"] == "failed"
    assert said in run["reason"]
    assert "secret-of-user" not in run["reason"]


def test_ids_are_used_in_order_and_each_once(shop: Dashboard) -> None:
    ids = {"name": "ids.csv", "content": "id\n" + "".join(f"{n}\n" for n in range(80))}
    value = {"kind": "row", "file": ids, "columns": ["id"], "order": "each_once"}
    once = {"path": "/once/{id}", "values": {"item": value}}
    client = {"strategy": "raw", "processes": 2}
    run = ran(shop, once, client=client, trials=2)
    assert run["streams"][0]["statuses"] == {"200": 80}
    assert "{id} from 80 rows of ids.csv, each once" in shop.get(f"/runs/{run['id']}").text
    in_order = once | {
        "values": {"item": value | {"order": "in_order", "file": ids | {"content": "id\n1\n2\n"}}}
    }
    again = ran(shop, in_order)
    assert again["streams"][0]["statuses"] == {"200": 2, "409": 38}
    compared = json.loads(shop.get(f"/api/compare?runs={run['id']},{again['id']}").text)
    fields = {difference["field"] for difference in compared["differences"]}
    assert "workload.streams.0.requests.0.values.item.file" in fields
