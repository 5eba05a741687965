"""Applications of the settings on the pages: chosen in the form, checked on the Targets page."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from tests.builders import own
from tests.dashboard import BARE, Dashboard, items_spec, long_spec, until
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.form_page import changed, form_of_page, quick_run, send

WRONG: dict[str, dict[str, Any]] = {
    "no-python": {"python": "none/bin/python"},
    "wrong-python": {"python": "wrong/bin/python"},
    "odd-variables": {"app": "shoe:app", "env_file": "odd.env"},
    "no-server": {"python": "bare/bin/python"},
    "no-wsgi-server": {"python": "bare/bin/python", "app": "shop.wsgi:application"},
    "no-module": {"app": "shoe:app"},
    "no-name": {"app": "shop:ap"},
    "no-directory": {"directory": "elsewhere"},
    "no-variable": {
        "environment": ["SHOP_KEY", "SHOP_TOKEN"],
        "ready_path": "/gone",
        "ready_status": 404,
    },
    "no-program": {"command": "serve-what {host} {port}"},
    "broken": {"app": "broken:app", "ready_path": "/", "start_timeout_s": 3},
    "silent": {
        "command": ["sh", "-c", "exec sleep 60", "{host}", "{port}"],
        "start_timeout_s": 0.5,
    },
    "asks": {"app": "asks:app"},
    "refuses": {"app": "odd:refuses"},
    "unending": {"app": "odd:unending", "ready_path": "/"},
}
ODD = """
async def answer(send, status, body):
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})

async def refuses(scope, receive, send):
    await answer(send, 400, b"Bad Request")

async def unending(scope, receive, send):
    await answer(send, 200, b"x" * 5_000_000)
