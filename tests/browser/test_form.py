"""The page of a new run in a real browser: what is typed, planned, marked and kept."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Problems
from tests.dashboard import Dashboard, forked_dashboard

TOKEN = "a-token-of-thirty-two-letters-abc"
PATH_FIELD = "[name='workload.streams.0.requests.0.path']"


@pytest.fixture(scope="module")
def looplab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with forked_dashboard(tmp_path_factory.mktemp("form")) as started:
        yield started


def test_start_is_in_reach_on_a_small_screen(open_page: OpenPage, looplab: Dashboard) -> None:
    page = open_page(viewport={"width": 390, "height": 844})
    page.goto(f"{looplab.url}/runs/new")
    start = page.locator(".plan-start button").first
    expect(start).to_be_in_viewport()
    box = start.bounding_box()
    assert box is not None
    assert box["y"] > 700


def test_the_plan_follows_the_form(page: Page, looplab: Dashboard) -> None:
    page.goto(f"{looplab.url}/runs/new")
    page.get_by_label("threaded", exact=True).check()
    expect(page.locator("#plan")).to_contain_text("2 strategies × 4 blocks, about")
    page.get_by_label("Trials", exact=True).fill("6")
    page.get_by_label("Trials", exact=True).blur()
    expect(page.locator("#plan")).to_contain_text("2 strategies × 6 blocks, about")
    page.locator(PATH_FIELD).fill("/items/{number}")
    page.locator(PATH_FIELD).blur()
    expect(page.locator(".value-row")).to_have_count(1)
    expect(page.get_by_label("Kind of number")).to_have_value("integer")
    expect(page.locator("#plan-spec")).to_contain_text('"number"')


def test_the_box_of_the_spec_follows_until_it_is_written_in(page: Page, looplab: Dashboard) -> None:
    page.goto(f"{looplab.url}/runs/new")
    page.get_by_label("Trials", exact=True).fill("1")
    page.get_by_label("Trials", exact=True).blur()
    box = page.locator("#spec")
    expect(box).to_have_value(re.compile('"trials": 1,'))
    assert box.input_value() == page.locator("#plan-spec").inner_text().rstrip()
    box.fill("{}")
    page.get_by_label("Trials", exact=True).fill("2")
    page.get_by_label("Trials", exact=True).blur()
    expect(page.locator("#plan-spec")).to_contain_text('"trials": 2,')
    expect(box).to_have_value("{}")


@pytest.mark.parametrize("button", ["Start", "Check"])
def test_back_finds_what_was_typed(page: Page, looplab: Dashboard, problems, button: str) -> None:
    problems.expect("422")
    page.goto(f"{looplab.url}/runs/new")
    page.get_by_label("Title").fill("typed")
    page.get_by_label("Deadline").fill("900")
    page.locator("#plan").get_by_role("button", name=button).click()
    expect(page.locator("#plan .wrong")).to_be_visible()
    page.get_by_label("Title").fill("typed again")
    page.get_by_role("link", name="Glossary").click()
    page.wait_for_url("**/glossary")
    page.go_back()
    expect(page.get_by_label("Title")).to_have_value("typed again")
    expect(page.locator("#plan-spec")).to_contain_text("typed again")
    page.go_back()
    expect(page.get_by_label("Title")).to_have_value("typed")
    expect(page.get_by_label("Deadline")).to_have_value("900")


def test_a_stream_is_called_after_its_path_until_it_is_named(
    page: Page, looplab: Dashboard
) -> None:
    page.goto(f"{looplab.url}/runs/new")
    name = page.locator("[name='workload.streams.0.name']")
    for path, called in (("/", "root"), ("/movies/sync/{id}", "sync")):
        page.locator(PATH_FIELD).fill(path)
        page.locator(PATH_FIELD).blur()
        expect(name).to_have_value(called)
        expect(page.locator("#plan-spec")).to_contain_text(f'"name": "{called}"')
    name.evaluate("(field) => { field.value = 'mine'; }")
    page.locator(PATH_FIELD).fill("/items/1")
    page.locator(PATH_FIELD).blur()
    expect(page.locator("#plan-spec")).to_contain_text('"path": "/items/1"')
    expect(name).to_have_value("mine")


def test_the_plan_marks_a_wrong_field(page: Page, looplab: Dashboard) -> None:
    page.goto(f"{looplab.url}/runs/new")
    page.get_by_label("Deadline").fill("900")
    page.get_by_label("Deadline").blur()
    expect(page.locator("#plan .wrong-line")).to_have_text(re.compile('"timeout_s": 900'))
    page.get_by_role("link", name="Deadline").click()
    assert page.url.endswith("#timeout_s")


@pytest.mark.parametrize("scripted", [True, False])
@pytest.mark.parametrize("button", ["Start", "Check"])
def test_a_refused_form_begins_at_its_first_wrong_field(
    open_page: OpenPage, looplab: Dashboard, problems, button: str, scripted: bool
) -> None:
    """Also one in a part that was folded up, far below what the window shows."""
    problems.expect("422")
    page = open_page(viewport={"width": 1280, "height": 900}, java_script_enabled=scripted)
    page.goto(f"{looplab.url}/runs/new")
    page.get_by_text("Connections, processes, cores").click()
    page.get_by_label("Seed").fill("x")
    page.get_by_text("Connections, processes, cores").click()
    page.locator("#plan").get_by_role("button", name=button).click()
    expect(page.locator("#plan .wrong")).to_be_visible()
    seed = page.get_by_label("Seed")
    expect(seed).to_be_focused()
    expect(seed).to_be_in_viewport()
    expect(page.locator("#wrong-seed")).to_be_in_viewport()


@pytest.mark.parametrize("scripted", [True, False])
def test_a_choice_of_which_nothing_is_ticked_is_gone_to(
    open_page: OpenPage, looplab: Dashboard, problems, scripted: bool
) -> None:
    problems.expect("422")
    page = open_page(java_script_enabled=scripted)
    page.goto(f"{looplab.url}/runs/new")
    page.get_by_label("async", exact=True).uncheck()
    page.locator("#plan").get_by_role("button", name="Start").click()
    strategies = page.get_by_role("group", name="Strategies")
    expect(strategies).to_be_focused()
    expect(strategies).to_have_accessible_description("Tick at least one.")
    expect(strategies).to_be_in_viewport()


def test_a_refused_spec_is_gone_to(page: Page, looplab: Dashboard, problems) -> None:
    problems.expect("422")
    page.goto(f"{looplab.url}/runs/new")
    page.locator("#spec").fill("{}")
    page.get_by_role("button", name="Start this spec").click()
    expect(page.locator("#wrong-spec")).to_be_in_viewport()
    expect(page.locator("#spec")).to_be_focused()


def test_the_answer_of_check_is_gone_to(page: Page, looplab: Dashboard) -> None:
    page.goto(f"{looplab.url}/runs/new")
    page.locator("#plan").get_by_role("button", name="Check").click()
    expect(page.locator("#tried")).to_be_focused(timeout=20_000)
    expect(page.locator("#tried")).to_be_in_viewport()


def test_what_a_button_adds_is_gone_to(page: Page, looplab: Dashboard) -> None:
    page.goto(f"{looplab.url}/runs/new")
    for button, added in (
        ("Add a request class", "[id='workload.streams.0.requests.1']"),
        ("Add a stream", "#stream-2"),
        ("a request before the load", "[id='before.0']"),
    ):
        page.get_by_role("button", name=button, exact=True).first.click()
        expect(page.locator(f"{added} legend, {added} h3").first).to_be_in_viewport()
    page.locator("#stream-2").get_by_role("button", name="Remove", exact=True).first.click()
    expect(page.locator("#stream-2 h3, #stream-1 h3").first).to_be_in_viewport()


def test_a_plan_made_anew_takes_no_focus(page: Page, looplab: Dashboard) -> None:
    """Not even where a value that came with it is wrong: somebody types elsewhere."""
    page.goto(f"{looplab.url}/runs/new")
    page.locator("[id='workload.streams.0.requests.0.values.item_id.low']").fill("x")
    page.locator(PATH_FIELD).fill("/items/{item_id}/{other}")
    page.get_by_label("Title").focus()
    expect(page.locator(".value-row")).to_have_count(2)
    expect(page.locator("#plan .wrong")).to_be_visible()
    expect(page.get_by_label("Title")).to_be_focused()


def test_a_mistake_is_forgotten_once_the_field_changes(
    page: Page, looplab: Dashboard, problems
) -> None:
    problems.expect("422")
    page.goto(f"{looplab.url}/runs/new")
    page.get_by_label("Deadline").fill("900")
    page.locator("#plan").get_by_role("button", name="Start").click()
    expect(page.locator(".field .wrong")).to_contain_text("above the limit of 600")
    expect(page.get_by_label("Deadline")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Deadline").fill("30")
    expect(page.locator(".field .wrong")).to_have_count(0)


def test_a_mistake_in_the_plan_goes_while_it_is_mended(page: Page, looplab: Dashboard) -> None:
    page.goto(f"{looplab.url}/runs/new")
    page.get_by_text("Vary one or two fields").click()
    page.get_by_label("Vary", exact=True).first.select_option("workload.streams.0.load.concurrency")
    expect(page.locator("#plan .wrong")).to_contain_text("Values: Write at least two values")
    values = page.get_by_label("Values", exact=True).first
    values.press_sequentially("1, 8")
    expect(page.locator("#plan .wrong")).to_have_count(0)
    expect(page.locator("#plan")).to_contain_text("2 arms × 4 blocks")
    expect(values).to_be_focused()


def test_enter_in_a_field_checks_and_starts_nothing(page: Page, looplab: Dashboard) -> None:
    before = len(looplab.get("/api/runs").json()["runs"])
    page.goto(f"{looplab.url}/runs/new")
    page.get_by_label("Trials", exact=True).fill("2")
    page.get_by_label("Trials", exact=True).press("Enter")
    expect(page.locator("#plan")).to_contain_text("2 trials, about")
    expect(page.locator(".stream")).to_have_count(1)
    assert len(looplab.get("/api/runs").json()["runs"]) == before


def test_a_choice_shows_its_fields(open_page: OpenPage, looplab: Dashboard) -> None:
    page = open_page(java_script_enabled=False)
    page.goto(f"{looplab.url}/runs/new")
    for choice, before, shown, hidden in (
        ("Burst", "Closed", "Connections", "Think time"),
        ("Open", "Closed", "Rate", "Concurrency"),
        ("Periodic", "Closed", "Interval", "Think time"),
        ("A number of requests", "A time", "Requests", "Duration"),
        ("A server that runs", "", "Address", "uvicorn, 1 worker, uvloop"),
    ):
        expect(page.get_by_label(hidden, exact=True).first).to_be_visible()
        page.get_by_text(choice, exact=True).click()
        expect(page.get_by_label(shown, exact=True).first).to_be_visible()
        expect(page.get_by_label(hidden, exact=True).first).to_be_hidden()
        if before:
            page.get_by_text(before, exact=True).click()


def test_the_spec_is_copied_as_json(open_page: OpenPage, looplab: Dashboard) -> None:
    page = open_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"{looplab.url}/runs/new")
    button = page.locator("[data-copy='plan-spec']")
    button.click()
    expect(button).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText().then(JSON.parse)")["trials"] == 3
    expect(button).to_have_text("Copy")


def test_what_was_typed_outlives_a_session_that_ended(
    page: Page, tmp_path: Path, problems: Problems
) -> None:
    problems.expect("401")
    with forked_dashboard(tmp_path, environment={"LOOPLAB_TOKEN": TOKEN}) as looplab:
        page.goto(f"{looplab.url}/runs/new")
        page.get_by_label("Token or password").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        page.get_by_role("button", name="Add a stream").click()
        page.get_by_label("Title").fill("typed before the session ended")
        page.locator("[name='workload.streams.1.requests.0.path']").fill("/items/7")
        expect(page.locator("#plan-spec")).to_contain_text("/items/7")
        page.context.clear_cookies()
        page.locator("#plan").get_by_role("button", name="Start").click()
        for word in ("wrong", TOKEN):
            page.get_by_label("Token or password").fill(word)
            page.get_by_role("button", name="Log in").click()
        expect(page.get_by_label("Title")).to_have_value("typed before the session ended")
        path = page.locator("[name='workload.streams.1.requests.0.path']")
        expect(path).to_have_value("/items/7")
        expect(page.locator(".tried")).to_have_count(0)
        page.get_by_label("Title").fill("typed after")
        page.locator("#plan").get_by_role("button", name="Start").click()
        expect(page).to_have_url(re.compile("/runs/[a-z0-9]{10}$"))
        page.wait_for_function("() => !sessionStorage.typed && !sessionStorage.lost")
        page.goto(f"{looplab.url}/runs/new")
        expect(page.get_by_label("Title")).to_have_value("")
        page.get_by_label("Title").fill("typed before the plan asked for a login")
        page.context.clear_cookies()
        page.get_by_label("Warm-up").first.fill("3")
        page.get_by_label("Warm-up").first.blur()
        page.get_by_role("link", name="Log in again").first.click()
        page.get_by_label("Token or password").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        title = page.get_by_label("Title")
        expect(title).to_have_value("typed before the plan asked for a login")
        page.get_by_label("Spec", exact=True).fill("{typed: here}")
        page.context.clear_cookies()
        page.get_by_role("button", name="Start this spec").click()
        page.get_by_label("Token or password").fill(TOKEN)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_label("Spec", exact=True)).to_have_value("{typed: here}")
