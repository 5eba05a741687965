import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane.domain.spec import Target
from control_plane.targets.application import Application
from control_plane.targets.command import command, shown_command

DEFAULT = Target()


def test_the_default_names_every_choice() -> None:
    assert shlex.join(command(DEFAULT, "127.0.0.2", 8001)) == (
        "uvicorn target_app.main:app --host 127.0.0.2 --port 8001"
        " --loop uvloop --http httptools --no-access-log"
    )


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (replace(DEFAULT, workers=4), "--workers 4"),
        (replace(DEFAULT, loop="asyncio", http="h11"), "--loop asyncio --http h11"),
        (replace(DEFAULT, reload=True), "--reload --reload-dir target_app"),
        (replace(DEFAULT, access_log=True), "--access-log"),
        (replace(DEFAULT, keep_alive_s=60), "--timeout-keep-alive 60"),
        (replace(DEFAULT, backlog=16), "--backlog 16"),
    ],
)
def test_what_differs_from_the_default_shows(changed: Target, words: str) -> None:
    assert words in shlex.join(command(changed, "127.0.0.2", 8001))


def test_another_application_stands_in_its_place() -> None:
    own = Application("shop.web:create", Path("/srv/shop"), reload_dir="shop")
    words = command(replace(DEFAULT, reload=True), "127.0.0.2", 8001, own)
    assert words[:2] == ["uvicorn", "shop.web:create"]
    assert words[words.index("--reload-dir") + 1] == "shop"


def test_a_copied_line_carries_the_settings_that_differ() -> None:
    chosen = replace(DEFAULT, threads=4, settings={"log_s": 0.5, "cpu_n": 1e6})
    line = shown_command(chosen)
    assert line.startswith("TARGET_THREADS=4 TARGET_LOG_S=0.5 TARGET_CPU_N=1000000 uvicorn ")
    assert shown_command(DEFAULT).startswith("uvicorn ")