"""


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("applications")
    settings = own.project(folder)
    own.environment(folder / "bare", packages=False)
    (folder / "odd.env").write_text("A=1\nno value\n")
    (folder / "wrong" / "bin").mkdir(parents=True)
    (folder / "wrong" / "bin" / "python").write_text("#!/bin/sh\nexit 3\n")
    (folder / "wrong" / "bin" / "python").chmod(0o755)
    (folder / "asks.py").write_text("import os\nos.environ['SHOP_SECRET']\n")
    (folder / "broken.py").write_text("async def app(scope, receive, send):\n    raise KeyError\n")
    (folder / "odd.py").write_text(ODD)
    wrong = "".join(own.entry(name, **keys) for name, keys in WRONG.items())
    settings.write_text(settings.read_text() + wrong)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SHOP_KEY", "hunter2-long")
        with in_process(folder, settings) as started:
            yield started


def checked(looplab: Dashboard, name: str) -> str:
    """The fragment of a check that is over."""
    answer = looplab.post(f"/targets/applications/{name}/checkup", follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/targets/applications/{name}#checkup"

    def over() -> str:
        text = looplab.get(f"/targets/applications/{name}/checkup").text
        return "" if "hx-trigger" in text else unescape(text)

    found: str = until(over, f"the check of {name}", every_s=0.1)
    return found


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no-python", "none/bin/python is not there: make the environment"),
        ("wrong-python", "wrong/bin/python does not run: "),
        ("wrong-python", "Name the interpreter of an environment with Python 3.8 or newer."),
        ("odd-variables", "odd.env is no NAME=value: it is left out."),
        ("no-server", "bare/bin/python -m pip install uvicorn"),
        ("no-wsgi-server", "bare/bin/python -m pip install gunicorn"),
        ("no-module", "There is no module shoe in its directory"),
        ("no-name", "The module has no ap:"),
        ("no-directory", "elsewhere is not there: correct it in the settings"),
        ("no-program", "The program serve-what is not there"),
        ("broken", "It runs, but answers 500 to GET /: see the log lines"),
        ("silent", "make it use the host and port that it is given"),
        ("asks", "It asks for the variable SHOP_SECRET"),
    ],
)
def test_a_check_says_what_is_missing(looplab: Dashboard, name: str, words: str) -> None:
    found = checked(looplab, name)
    assert "It does not start." in found
    assert words in found


def test_a_check_of_what_works_names_servers_and_doubts(looplab: Dashboard) -> None:
    assert "It starts" in checked(looplab, "shop")
    found = checked(looplab, "no-variable")
    assert "It starts" in found
    told = [part.text for part in read_html(found).by_role("list")[0].all("p")]
    assert "The variable SHOP_TOKEN of environment is not set." in told
    assert "GET /gone answers 404." in told
    assert any(line.startswith("Python 3.") and "uvicorn 0." in line for line in told)
    assert "hunter2" not in found


@pytest.mark.parametrize(
    ("name", "words"),
    [("refuses", "does not accept the Host localhost:"), ("unending", "an answer that ends")],
)
def test_a_check_doubts_an_answer_that_shows_little(
    looplab: Dashboard, name: str, words: str
) -> None:
    found = checked(looplab, name)
    assert "It starts" in found
    assert words in found


def test_a_command_is_checked_too(looplab: Dashboard) -> None:
    found = checked(looplab, "plain")
    assert "It starts" in found
    assert "python server.py 127.0.0." in found


def test_no_check_while_a_run_measures_and_a_run_ends_a_check(looplab: Dashboard) -> None:
    looplab.post("/targets/applications/shop/checkup")
    run_id = looplab.submit(long_spec(**BARE))
    looplab.until_state(run_id, {"running"})
    text = looplab.get("/targets/applications/shop/checkup").text
    assert "The check was given up." in text
    refused = looplab.post("/targets/applications/shop/checkup", follow_redirects=False)
    assert refused.status_code == 409
    assert "A run measures now" in refused.text
    looplab.post(f"/api/runs/{run_id}/cancel")


def test_no_command_is_guessed_while_its_interpreter_is_not_asked(tmp_path: Path) -> None:
    with in_process(tmp_path, own.project(tmp_path)) as looplab:
        run_id = looplab.submit(long_spec(**BARE))
        looplab.until_state(run_id, {"running"})
        shown = read_html(looplab.get("/targets").text).text
        assert shown.count("is not known yet") == 1
        assert "uvicorn shop:app" not in shown
        looplab.cancel(run_id)
        until(lambda: "is not known yet" not in looplab.get("/targets").text, "it was asked")


def test_it_can_be_started_by_hand(looplab: Dashboard) -> None:
    answer = looplab.post("/targets/applications/plain/start", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/targets#by-hand")
    shown = looplab.get("/targets/by-hand").text
    assert "python server.py 127.0.0." in shown
    pairs = [("name", "plain")]
    assert send(looplab, "/targets/stop", pairs).status_code == 303


def test_the_pages_tell_how_it_is_configured_and_no_value(looplab: Dashboard) -> None:
    listed = looplab.get("/targets").text
    assert "/targets/applications/shop" in listed
    assert "env/bin/python -m uvicorn shop:app" in listed
    shown = looplab.get("/targets/applications/no-variable").text
    assert "SHOP_KEY, SHOP_TOKEN (not set)" in shown
    assert "hunter2" not in listed + shown
    assert "localhost with the port" in shown
    assert "10 s from SIGTERM to SIGKILL" in shown
    for name in ("gone", "..%2f..%2fetc", "%00", "bundled"):
        assert looplab.get(f"/targets/applications/{name}").status_code == 404
        assert looplab.post(f"/targets/applications/{name}/checkup").status_code == 404


def test_the_form_offers_it_beside_the_bundled_one(looplab: Dashboard) -> None:
    page = looplab.get("/runs/new?application=shop").text
    pairs = form_of_page(page, "/runs")
    assert ("target", "shop") in pairs
    assert dict(pairs)["workload.streams.0.requests.0.path"] in {"/prefix", "/seen"}
    run = quick_run(looplab, changed(pairs, title="shop once"))
    assert run["spec"]["target"]["application"] == "shop"
    again = form_of_page(looplab.get(f"/runs/new?from={run['id']}").text, "/runs")
    assert ("target", "shop") in again
    assert ("target.configuration", "uvicorn, 1 worker, uvloop") in again


def test_beside_a_command_the_form_asks_for_no_server(looplab: Dashboard) -> None:
    pairs = form_of_page(looplab.get("/runs/new?application=plain").text, "/runs")
    run = quick_run(looplab, pairs)
    assert run["command"].startswith("python server.py 127.")
    again = form_of_page(looplab.get(f"/runs/new?from={run['id']}").text, "/runs")
    assert ("target", "plain") in again


@pytest.mark.parametrize(
    ("target", "server"),
    [
        ({"application": "no-server", "loop": "asyncio"}, "uvicorn"),
        ({"application": "no-wsgi-server"}, "gunicorn"),
    ],
)
def test_a_failed_run_shows_the_same_hints(
    looplab: Dashboard, target: dict[str, str], server: str
) -> None:
    run = looplab.until_state(looplab.submit(items_spec(target=target)), {"failed"})
    page = unescape(looplab.get(f"/runs/{run['id']}").text)
    assert f"bare/bin/python -m pip install {server}" in page


def test_an_application_that_is_gone_is_told_at_the_choice(looplab: Dashboard) -> None:
    pairs = form_of_page(looplab.get("/runs/new").text, "/runs")
    answer = send(looplab, "/runs", changed(pairs, target="gone"))
    assert answer.status_code == 422
    assert "There is no application 'gone'" in unescape(answer.text)


def test_it_is_offered_first_with_a_request_that_it_answers(looplab: Dashboard) -> None:
    checked(looplab, "asks")
    home = looplab.get("/").text
    assert home.index('id="applications"') < home.index('id="questions"')
    page = looplab.get("/runs/new").text
    names = re.findall(r'type="radio" name="target" value="([^"]+)"', page)
    assert names[-2:] == ["bundled", "url"]
    assert re.search(f'value="{names[0]}" class="by-server[^"]*" checked', page)
    assert "Its OpenAPI document lists 4 operations." in checked(looplab, "shop")
    pairs = form_of_page(looplab.get("/runs/new?application=shop").text, "/runs")
    assert ("workload.streams.0.requests.0.path", "/seen") in pairs
    assert "target.configuration" not in dict(pairs)
    form = [("preset", "items"), ("target", "shop"), ("key", "first-of-shop")]
    started = looplab.post_form("/runs", form)
    run = looplab.run(started.headers["location"].rpartition("/")[2])
    assert run["spec"]["target"]["application"] == "shop"
    assert run["spec"]["workload"]["streams"][0]["requests"][0]["path"] == "/seen"
    looplab.post(f"/api/runs/{run['id']}/cancel")


def test_its_lines_are_written_to_copy_and_its_file_is_read_again(looplab: Dashboard) -> None:
    asked = {"name": "new", "serves": "shop:app", "directory": 'a "b"', "python": "env/bin/python"}
    page = unescape(looplab.get("/targets", params=asked).text)
    lines = "\n".join(
        (
            "[applications.new]",
            'app = "shop:app"',
            'python = "env/bin/python"',
            'directory = "a \\"b\\""',
        )
    )
    assert lines in page
    settings = looplab.db.with_name("looplab.toml")
    assert str(settings) in page
    before = settings.read_text()
    try:
        settings.write_text(f"{before}\n{lines}\n")
        assert looplab.get("/targets/applications/new").status_code == 200
        settings.write_text(f"{before}\n[applications.new]\napp = 3\n")
        assert "applications.new.app" in looplab.get("/targets").text
        assert looplab.get("/targets/applications/new").status_code == 200
    finally:
        settings.write_text(before)
    assert looplab.get("/targets/applications/new").status_code == 404
    for wrong, words in (
        ({"name": "New", "serves": "shop:app"}, "name it with small letters"),
        ({"name": "new", "serves": "serve {host}"}, "write {port} where the server is told it"),
    ):
        assert words in unescape(looplab.get("/targets", params=wrong).text)
