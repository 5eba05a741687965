import re
from html import escape

from control_plane.targets.builtin_configurations import BUILTIN_CONFIGURATIONS
from control_plane.targets.command_line import shown_command
from tests.dashboard import Dashboard


def test_every_configuration_stands_with_its_command(empty: Dashboard) -> None:
    page = empty.get("/targets").text
    for one in BUILTIN_CONFIGURATIONS:
        assert f"<h3>{one.name}</h3>" in page
        assert escape(shown_command(one.target)) in page
        assert f"of {one.name}</span></summary>" in page


def test_a_configuration_begins_a_run(empty: Dashboard) -> None:
    name = BUILTIN_CONFIGURATIONS[3].name
    page = empty.get("/runs/new", params={"configuration": name}).text
    ticked = re.findall(r'name="target.configuration" value="([^"]*)" checked', page)
    assert ticked == [name]
