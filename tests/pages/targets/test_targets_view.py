from html import escape

from control_plane.targets.builtin_configurations import BUILTIN_CONFIGURATIONS
from control_plane.targets.launch import shown_command
from tests.dashboard import Dashboard
from tests.html import read_html


def test_every_configuration_stands_with_its_command(empty: Dashboard) -> None:
    page = empty.get("/targets").text
    for configuration in BUILTIN_CONFIGURATIONS:
        assert read_html(page).by_role("heading", configuration.name)
        assert escape(shown_command(configuration.target)) in page
        assert f"of {configuration.name}</span></summary>" in page


def test_a_configuration_begins_a_run(empty: Dashboard) -> None:
    name = BUILTIN_CONFIGURATIONS[3].name
    page = empty.get("/runs/new", params={"configuration": name}).text
    boxes = [box.attributes for box in read_html(page).elements() if box.tag == "input"]
    ticked = [box for box in boxes if "checked" in box]
    assert [box["value"] for box in ticked if box["name"] == "target.configuration"] == [name]
