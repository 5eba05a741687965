"""Who may come in: secrets, sessions, addresses that work once, guesses; and each route by role."""

import os
import pwd
import re
from collections.abc import Iterator
from pathlib import Path
from pwd import struct_passwd

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from control_plane.access import login as logins
from control_plane.access.login import (
    ADDRESS_S,
    GUESSES,
    GUESSES_WITHIN_S,
    MOST_SESSIONS,
    SESSION_S,
    Caller,
    Credentials,
    Guesses,
    Login,
    id_range,
    is_person,
    other_users,
)
from control_plane.access.route_roles import role_of
from control_plane.app import create_app, routes_of
from control_plane.domain.errors import TooManyGuesses
from control_plane.domain.limits import Limits
from control_plane.jobs import recover
from control_plane.settings import Settings
from control_plane.store.store import Store, open_store
from tests.builders.states import draft
from tests.dashboard import provide_database

PEOPLE = (1_000, 60_000)
TOKEN, PASSWORD, VIEWER = "a token of the test", "the operators' word", "the viewers' word"
PORT = 8200


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def login(clock: Clock) -> Login:
    return a_login(clock)


def a_login(clock: Clock) -> Login:
    passwords = {PASSWORD: Caller("operator", "password"), VIEWER: Caller("viewer", "looks")}
    return Login(TOKEN, passwords, PORT, clock)


def bearer(secret: str, peer: str = "127.0.0.1") -> Credentials:
    return Credentials(secret, None, peer)


def cookie(session: str | None) -> Credentials:
    return Credentials(None, session, "127.0.0.1")


def test_each_secret_has_its_role(login: Login) -> None:
    assert login.caller(bearer(TOKEN)) == Caller("operator", "token")
    assert login.caller(bearer(PASSWORD)) == Caller("operator", "password")
    assert login.caller(bearer(VIEWER)) == Caller("viewer", "looks")
    for wrong in ("", "x", TOKEN[:-1], f"{TOKEN} ", "\ud800"):
        assert login.caller(bearer(wrong)) is None
    assert login.caller(cookie(None)) is None
    assert login.caller(cookie(TOKEN)) is None


def test_a_session_ends_by_its_age_or_by_logging_out(login: Login, clock: Clock) -> None:
    first = login.log_in(VIEWER, "Ann", "127.0.0.1")
    second = login.log_in(TOKEN, "", "127.0.0.1")
    assert first
    assert second
    assert first != second
    assert login.caller(cookie(first)) == Caller("viewer", "Ann (looks)")
    login.log_out(second)
    assert login.caller(cookie(second)) is None
    clock.now += SESSION_S - 1
    assert login.caller(cookie(first))
    clock.now += 1
    assert login.caller(cookie(first)) is None


def test_an_address_works_once_and_within_an_hour(login: Login, clock: Clock) -> None:
    code = login.new_address().rpartition("/")[2]
    late = login.new_address().rpartition("/")[2]
    assert login.caller(cookie(login.open_address(code))) == Caller("operator", "token")
    assert login.open_address(code) is None
    clock.now += ADDRESS_S
    assert login.open_address(late) is None
    assert login.open_address("") is None


def test_who_guesses_waits_and_others_do_not(login: Login, clock: Clock) -> None:
    for _ in range(GUESSES):
        assert login.caller(bearer("wrong")) is None
        clock.now += 1
    for secret in ("wrong", PASSWORD):
        with pytest.raises(TooManyGuesses) as refused:
            login.log_in(secret, "", "127.0.0.1")
        assert refused.value.wait_s == GUESSES_WITHIN_S - GUESSES
    assert login.caller(bearer(TOKEN))
    assert login.caller(bearer(PASSWORD, "10.0.0.9"))
    clock.now += GUESSES_WITHIN_S
    assert login.caller(bearer(PASSWORD))


