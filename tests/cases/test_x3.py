"""A moment without its time zone is read in another one."""

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from rich.console import Console

from control_plane import cli_output
from control_plane.analysis.client_ceiling import ceiling_document, ceiling_of, ceiling_spec
from control_plane.domain.spec import Client
from tests.builders.runs import ASYNC, detail_of
from tests.cases.command_line import command_line
from tests.forked import looplab

TOKYO, EUCLA = timezone(timedelta(hours=9)), timezone(timedelta(hours=8, minutes=45))


@contextmanager
def in_tokyo() -> Iterator[None]:
    """As an interpreter that starts there."""
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()
    assert time.timezone == -9 * 3_600
    yield


def test_a_measured_ceiling_names_the_zone(tmp_path: Path) -> None:
    folder = command_line("X3", tmp_path).folder
    done = looplab(["ceiling", "blocking"], folder, within=in_tokyo)
    assert done.returncode == 0, done.stderr
    (said,) = re.findall(r"(\d{4}-\d\d-\d\d \d\d:\d\d) UTC", done.stdout)
    measured = datetime.strptime(f"{said} +0000", "%Y-%m-%d %H:%M %z")
    assert abs(datetime.now(UTC) - measured) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (datetime(2026, 11, 29, 20, 12, tzinfo=UTC), "2026-11-29 20:12 UTC"),
        (datetime(2026, 11, 30, 5, 12, tzinfo=TOKYO), "2026-11-29 20:12 UTC"),
        (datetime(2026, 12, 31, 8, 44, tzinfo=EUCLA), "2026-12-30 23:59 UTC"),
    ],
)
def test_moments_of_other_zones_are_told_in_the_one_that_is_named(
    monkeypatch: pytest.MonkeyPatch, at: datetime, said: str
) -> None:
    console = Console(highlight=False, record=True)
    monkeypatch.setattr(cli_output, "out", console)
    ceiling = ceiling_of(detail_of(ceiling_spec(Client()), ASYNC).run)
    assert ceiling is not None
    document = ceiling_document(replace(ceiling, measured_at=at), here=True)
    cli_output.print_ceilings({"ceilings": [document]})
    assert said in console.export_text()
