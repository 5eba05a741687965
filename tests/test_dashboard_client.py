"""Share links of other people's dashboards: their bundle comes whole, or one line says why not."""

import json
import re
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from control_plane import dashboard_client
from control_plane.dashboard_client import RemoteDashboard, fetch_shared, printable, token_headers
from control_plane.domain.errors import Conflict, LooplabError
from control_plane.domain.tool_result import ToldOfFile
from control_plane.other_tools import read_tool_file
from control_plane.store.bundles import write_bundle
from control_plane.store.store import open_store
from tests.builders.runs import ASYNC, BLOCKING, ENVIRONMENT, decided, finished, items
from tests.builders.trends import P50S, repeated
from tests.conftest import Call
from tests.dashboard import (
    BARE,
    DashboardProcess,
    forked_dashboard,
    long_spec,
    provide_database,
    until,
)
from tests.forked import ForkedProcess, forked

TOOLS = Path(__file__).parent / "other_tools" / "files"
NAMED = {"application_package": "shop 2.3.1", "application_directory": "shop/service"}


def shared(url: str, post: Callable[..., object], **fields: object) -> str:
    made = post("/shares", data={"kind": "run", "days": 1, **fields})
    found = re.search(rf"{re.escape(url)}/shared/[\w-]+", str(getattr(made, "text", "")))
    assert found is not None
    return found[0]


def test_a_share_link_is_repeated_by_its_address(call: Call, tmp_path: Path) -> None:
    """In whatever form of the link it was copied; its directory is told where paths are shown.

    Also where the result is here already, by another link or in a bundle that hides nothing.
    """
    folder = tmp_path / "theirs"
    folder.mkdir()
    store = open_store(provide_database(folder / "runs.db"))
    facts = {**ENVIRONMENT, **NAMED}
    ids = [finished(store, items(title="theirs", trials=1), ASYNC, facts).id for _ in range(2)]
    shapes = [BLOCKING, ASYNC, ASYNC]
    asked = decided(store, "classic", shapes, facts)
    made = decided(store, "classic", shapes, facts, confirms=asked.id)
    store.close()
    with forked_dashboard(folder) as theirs:
        hidden = shared(theirs.url, theirs.client.post, subject=ids[0])
        shown = shared(theirs.url, theirs.client.post, subject=ids[1], show="paths")
        for link, code in (
            (f"{hidden}/recipe.looplab", "package shop 2.3.1"),
            (f"{shown}?x=1#y", "package shop 2.3.1, directory shop/service"),
        ):
            told = call(["repeat", link])
            assert told.returncode == 0, told.stderr
            assert "theirs, measured on machine-" in told.stdout
            assert f"Their bundled: {code}\n" in told.stdout
        experiment = shared(theirs.url, theirs.client.post, kind="experiment", subject=made.id)
        kept = call(["export", *ids, made.id, "--bundle", "all.looplab", "--db", str(store.path)])
        assert kept.returncode == 0, kept.stderr
        for first, then in ((hidden, shown), ("all.looplab", experiment)):
            database = f"{len(first)}.db"
            assert call(["repeat", first, ids[0], "--db", database]).returncode == 0
            again = call(["repeat", then, "--db", database])
            assert again.returncode == 0, again.stderr
        full = call(["repeat", "all.looplab", ids[0]])
        # What a link hid is not kept from a look: the whole file tells the machine.
        assert (full.returncode, "measured on machine-" in full.stdout) == (0, False)
        ended = call(["repeat", f"{theirs.url}/shared/{'x' * 32}"])
        assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
        assert f"{theirs.url} has no such share link" in ended.stderr
    gone = call(["repeat", hidden])
    assert (gone.returncode, gone.stderr.count("\n")) == (2, 1)
    assert f"{theirs.url} gave no bundle: " in gone.stderr


def test_a_file_that_is_refused_for_good_is_sent_once(tmp_path: Path) -> None:
    """It may have 1 GB."""
    store = open_store(provide_database(tmp_path / "runs.db"))
    run_id = finished(store, items(trials=1), ASYNC).id
    store.close()
    file = tmp_path / "other.looplab"
    told: list[str] = []
    write_bundle(tmp_path / "runs.db", file, [run_id])
    with closing(sqlite3.connect(file)) as changed, changed:
        changed.execute("UPDATE run SET reason = 'other'")
    with forked_dashboard(tmp_path) as started:
        with pytest.raises(Conflict, match="another content"):
            RemoteDashboard(started.url).import_file(file, ToldOfFile(file.name), told.append)
        counted = started.get("/metrics").text.splitlines()
    (sent,) = (line for line in counted if "_total" in line and "/api/import" in line)
    assert sent.endswith(" 1.0")
    assert told == []


