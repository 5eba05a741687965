"""Share links: each opens one result, in forms that hold nothing of what is hidden."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from fastapi import FastAPI
from PIL import Image
from PIL.ImageColor import getrgb
from sqlalchemy import Engine, event

from control_plane.access.http_errors import status_of
from control_plane.access.login import GUESSES
from control_plane.access.route_roles import ROUTES, role_of
from control_plane.analysis.charts.preview_picture import (
    BOTTOM_END,
    COLOURS,
    LEFT,
    RIGHT_END,
    TOP_END,
)
from control_plane.analysis.prose.run_sentences import told_of_run
from control_plane.app import routes_of
from control_plane.domain.errors import ComeAgain
from control_plane.domain.redaction import HIDDEN_BY_LINK, OF_REQUESTS
from control_plane.store.share_links import SharedFiles, ShareLink
from control_plane.store.store import open_store
from tests.builders.runs import (
    ASYNC,
    BLOCKED,
    finished,
    items,
)
from tests.builders.trends import interleaved
from tests.dashboard import provide_database
from tests.html import read_html
from tests.in_process import in_process
from tests.pages.shared_site import (
    OPERATOR,
    PORT,
    PRIVATE,
    TITLE,
    VIEWER,
    Site,
    shared_site,
)
from tests.pages.stored import words

HIDDEN = re.compile(r"canary|\bbench\b|target_app\.main:app|Started server process|time\.sleep")
FORMS = sorted(
    route.removeprefix("GET /shared/{token}")
    for route in ROUTES["public"]
    if route.startswith("GET /shared")
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with shared_site(tmp_path_factory.mktemp("sharing")) as served:
        yield served


KINDS = ["run", "comparison", "experiment", "trend"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_gives_each_form_without_what_it_hides(site: Site, kind: str) -> None:
    path = site.share(kind)
    token = path.removeprefix("/shared/")
    assert len(token) >= 32
    for form in FORMS:
        figure = "trend" if kind == "trend" else "percentiles"
        answer = site.client.get(path + form.replace("{name}", figure))
        assert answer.status_code == 200, (form, answer.text)
        found = HIDDEN.search(answer.text)
        assert found is None, (form, answer.text[max(0, found.start() - 200) : found.end()])
        assert site.anew not in answer.text
        assert answer.headers["cache-control"] == "private, no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"
    page = read_html(site.get(path))
    assert not page.all("form")
    assert len(page.all("lab-figure")) >= 1
    assert "Compare the arms" not in page.text
    led = {element.attributes.get("href", "") for element in page.all("a")}
    assert all(href.startswith((f"{path}/", "#")) for href in led)
    for href in led:
        if href.startswith(path):
            assert site.client.get(href).status_code == 200, href


@pytest.mark.parametrize("kind", KINDS)
def test_a_link_gives_a_bundle_that_another_looplab_takes(
    site: Site, kind: str, tmp_path: Path
) -> None:
    """Each link calls its machines otherwise; by the numbers the result is known all the same."""
    answers = [site.client.get(f"{site.share(kind)}/recipe.looplab") for _ in range(2)]
    store = open_store(provide_database(tmp_path / "there.db"))
    try:
        file = tmp_path / "theirs.looplab"
        file.write_bytes(answers[0].content)
        assert HIDDEN.search(file.read_bytes().decode(errors="replace")) is None
        taken = store.import_bundle(file, told_of_run)
        runs = store.chosen(list(taken.runs))
        assert len(runs) == {"run": 1, "comparison": 2, "experiment": 3, "trend": 24}[kind]
        for run in runs:
            assert run.environment is not None
            assert str(run.environment["hostname"]).startswith("machine-")
            assert run.origin is not None
            assert run.origin.machine == run.environment["hostname"]
            assert run.environment[HIDDEN_BY_LINK][:1] == ["hosts"]
        hidden = [run.environment[HIDDEN_BY_LINK] for run in runs if run.environment]
        assert any(OF_REQUESTS in names for names in hidden) == (kind in {"run", "comparison"})
        assert answers[0].content != answers[1].content
        file.write_bytes(answers[1].content)
        again = store.import_bundle(file, told_of_run)
        new = len(again.runs) + len(again.experiments)
        assert (new, again.known) == (0, len(taken.runs))
        assert store.chosen(list(taken.runs)) == runs
    finally:
        store.close()


def test_the_bundle_of_a_link_is_made_once_until_it_tells_something_else(site: Site) -> None:
    run = finished(site.store, items(title="one title", warmup_s=0.75), ASYNC)
    path = f"{site.share('run', subject=run.id)}/recipe.looplab"
    first, again = site.client.get(path), site.client.get(path)
    assert first.content == again.content
    assert first.headers["x-content-sha256"] == sha256(first.content).hexdigest()
    site.store.edit(run.id, title="canary two", tags=[], note="")
    changed = site.client.get(path).content
    assert b"canary two" in changed


def test_a_file_is_made_anew_where_work_that_it_tells_of_is_repeated(site: Site) -> None:
    spec, other = (
        items(warmup_s=warmup_s, trials=1, stop={"duration_s": 2}) for warmup_s in (0.25, 0.5)
    )
    ids = [finished(site.store, spec, shape).id for shape in (ASYNC, BLOCKED)]
    versions = [site.store.shared_version(ids, with_repeats=True)]
    for each in (other, spec):
        finished(site.store, each, ASYNC)
        versions.append(site.store.shared_version(ids, with_repeats=True))
    assert versions[0] == versions[1] != versions[2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["recipe.looplab", "picture.png"])
def test_a_file_that_is_kept_or_refused_reads_no_result(site: Site, kind: str, form: str) -> None:
    """Whoever has the link may ask as often as they like, beside a run that has load."""
    path = f"{site.share(kind)}/{form}"
    files: SharedFiles = site.client.app_state["shared_files"]
    assert read_by(lambda: site.client.get(path))
    again = f"{site.share(kind)}/{form}"
    answers: list[Any] = []

    def refused() -> bytes:
        answers.extend(map(site.client.get, (again, path)))
        return b""

    assert read_by(lambda: files.file(again, "as it is", measuring=False, make=refused)) == []
    assert [answer.status_code for answer in answers] == [503, 200]


def read_by(call: Callable[[], object]) -> list[str]:
    """Return the statements that read results, of those that a call makes."""
    statements = []

    def note(*cursor: Any) -> None:
        statements.append(cursor[2])

    event.listen(Engine, "before_cursor_execute", note)
    try:
        call()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return [each for each in statements if re.search("run_facts|run_stream|trial", each)]


def test_bundles_of_links_are_made_one_at_a_time_and_while_nothing_measures(site: Site) -> None:
    site.share("run")
    site.share("comparison")
    second, first, *_ = site.store.share_links()
    kept = SharedFiles(most_bytes=10)

    def bundle(link: ShareLink, made: bytes = b"", *, measuring: bool = True) -> bytes:
        return kept.file(link.id, "as it is", measuring=measuring, make=lambda: made)

    def refused() -> bytes:
        with pytest.raises(ComeAgain):
            bundle(second, measuring=False)
        return b"of first"

    assert kept.file(first.id, "as it is", measuring=False, make=refused) == b"of first"
    assert bundle(first) == b"of first"
    with pytest.raises(ComeAgain) as told:
        bundle(second)
    assert (status_of(told.value), told.value.wait_s > 0) == (503, True)
    assert bundle(second, b"of second", measuring=False) == b"of second"
    assert bundle(second) == b"of second"
    with pytest.raises(ComeAgain):
        bundle(first)


@pytest.mark.parametrize("kind", KINDS)
def test_a_preview_has_the_sentence_and_the_main_figure(site: Site, kind: str) -> None:
    path = site.share(kind)
    page = read_html(site.get(path))
    told = {meta.attributes.get("property"): meta for meta in page.all("meta")}
    titled, lead = words(told["og:title"].attributes["content"]), words(page.all("h1")[0].text)
    doubt = titled.removesuffix(lead)
    assert titled.endswith(lead)
    worth = [
        badge.attributes["class"]
        for badge in page.all("span")
        if "badge " in (badge.attributes.get("class") or "")
    ]
    assert bool(doubt) == any(kind in " ".join(worth) for kind in ("suspect", "invalid"))
    assert told["og:image"].attributes["content"].endswith(f"{path}/picture.png")
    answer = site.client.get(f"{path}/picture.png")
    assert answer.headers["content-type"] == told["og:image:type"].attributes["content"]
    picture = Image.open(BytesIO(answer.content)).convert("RGB")
    assert picture.size == (1200, 630)
    inside = picture.crop((int(LEFT), int(TOP_END), int(RIGHT_END), int(BOTTOM_END)))
    drawn = {colour for _, colour in inside.getcolors(1 << 20) or ()}
    assert sum(getrgb(colour) in drawn for colour in COLOURS) >= (2 if kind == "comparison" else 1)


def test_what_is_ticked_is_shown(site: Site) -> None:
    path = site.share("run", show=["hosts", "environment", "commands", "paths"], days="7")
    text = site.get(path)
    for shown in ("canary-host.corp.example", "canary-value", "/srv/canary", "target_app.main:app"):
        assert shown in text
    assert "Started server process" not in text
    assert TITLE in site.get(f"{path}/numbers.json")


def test_a_comparison_tells_that_what_is_hidden_differs(site: Site) -> None:
    settings = [{"WEB_CONCURRENCY": "1"}, {"WEB_CONCURRENCY": "canary"}]
    first, second = (
        finished(site.store, items(), ASYNC, {**PRIVATE, "server_settings": each}).id
        for each in settings
    )
    path = site.share("comparison", subject=f"runs={first},{second}")
    told = json.loads(site.get(f"{path}/numbers.json"))
    values = {first: "value 1", second: "value 2"}
    assert told["environment"] == [{"field": "hidden", "values": values}]
    for form in ("", "/comment.md", "/report.html"):
        text = site.get(path + form)
        assert "What is hidden here differs" in text
        assert "and the environment are the same" not in text
        assert "WEB_CONCURRENCY" not in text


def test_a_trend_tells_that_what_is_hidden_changed(site: Site) -> None:
    told = json.loads(site.get(f"{site.share('trend')}/numbers.json"))
    values = ["value 1", "value 2"]
    assert [each["differences"] for each in told["changes"]] == [
        [{"field": "hidden", "values": values}]
    ]
    assert (told["spec"], told["machine"][:8], len(told["points"])) == ("", "machine-", 24)
    shown = json.loads(site.get(f"{site.share('trend', show=['environment'])}/numbers.json"))
    (change,) = shown["changes"][0]["differences"]
    assert change["values"] == ["canary 0", "canary 1"]


def test_a_link_opens_nothing_but_its_result(site: Site) -> None:
    path = site.share("run")
    token = path.removeprefix("/shared/")
    shown = (
        {"Authorization": f"Bearer {token}"},
        {"Cookie": f"looplab-{PORT}={token}", "X-Share": token},
    )
    assert isinstance(site.client.app, FastAPI)
    for place, route in enumerate(routes_of(site.client.app)):
        method, template = route.split()
        if role_of(route) != "public":
            value = (token, site.subjects["run"])[place % 2]
            address = re.sub(r"\{\w+\}", value, template)
            headers = shown[place // 2 % 2]
            answer = site.client.request(method, f"{address}?token={token}", headers=headers)
            assert answer.status_code in {401, 429}, (route, answer.status_code)
    site.get(f"/shared/{site.subjects['comparison'].partition('=')[2]}", 404)
    site.get(f"{path}/figures/nothing.csv", 404)


def test_who_has_no_link_learns_nothing_and_waits_in_the_end(site: Site) -> None:
    path = site.share("experiment")
    store, link = site.store, site.store.share_links()[0]
    expired = site.share("experiment")
    with closing(sqlite3.connect(store.path)) as database, database:
        gone = "UPDATE share_link SET expires_at = '2020-01-01 00:00:00.000000' WHERE id = ?"
        database.execute(gone, (expired[8:18],))
    assert link.used_at is None
    site.get(path)
    assert store.share_links()[1].used_at is not None
    listed = site.client.get("/shares", headers={"Authorization": f"Bearer {VIEWER}"}).text
    assert path not in listed
    for back in ("/shares", "https://elsewhere.example/"):
        revoked = site.client.post(
            f"/shares/{link.id}/revoke", data={"back": back}, headers=OPERATOR
        )
        assert (revoked.status_code, revoked.headers["location"]) == (303, "/shares")
    wrong = (path, expired, f"{path[:-1]}!", "/shared/x", f"/shared/{link.id}", "/shared/%00")
    said = {read_html(site.get(address, 404)).all("main")[0].text for address in wrong}
    assert len(said) == 1
    for _ in range(GUESSES):
        answer = site.client.get("/shared/x/numbers.json")
    assert (answer.status_code, answer.json()["error"]) == (429, "too_many_guesses")
    assert int(answer.headers["retry-after"]) > 0
    site.get(site.share("experiment"))
    audit = site.client.get("/audit?limit=20", headers=OPERATOR).text
    rows = [row.text for row in read_html(audit).all("tr")]
    assert sum("token testclient revoked experiment" in row for row in rows) == 1
    assert any("token testclient shared experiment" in row for row in rows)


def test_the_link_of_a_deleted_run_says_so(site: Site) -> None:
    run = finished(site.store, items(title="canary title"), ASYNC)
    path = site.share("run", subject=run.id)
    assert site.client.delete(f"/api/runs/{run.id}", headers=OPERATOR).status_code == 204
    text = site.get(path, 404)
    assert "The run that this link shows was deleted" in text
    assert "canary" not in text


def test_a_stream_with_a_long_name_in_other_letters_is_shared(site: Site) -> None:
    spec, name = items(), "\N{CYRILLIC SMALL LETTER ZHE}" * 100
    (stream,) = spec.workload.streams
    streams = (replace(stream, name="first"), replace(stream, name=name))
    several = replace(spec, workload=replace(spec.workload, streams=streams))
    run, other = (finished(site.store, several, ASYNC) for _ in range(2))
    subject = f"{urlencode({'runs': f'{run.id},{other.id}', 'stream': name}, safe=',')}"
    for page in (f"/compare?{subject}", f"/trends/{run.id}?{urlencode({'stream': name})}"):
        shown = site.client.get(page, headers=OPERATOR, follow_redirects=True).text
        led = (each.attributes.get("href", "") for each in read_html(shown).all("a"))
        (link,) = {href for href in led if href.startswith("/shares/new")}
        assert site.client.get(link, headers=OPERATOR).status_code == 200, page
        asked = dict(parse_qsl(urlsplit(link).query))
        made = site.client.post("/shares", data=asked, headers=OPERATOR)
        shared = re.search(r"/shared/[\w-]+", made.text)
        assert shared is not None
        site.get(shared[0])


def test_the_link_of_a_trend_says_that_its_baseline_is_not_pinned_any_more(
    tmp_path: Path,
) -> None:
    spec = interleaved(tmp_path / "runs.db", 11)
    with in_process(tmp_path) as looplab:
        made = looplab.post_form("/shares", [("kind", "trend"), ("subject", spec)])
        assert made.status_code == 201, made.text
        shown = next(each for each in read_html(made.text).all("code")).text
        path = f"/shared/{shown.rpartition('/')[2]}"
        assert looplab.get(path).status_code == 200
        (pin,) = looplab.get("/api/pins").json()["pins"]
        assert looplab.delete(f"/api/pins/{pin['id']}").status_code == 204
        for form in ("", "/recipe.looplab"):
            answer = looplab.get(path + form)
            assert answer.status_code == 404
            assert "The baseline of this link is not pinned any more" in answer.text


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"days": "0"}, 422),
        ({"days": "366"}, 422),
        ({"days": "²"}, 422),
        ({"show": "everything"}, 422),
        ({"kind": "page"}, 422),
        ({"kind": "trend", "subject": "0123456789abcdef"}, 404),
        ({"kind": "trend", "subject": "0123456789abcdef?margin=7"}, 422),
        ({"kind": "comparison", "subject": "run=1&x=y"}, 422),
        ({"subject": "zzzzzzzzzz"}, 404),
    ],
)
def test_what_cannot_be_shared_is_refused(site: Site, fields: dict[str, str], status: int) -> None:
    before = len(site.store.share_links())
    data = {"kind": "run", "subject": site.subjects["run"], **fields}
    assert site.client.post("/shares", data=data, headers=OPERATOR).status_code == status
    assert len(site.store.share_links()) == before
    unknown = site.client.post("/shares/zzzzzzzzzz/revoke", data={"back": ""}, headers=OPERATOR)
    assert unknown.status_code == 404
