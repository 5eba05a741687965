import pytest

from control_plane.pages.site.shell import machine
from tests.dashboard import Dashboard


@pytest.mark.parametrize(
    ("path", "current"),
    [
        ("/history", 'href="/history" aria-current="page"'),
        ("/targets", 'href="/targets" aria-current="page"'),
        ("/runs/0000000000", 'href="/history" aria-current="true"'),
    ],
)
def test_the_present_place_is_marked(empty: Dashboard, path: str, current: str) -> None:
    page = empty.get(path).text
    assert current in page
    assert page.count("aria-current") == 1


def test_no_place_is_marked_on_a_new_run(empty: Dashboard) -> None:
    assert "aria-current=" not in empty.get("/runs/new").text.partition("<main")[0]


def test_the_queue_has_an_address_of_its_own(empty: Dashboard) -> None:
    fragment = empty.get("/queue").text
    assert fragment.strip().startswith('<span id="queue"')
    assert "Idle" in fragment


def test_the_processor_is_named_without_its_trade_marks() -> None:
    assert " Intel Xeon Gold 6130, " in machine("Intel(R) Xeon(R) Gold 6130 CPU @ 2.10GHz")
    assert " AMD EPYC 7763, " in machine("AMD EPYC 7763 64-Core Processor")
