"""An older gunicorn was given an option that it does not know."""

from pathlib import Path

import pytest

from control_plane.applications_file import read_applications
from control_plane.domain.spec import Target
from control_plane.targets.application import Application
from control_plane.targets.configurations import find_configuration
from control_plane.targets.launch import arguments
from tests.cases.conftest import CASES

GUNICORN = find_configuration("gunicorn, 1 worker, uvicorn_worker, uvloop")
GRANIAN = find_configuration("granian, 1 worker, uvloop")


@pytest.mark.parametrize(
    ("target", "versions", "option", "given"),
    [
        (GUNICORN, {}, "--no-control-socket", True),
        (GUNICORN, {"gunicorn": "23.0.0"}, "--no-control-socket", False),
        (GUNICORN, {"gunicorn": "25.0.3"}, "--no-control-socket", False),
        (GUNICORN, {"gunicorn": "25.1.0"}, "--no-control-socket", True),
        (GUNICORN, {"gunicorn": "27.0.1.dev2+local"}, "--no-control-socket", True),
        (GRANIAN, {"granian": "1.3.2"}, "--no-access-log", False),
        (GRANIAN, {"granian": "1.4.0"}, "--no-access-log", True),
        (GRANIAN, {"granian": "2.8.7"}, "--no-access-log", True),
    ],
)
def test_an_option_is_given_by_the_version(
    target: Target, versions: dict[str, str], option: str, *, given: bool
) -> None:
    application = Application("app:app", Path("/srv"), name="older", versions=versions)
    assert (option in arguments(target, application, "127.0.0.2", 80)) == given


def test_the_case_names_an_interpreter_whose_versions_are_asked() -> None:
    older = read_applications(CASES / "R05" / "looplab.toml")["older"]
    assert older.python == CASES / "R05" / ".venv" / "bin" / "python"
