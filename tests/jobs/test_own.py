"""A run of an application outside the project, through the job, with load."""

from collections.abc import Iterator

import pytest

from tests.builders import own
from tests.dashboard import Dashboard, forked_dashboard, items_spec, until


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    folder = tmp_path_factory.mktemp("own")
    settings = own.project(folder / "shop")
    own.bare_project(folder / "shop")
    with settings.open("a") as file:
        file.write(own.entry("lean", app="bare:app", python="lean/bin/python"))
        file.write(own.entry("till", app="till:app", python="lean/bin/python"))
    (folder / "shop" / "till.py").write_text("def app(environ, start_response): ...")
    arguments = ["--config", "shop/looplab.toml"]
    with forked_dashboard(folder, arguments, {"SHOP_KEY": "hunter2-long"}) as started:
        yield started


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"application": "shop", "loop": "asyncio"}, "shop/env/bin/python -m uvicorn shop:app"),
        ({"application": "plain"}, "python server.py 127.0.0."),
        (
            {"configuration": "uvicorn, 1 worker, asyncio", "application": "shop"},
            "shop/env/bin/python -m uvicorn shop:app",
        ),
    ],
    ids=["import string", "command", "configuration"],
)
def test_it_is_measured_like_the_bundled_one(
    looplab: Dashboard, target: dict[str, str], words: str
) -> None:
    run = looplab.finished(looplab.submit(items_spec(target=target)))
    (stream,) = run["streams"]
    assert (stream["completed"], stream["errors"]) == (200, {})
    assert words in run["command"]
    assert run["trials"][0]["target"]["cpu_s"] is not None
    assert run["spec"]["target"]["application"] == target["application"]
    assert run["title"].endswith(f"{target['application']}{', uvicorn' * ('uvicorn' in words)}"
                                 f"{', 1 worker, asyncio' * ('uvicorn' in words)}")  # fmt: skip
    assert "hunter2" not in str(run)
    assert run["environment"]["target_python"] == run["environment"]["python"]
    assert run["environment"]["target_packages"]["uvicorn"].startswith("0.")
    workers = looplab.get(f"/api/runs/{run['id']}/gauges").json()["workers"]
    assert bool(workers) == ("uvicorn" in words)
    gauges = looplab.get(f"/api/runs/{run['id']}/gauges").json()
    assert len(gauges["workers"]) == (1 if "uvicorn" in words else 0)


def test_programs_can_ask_for_the_names(looplab: Dashboard) -> None:
    listed = looplab.get("/api/applications").json()
    assert [(application["name"], application["server"]) for application in listed] == [
        ("shop", None), ("plain", "command"), ("lean", None), ("till", None),
    ]  # fmt: skip


def test_what_does_not_exist_or_fit_is_refused_at_its_field(looplab: Dashboard) -> None:
    for target, field, words in (
        ({"application": "shoe"}, "target.application", "are: bundled, lean, plain, shop, till."),
        ({"application": "plain", "server": "uvicorn"}, "target.server", '"server": "command"'),
        ({"server": "command"}, "target.server", "The bundled application has no command"),
    ):  # fmt: skip
        answer = looplab.post("/api/runs", items_spec(target=target))
        assert answer.status_code == 422
        (error,) = answer.json()["fields"]
        assert (error["field"], words in error["message"]) == (field, True)


@pytest.mark.parametrize(
    "target",
    [
        {"application": "lean"},
        {"configuration": "uvicorn, 1 worker, asyncio", "application": "lean"},
    ],
    ids=["nothing chosen", "configuration"],
)
def test_what_is_not_chosen_follows_the_environment_in_a_run_and_in_a_check(
    looplab: Dashboard, target: dict[str, str]
) -> None:
    run = looplab.finished(looplab.submit(items_spec(target=target)))
    assert "-m uvicorn bare:app" in run["command"]
    assert "--loop asyncio --http h11" in run["command"]
    assert run["title"].endswith("lean, uvicorn, 1 worker, asyncio, h11")
    looplab.post("/targets/applications/lean/checkup")

    def checked() -> str | None:
        text = looplab.get("/targets/applications/lean/checkup").text
        return text if "It starts" in text else None

    text = until(checked, "the check is over")
    assert "--loop asyncio --http h11" in text
    assert "uvloop is not installed there: runs use asyncio unless they name uvloop." in text


def test_a_check_says_that_no_server_is_of_the_kind_of_the_application(looplab: Dashboard) -> None:
    looplab.post("/targets/applications/till/checkup")

    def checked() -> str | None:
        text = looplab.get("/targets/applications/till/checkup").text
        return text if "It does not start" in text else None

    text = until(checked, "the check is over")
    assert "till:app looks like WSGI: no server there serves that." in text
    assert "-m pip install gunicorn" in text
    assert "app is a WSGI application" in text


def test_what_the_environment_lacks_is_refused_where_it_is_named(looplab: Dashboard) -> None:
    for target, field in (
        ({"application": "lean", "loop": "uvloop"}, "target.loop"),
        (
            {"configuration": "uvicorn, 1 worker, uvloop", "application": "lean"},
            "target.configuration",
        ),
    ):
        answer = looplab.post("/api/runs", items_spec(target=target))
        (error,) = answer.json()["fields"]
        assert error["field"] == field
        assert error["message"].startswith(
            "uvloop is not installed in the environment of lean: choose asyncio, or install it: "
        )
    assert looplab.submit(items_spec(target={"application": "shop", "loop": "uvloop"}))