def test_sessions_are_bounded_and_the_oldest_goes(login: Login) -> None:
    sessions = [login.log_in(TOKEN, "", "127.0.0.1") for _ in range(MOST_SESSIONS + 1)]
    assert login.caller(cookie(sessions[0])) is None
    assert login.caller(cookie(sessions[1]))
    assert login.caller(cookie(sessions[-1]))


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A dashboard that asks for a login. Its queue takes no run."""
    db = provide_database(tmp_path_factory.mktemp("login") / "runs.db")
    settings, store = Settings(db=db, limits=Limits(max_queue=0)), open_store(db)
    app = create_app(settings, store, recover(store, {PORT}, "normal", {}), a_login(Clock()))
    try:
        with TestClient(
            app, f"http://127.0.0.1:{PORT}", raise_server_exceptions=False, follow_redirects=False
        ) as client:
            yield client
    finally:
        store.close()


@pytest.fixture
def site(opened: TestClient) -> TestClient:
    """The dashboard, called by nobody."""
    opened.cookies.clear()
    return opened


@pytest.mark.parametrize(("secret", "may"), [
    (None, {"public"}), (VIEWER, {"public", "viewer"}), (TOKEN, {"public", "viewer", "operator"}),
])  # fmt: skip
def test_every_route_answers_only_those_who_have_its_role(
    site: TestClient, secret: str | None, may: set[str]
) -> None:
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    assert isinstance(site.app, FastAPI)
    for route in routes_of(site.app):
        method, template = route.split()
        if not template.startswith("/login"):
            path = re.sub(r"\{\w+\}", "nothing", template)
            status = site.request(method, path, headers=headers).status_code
            assert (status in {401, 403}) == (role_of(route) not in may), (route, status)
            assert status < 500, route


def test_what_no_route_has_is_refused_as_well(site: TestClient) -> None:
    for method, path in (("GET", "/nowhere"), ("POST", "/nowhere"), ("OPTIONS", "/"),
                         ("HEAD", "/runs/x.csv"), ("PUT", "/healthz"), ("GET", "//login"),
                         ("GET", "/Login"), ("GET", "/%6cogin.csv")):  # fmt: skip
        assert site.request(method, path).status_code == 401, path
    refused = site.get("/api/runs", headers={"Authorization": "Bearer wrong"})
    assert refused.status_code == 401
    assert refused.json()["error"] == "unauthorized"
    assert refused.headers["www-authenticate"] == "Bearer"


def test_a_browser_logs_in_by_the_form_without_script_and_out_again(site: TestClient) -> None:
    form = site.get("/history?state=failed")
    assert form.status_code == 401
    assert 'value="/history?state=failed"' in form.text
    assert "core" not in form.text.partition("<footer")[2]
    fields = {"secret": VIEWER, "name": "Ann<b>", "onward": "/history?state=failed"}
    wrong = site.post("/login", data={**fields, "secret": "wrong"})
    assert wrong.status_code == 401
    assert 'value="Annb"' in wrong.text
    entered = site.post("/login", data=fields)
    assert (entered.status_code, entered.headers["location"]) == (303, "/history?state=failed")
    given = entered.headers["set-cookie"]
    assert given.startswith(f"looplab-{PORT}=")
    assert "HttpOnly" in given
    assert "SameSite=strict" in given
    page = site.get("/history")
    assert page.status_code == 200
    assert "Annb (looks)" in page.text
    assert "New run" not in page.text.partition("<main")[0]
    assert "may look" in site.post("/runs").text
    assert site.post("/logout").headers["location"] == "/login"
    assert site.get("/history").status_code == 401


@pytest.mark.parametrize(
    ("path", "onward"), [("/runs", "/runs/new"), ("/runs/new", "/runs/new"), ("/pins", "/")]
)
def test_a_form_that_is_sent_after_the_session_leads_back_to_it(
    site: TestClient, path: str, onward: str
) -> None:
    form = site.post(path, data={"title": "typed"})
    assert form.status_code == 401
    assert f'name="onward" value="{onward}"' in form.text
    assert ("data-lost" in form.text) is (onward != "/")


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
def test_a_session_that_began_by_https_never_goes_over_plain_http(
    site: TestClient, scheme: str, *, secure: bool
) -> None:
    """The scheme is what uvicorn makes of X-Forwarded-Proto of a proxy that it trusts."""
    address = f"{scheme}://127.0.0.1:{PORT}"
    for path, fields in (("/login", {"secret": TOKEN}), ("/logout", {})):
        answer = site.post(f"{address}{path}", data=fields)
        assert ("Secure" in answer.headers["set-cookie"]) is secure, path


def test_the_log_says_who_did_what_and_from_where(site: TestClient) -> None:
    store: Store = site.app_state["store"]
    (run,) = store.add([draft()])
    site.post("/login", data={"secret": PASSWORD, "name": "Ann"})
    assert site.post(f"/api/runs/{run.id}/cancel").status_code == 200
    site.cookies.clear()
    site.delete(f"/api/runs/{run.id}", headers={"Authorization": f"Bearer {TOKEN}"})
    entries = site.get("/api/audit?limit=3", headers={"Authorization": f"Bearer {VIEWER}"}).json()
    told = [(entry["who"], entry["action"], entry["run"]) for entry in entries["entries"]]
    assert told == [
        ("token", "deleted", run.id),
        ("Ann (password)", "cancelled", run.id),
        ("command line", "started", run.id),
    ]
    assert entries["entries"][0]["from"] == "testclient"


@pytest.mark.parametrize(
    "onward",
    ["//evil.example", "/\\evil.example", "http://evil.example", "/\tx", "/login", "x", ""],
)
def test_after_a_login_nobody_is_sent_away(site: TestClient, onward: str) -> None:
    entered = site.post("/login", data={"secret": TOKEN, "onward": onward})
    assert (entered.status_code, entered.headers["location"]) == (303, "/")


def test_a_printed_address_opens_the_dashboard_once(site: TestClient) -> None:
    path = site.post("/api/login-addresses", headers={"Authorization": f"bearer {TOKEN}"}).json()
    assert site.get(path["path"]).headers["location"] == "/"
    assert site.get("/").status_code == 200
    assert site.get(path["path"]).status_code == 303
    site.cookies.clear()
    assert "looplab login" in site.get(path["path"]).text
    fragment = site.get("/queue", headers={"HX-Request": "true"})
    assert (fragment.status_code, "<main" in fragment.text) == (401, False)


@pytest.mark.parametrize(
    ("shown", "onward"),
    [
        ("http://testserver/runs/new?preset=items", "%2Fruns%2Fnew%3Fpreset%3Ditems"),
        ("http://testserver", "%2F"),
        ("http://[", "%2F"),
        ("https://testserver//evil.example", "%2F"),
    ],
)
def test_a_part_of_a_page_leads_back_to_it_by_the_login(
    site: TestClient, shown: str, onward: str
) -> None:
    fragment = site.get("/queue", headers={"HX-Request": "true", "HX-Current-URL": shown})
    assert fragment.status_code == 401
    assert f'href="/login?onward={onward}"' in fragment.text
    assert "/login" in fragment.text


def account(uid: int, shell: str, home: str = "/") -> struct_passwd:
    return struct_passwd(("name", "x", uid, uid, "", home, shell))


@pytest.mark.parametrize(
    ("found", "person"),
    [
        (account(1_000, "/bin/bash"), True),
        (account(60_000, "/usr/bin/zsh"), True),
        (account(0, "/bin/bash"), False),
        (account(999, "/bin/sh"), False),
        (account(65_534, "/bin/sh"), False),
        (account(1_000, "/usr/sbin/nologin"), False),
        (account(1_000, "/bin/false"), False),
        (account(1_000, ""), False),
        (account(1_000, "/bin/bash", "/nonexistent"), False),
    ],
)
def test_a_person_has_an_id_of_people_a_shell_and_a_home(
    found: struct_passwd, person: bool
) -> None:
    assert is_person(found, PEOPLE) == person


def test_the_ids_of_people_are_those_that_the_system_names(tmp_path: Path) -> None:
    path = tmp_path / "login.defs"
    assert id_range(path) == PEOPLE
    path.write_text("#UID_MIN 1\nUID_MIN\t\t 500\nSYS_UID_MAX 999\nUID_MAX 2000\n")
    assert id_range(path) == (500, 2_000)


def test_other_people_are_those_with_an_account_or_here_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container the accounts are those of its image, and nobody's."""
    for uid in ("4294000001", "999", "systemd"):
        (tmp_path / "user" / uid).mkdir(parents=True)
    accounts = [account(os.getuid(), "/bin/sh"), account(1_001, "/bin/sh")]
    monkeypatch.setattr(logins, "_LOGGED_IN", tmp_path / "user")
    monkeypatch.setattr(logins, "_LOGIN_DEFS", tmp_path / "login.defs")
    monkeypatch.setattr(logins, "CONTAINER_FILES", (tmp_path / "container",))
    monkeypatch.setattr(pwd, "getpwall", lambda: accounts)
    before = set(other_users())
    (tmp_path / "container").touch()
    assert before - set(other_users()) == {named(1_001)}
    assert "4294000001" in before
    assert not before & {named(os.getuid()), named(999)}


def named(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def test_the_peer_that_guessed_last_longest_ago_is_forgotten_for_a_new_one(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "MOST_PEERS", 2)
    guesses = Guesses(clock)
    for peer in ("first", "second"):
        for _ in range(GUESSES):
            guesses.count(peer)
    for peer in ("first", "second"):
        with pytest.raises(TooManyGuesses):
            guesses.refuse(peer)
    guesses.count("third")
    guesses.refuse("first")
    with pytest.raises(TooManyGuesses):
        guesses.refuse("second")


def test_an_odd_cookie_of_another_server_of_this_host_ends_no_session(site: TestClient) -> None:
    site.post("/login", data={"secret": TOKEN})
    ((name, value),) = site.cookies.items()
    site.cookies.clear()
    for other in ("a/b=c", "(=", "=x", ";;"):
        shown = site.get("/history", headers={"Cookie": f"{other}; {name}={value}"})
        assert shown.status_code == 200
    assert site.get("/history", headers={"Cookie": f"a/b=c; {name}=x"}).status_code == 401