@pytest.mark.parametrize(
    ("response", "said"),
    [
        ("302 Found\r\nLocation: http://127.0.0.1:1/x\x1b[2J", r"leads to http://127\.0\.0\.1:1/x"),
        ("503 Busy\r\nRetry-After: 30", "makes no bundle while it measures: try again in 30 s"),
        ("429 Wait\r\nRetry-After: soon\x1b", "had too many wrong links from here"),
        ("418 Teapot", "answers 418"),
        ("200 OK\r\nX-Content-SHA256: 0", "gave another file than it says"),
        ("200 OK\r\nContent-Length: 99", "gave no bundle: "),
        ("no http", "gave no bundle: "),
    ],
)
def test_what_does_not_come_whole_is_one_line(tmp_path: Path, response: str, said: str) -> None:
    with pytest.raises(LooplabError, match=said) as refused:
        asked_once(response, tmp_path / "file")
    assert str(refused.value).isprintable()


def test_a_bundle_has_a_most_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_client, "MAX_BUNDLE_BYTES", 3)
    with pytest.raises(LooplabError, match="gives more than 3 bytes"):
        asked_once("200 OK\r\nContent-Length: 4\r\n\r\nlong", tmp_path / "file")


def test_one_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard_client, "IMPORTS_S", 0.2)
    with pytest.raises(LooplabError, match="did not give the bundle in time"):
        asked_once("200 OK\r\nContent-Length: 4\r\n\r\n", tmp_path / "file", stays=True)


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/runs/abc", "https://", "http://a/shared/"])
def test_another_address_is_refused_before_anybody_is_asked(address: str, tmp_path: Path) -> None:
    with pytest.raises(LooplabError, match="is no share link: give https://HOST/shared/TOKEN"):
        fetch_shared(address, tmp_path / "file")


def test_what_is_asked_names_no_password(tmp_path: Path) -> None:
    with pytest.raises(LooplabError) as refused:
        fetch_shared("http://user:canary@127.0.0.1:1/shared/x", tmp_path / "file")
    assert "canary" not in str(refused.value)
    assert "http://127.0.0.1:1 gave no bundle" in str(refused.value)


def test_what_others_wrote_moves_no_cursor_and_keeps_its_spaces() -> None:
    assert (
        printable("14.3\u00a0ms, 9\u202fms\x1b[2J\r\u2028\u202e")
        == "14.3\u00a0ms, 9\u202fms?[2J???"
    )


def asked_once(response: str, file: Path, *, stays: bool = False) -> None:
    """Fetch from a server that sends these bytes, whatever is asked, and ends the connection."""
    served_once(response, lambda url: fetch_shared(f"{url}/shared/token", file), stays=stays)


def served_once(response: str, ask: Callable[[str], object], *, stays: bool = False) -> None:
    head = response if "no http" in response else f"HTTP/1.1 {response}"
    content = head if "\r\n\r\n" in head else f"{head}\r\n\r\n"
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as threads:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(10_000)
                connection.sendall(content.encode())
                if stays:
                    connection.recv(1)

        answered = threads.submit(answer)
        try:
            ask(f"http://127.0.0.1:{server.getsockname()[1]}")
        finally:
            answered.result(10)


@pytest.mark.parametrize(
    "response",
    [
        "200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "502 Bad Gateway\r\nContent-Length: 2\r\n\r\nhi",
        "200 OK\r\nContent-Length: 9\r\nContent-Encoding: gzip\r\n\r\nnot gzip!",
    ],
)
def test_another_server_at_the_address_of_the_dashboard_is_told(response: str) -> None:
    with pytest.raises(LooplabError, match=r"^http://\S+ does not answer as a Looplab: "):
        served_once(response, lambda url: RemoteDashboard(url).audit(1))


def test_the_token_of_a_dashboard_is_in_its_lock_file(tmp_path: Path) -> None:
    with closing(open_store(provide_database(tmp_path / "runs.db"))) as store:
        assert token_headers(store.path) == {}
        store.announce("http://127.0.0.1:8200", "secret")
        assert token_headers(store.path) == {"Authorization": "Bearer secret"}
    assert token_headers(tmp_path / "runs.db") == {}


@pytest.fixture
def results(tmp_path: Path) -> dict[str, str]:
    """Ids of what a database holds: runs, experiments of here and elsewhere, results of tools."""
    folder = tmp_path
    ids = repeated(folder / "runs.db", P50S)
    arms = [BLOCKING, ASYNC, ASYNC]
    with closing(open_store(provide_database(folder / "theirs.db"))) as store:
        theirs = decided(store, "classic", arms, {**ENVIRONMENT, "hostname": "elsewhere"}).id
    write_bundle(folder / "theirs.db", folder / "theirs.looplab", [theirs])
    (folder / "notes.txt").write_text("bought 3 lemons")
    (folder / "looplab.toml").write_text("[applications.shop]\napp = 'shop:app'\n")
    with closing(open_store(folder / "runs.db")) as store:
        store.import_bundle(folder / "theirs.looplab", lambda _: None)
        tools = [
            store.import_tool_result(TOOLS / name, ToldOfFile(name), read_tool_file).id
            for name in ("wrk.txt", "hey.txt")
        ]
        write_bundle(folder / "runs.db", folder / "tool.looplab", tools)
        return {
            "first": ids[0],
            "last": ids[-1],
            "spec": store.trend_spec(ids[0]),
            "experiment": decided(store, "classic", arms).id,
            "theirs": theirs,
            "tool": tools[0],
            "other": tools[1],
        }


COMMANDS = """
0 compare {first} {last} --json
0 compare {first} {tool}
2 compare {first} {experiment}
0 trend --json --suspect
10 trend {spec} --json --look
2 trend {spec} --metric colour
2 experiment --confirm {experiment} --blocks 1
2 experiment --confirm zzzzzzzzzz
0 repeat {theirs} --json
0 repeat {theirs} --application shop
2 repeat {experiment}
2 repeat {theirs} {theirs}
2 repeat notes.txt
2 repeat tool.looplab
0 export {experiment} --html page.html
0 export {tool} --html page.html
0 export {tool} {other} --html page.html
2 export zzzzzzzzzz --html page.html
"""
"""Each with its exit code before it."""


def test_commands_say_through_a_dashboard_what_they_say_without(
    call: Call, tmp_path: Path, results: dict[str, str]
) -> None:
    page = tmp_path / "page.html"

    def said(command: str) -> tuple[str, int, str, str, str]:
        done = call(command.split())
        content = page.read_text() if page.exists() else ""
        page.unlink(missing_ok=True)
        content = re.sub(r"made <time .*?</time>", "", content)
        return command, done.returncode, done.stdout, done.stderr, content

    lines = [line.split(" ", 1) for line in COMMANDS.strip().format(**results).splitlines()]
    without = [said(command) for _, command in lines]
    assert [str(code) for _, code, *_ in without] == [code for code, _ in lines]
    errors = " ".join(done[3] for done in without)
    assert "notes.txt is no bundle: looplab export --bundle makes one." in errors
    assert "tool.looplab holds 0 results that can be repeated." in errors
    here = f"Code of “shop” here: {tmp_path}, its commit is not known."
    assert here in " ".join(done[2] for done in without)
    with forked_dashboard(tmp_path) as started:
        assert [said(command) for _, command in lines] == without
        for name in ("first", "spec"):
            written = said(f"export {results[name]} --html page.html --json")
            assert json.loads(written[2])["file"] == str(page)
            assert written[4].startswith("<!DOCTYPE html>")
        for file, why in (
            ("notes.txt", "notes.txt is there already: name another file.\n"),
            ("none/page.html", "none/page.html cannot be written: No such file or directory.\n"),
        ):
            refused = call(["export", results["tool"], "--html", file])
            assert (refused.returncode, refused.stderr) == (2, why)
        told = [call(["trend", results["spec"], "--once"]) for _ in range(2)]
        assert [done.returncode for done in told] == [10, 0]
        assert f"{started.url}/trends/{results['spec']}" in told[0].stdout
        assert "event-loop  " in call(["experiment", "--list"]).stdout
        opened = call(["login"])
        assert (opened.stdout, opened.stderr) == (f"{started.url}\n", "It asks for no login.\n")
        waiting_is_told_how_it_ends(started, tmp_path, results)


@contextmanager
def waiting(arguments: list[str], folder: Path) -> Iterator[tuple[ForkedProcess, Path]]:
    """A command that waits for an experiment, and the file with all that it prints."""
    file = folder / "printed"
    with file.open("w") as printed:
        process = forked(arguments, folder, {}, (0, printed.fileno(), printed.fileno()))
    try:
        until(lambda: "It takes about" in file.read_text(), "it waits")
        yield process, file
    finally:
        process.kill()


def waiting_is_told_how_it_ends(
    started: DashboardProcess, folder: Path, results: dict[str, str]
) -> None:
    """All wait behind a run, so that none is measured; the dashboard is killed at the end."""
    started.submit(long_spec(**BARE))

    def address() -> str:
        (newest, *_) = started.get("/api/experiments/runs").json()["experiments"]
        return f"experiments/runs/{newest['id']}"

    for command, line in (
        ("noise-floor", r"raw, closed, 4 users +Throughput|Load +Metric"),
        (f"experiment --confirm {results['experiment']}", r"async: run \w{10}, cancelled"),
        (f"repeat {results['theirs']} --start", r"On elsewhere: .*threaded is better"),
    ):
        with waiting(command.split(), folder) as (process, file):
            assert started.post(f"/api/{address()}/cancel").is_success
            assert process.wait(20) == 1
        assert re.search(line, file.read_text())
    with waiting(["experiment", "classic"], folder) as (process, file):
        process.send_signal(signal.SIGINT)
        assert process.wait(20) != 0
        place = f"{started.url}/{address().replace('/runs', '')}"
        assert f"It goes on in the dashboard: {place}\n" in file.read_text()
    with waiting(["experiment", "classic"], folder) as (process, file):
        place = f"{started.url}/{address().replace('/runs', '')}"
        started.kill()
        assert process.wait(20) == 1
        assert f"does not answer any more. What was measured is at {place} once" in (
            file.read_text()
        )
