"""Bundles: what they carry, what stays at home, and files that are made to do harm."""

import json
import lzma
import shutil
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from control_plane.domain.api_documents import run_document
from control_plane.domain.errors import Conflict, InvalidInput, NotFound, StoreError
from control_plane.domain.experiment import ExperimentDesign
from control_plane.domain.run import State
from control_plane.domain.tool_result import ToldOfFile
from control_plane.other_tools import read_tool_file
from control_plane.store.bundles import digest_of, write_bundle
from control_plane.store.bundles import without_log as stripped
from control_plane.store.mapping import Draft
from control_plane.store.store import Store, open_store
from control_plane.targets.target_files import read_file
from tests.builders.runs import (
    ASYNC,
    LARGE_BODIES,
    ended,
    finished,
    items,
    trial_of,
    two_streams,
)
from tests.dashboard import provide_database
from tests.store.places import ask, locks_on

KEPT = Path(__file__).parent / "previous" / "bundle.looplab.xz"


def shown(detail: object) -> None:
    del detail


WRK = Path(__file__).parent.parent / "other_tools" / "files" / "wrk.txt"
HLOG = WRK.with_name("intervals.hlog")


def make_source(folder: Path) -> Path:
    """A database with a run that stalled, one that failed, an experiment, and another tool's."""
    path = folder / "runs.db"
    store = open_store(provide_database(path))
    try:
        finished(store, two_streams(), LARGE_BODIES)
        for file in (WRK, HLOG):
            store.import_tool_result(file, ToldOfFile(file.name), read_tool_file)
        ended(store, items(title="broken"), State.FAILED, "failed (start)", ("canary-log",))
        arms = [(name, Draft(items(title=name))) for name in ("a", "b")]
        made = store.add_experiment("Which?", ExperimentDesign(), arms, max_queue=9)
        # A block was set aside, and its row measured again.
        for row in (*range(made.design.blocks), 0):
            number = store.begin_block(made.id, row).number
            store.end_block(made.id, number, "complete" if number else "spoiled")
        store.move(made.arms[0].run_id or "", State.QUEUED, State.STARTING)
        for block in store.experiment(made.id).blocks:
            store.save_trial(made.arms[0].run_id or "", trial_of(items(), ASYNC, block.number))
        for arm, state in zip(made.arms, (State.STARTING, State.QUEUED), strict=True):
            store.move(arm.run_id or "", state, State.CANCELLED, reason="cancelled")
    finally:
        store.close()
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def bundle(source: Path) -> Path:
    file = source.parent / "all.looplab"
    written = write_bundle(source, file, [])
    assert (written.runs, written.experiments, written.peers) == (4, 1, 2)
    assert written.sha256 == digest_of(file)
    return file


def test_a_bundle_carries_everything_but_what_stays_at_home(
    source: Path, bundle: Path, store: Store
) -> None:
    assert b"canary-log" not in bundle.read_bytes()
    first = store.import_bundle(bundle, shown)
    assert (len(first.runs), len(first.experiments), first.known) == (4, 1, 0)
    assert first.holds[0] == first.experiments[0]
    assert set(first.holds[1:]) < set(first.runs)
    assert len(first.holds) == 3
    home = open_store(source)
    try:
        for peer_id in first.peers:
            peers = [opened.tool_result(peer_id) for opened in (home, store)]
            assert len({(peer.title, peer.file, str(peer.report)) for peer in peers}) == 1
            packed = [[each and each.encode() for each in peer.samples] for peer in peers]
            assert packed[0] == packed[1]
        for run_id in first.runs:
            was, now = without_log(home, run_id), without_log(store, run_id)
            assert now.pop("origin")["sha256"] == digest_of(bundle)
            assert was.pop("origin") is None
            assert now == was
        (made,) = first.experiments
        assert store.experiment(made) == home.experiment(made)
        before, after = home.detail(first.runs[0]), store.detail(first.runs[0])
        assert after.timelines == before.timelines
        for name, stream in before.streams.items():
            assert after.streams[name].response.encode() == stream.response.encode()
        stacks = [stall.stack for gauges in after.gauges for stall in gauges.stalls]
        assert stacks
        assert set(stacks) == {()}
    finally:
        home.close()
    (found,) = store.runs(limit=9, text="broken").runs
    assert found.origin is not None


def test_who_holds_the_database_keeps_its_locks(bundle: Path, store: Store, tmp_path: Path) -> None:
    """With any descriptor that is closed beside SQLite they are given up."""
    before = locks_on(store.path)
    assert before
    (run_id, *_) = store.import_bundle(bundle, shown).runs
    assert store.export_bundle(tmp_path / "made.looplab", [run_id]).runs == 1
    with pytest.raises(InvalidInput, match="the database itself"):
        store.import_bundle(store.path, shown)
    with pytest.raises(OSError, match="has it open"):
        read_file(store.path, 10_000_000)
    assert locks_on(store.path) == before


def without_log(store: Store, run_id: str) -> dict[str, Any]:
    document = run_document(store.run(run_id), None)
    for part in (document, *(trial["target"] for trial in document["trials"])):
        part["log"] = []
    return document


def test_what_is_here_already_stays(bundle: Path, store: Store, tmp_path: Path) -> None:
    """Also where people wrote something else about it; other numbers are refused."""
    first = store.import_bundle(bundle, shown)
    store.edit(first.runs[0], title="mine", tags=["mine"], note="mine")
    again = store.import_bundle(bundle, shown)
    assert (again.runs, again.experiments, again.known) == ((), (), 6)
    assert store.run(first.runs[0]).title == "mine"
    onwards = tmp_path / "onwards.looplab"
    write_bundle(store.path, onwards, [first.runs[0]])
    (arm, _) = store.experiment(first.experiments[0]).arms
    store.delete([first.runs[0], arm.run_id or ""])
    assert store.import_bundle(onwards, shown).runs == (first.runs[0],)
    assert store.import_bundle(bundle, shown).runs == (arm.run_id,)
    assert arm in store.experiment(first.experiments[0]).arms
    origin = store.run(first.runs[0]).origin
    assert origin is not None
    assert origin.machine == "bench"
    other = changed(bundle, tmp_path, "UPDATE run SET reason = 'other'")
    with pytest.raises(Conflict, match=r"another content, so .* --db OTHER.db takes it"):
        store.import_bundle(other, shown)


def test_chosen_runs_alone(source: Path, bundle: Path, tmp_path: Path) -> None:
    """An experiment brings its arms; what is not over or unknown is refused, and makes no file."""
    (made,) = (row[0] for row in ask(source, "SELECT id FROM experiment"))
    (peer,) = (row[0] for row in ask(source, "SELECT id FROM peer_result LIMIT 1"))
    alone = write_bundle(source, tmp_path / "peer.looplab", [peer])
    assert (alone.runs, alone.experiments, alone.peers) == (0, 0, 1)
    written = write_bundle(source, tmp_path / "made.looplab", [made])
    assert (written.runs, written.experiments) == (2, 1)
    with pytest.raises(StoreError, match="is there already"):
        write_bundle(source, bundle, [made])
    with pytest.raises(NotFound, match="'zzzzzzzzzz'"):
        write_bundle(source, tmp_path / "none.looplab", ["zzzzzzzzzz"])
    busy = Path(shutil.copy(source, tmp_path / "busy.db"))
    ask(busy, "UPDATE run SET state = 'queued' WHERE title = 'broken'")
    (waiting,) = (row[0] for row in ask(busy, "SELECT id FROM run WHERE title = 'broken'"))
    with pytest.raises(Conflict, match="is queued: export it when it is over"):
        write_bundle(busy, tmp_path / "none.looplab", [waiting])
    assert not (tmp_path / "none.looplab").exists()


DEEP = "[" * 100_000
HARM: dict[str, str] = {
    "no JSON": "UPDATE run_facts SET spec = '{'",
    "deep JSON": f"UPDATE run_facts SET environment = '{DEEP}'",
    "NaN": "UPDATE run_stream SET summary = replace(summary, '\"drift_share\":null',"
    " '\"drift_share\":NaN')",
    "infinite": "UPDATE trial SET gauges = replace(gauges, '\"interval_s\":',"
    ' \'"interval_s":1e400,"x":\')',
    "negative time": "UPDATE run_stream SET summary ="
    " json_set(summary, '$.response_time_s.p50', -1)",
    "negative count": "UPDATE run_stream SET summary = json_set(summary, '$.completed', -5)",
    "blob for text": "UPDATE run SET title = x'ff00'",
    "number for text": "UPDATE run_facts SET validity = 7",
    "no histogram": "UPDATE run_stream SET service = x'00'",
    "half a histogram": "UPDATE run_stream SET response = substr(response, 1, 20)",
    "id": "UPDATE run SET id = '../../etc/x' WHERE title = 'broken'",
    "title": "UPDATE run SET title = printf('%.5000c', 'x')",
    "control characters": "UPDATE run SET title = 'a' || char(8238) || 'b'",
    "tags": "UPDATE run SET tags = '{}'",
    "deep tags": f"UPDATE run SET tags = '{DEEP}'",
    "not over": "UPDATE run SET state = 'queued'",
    "state": "UPDATE run SET state = 'winning'",
    "finished without a verdict": "UPDATE run_facts SET validity = NULL",
    "strategy": "UPDATE run SET strategy = 'fastest'",
    "moment": "UPDATE run SET created_at = 'yesterday'",
    "points nowhere": "INSERT INTO run_tag (tag, run) VALUES ('x', 4711)",
    "two columns of a timeline": "UPDATE trial_stream SET timeline ="
    " json_set(timeline, '$.p50', json('[1]'))",
    "a view": "ALTER TABLE run_tag RENAME TO t; CREATE VIEW run_tag AS WITH RECURSIVE"
    " n(tag, run) AS (SELECT 'x', 1 UNION ALL SELECT 'x', run + 1 FROM n) SELECT * FROM n",
    "a generated column": "ALTER TABLE run DROP COLUMN reason; ALTER TABLE run ADD COLUMN"
    " reason GENERATED ALWAYS AS (hex(zeroblob(500000)))",
    "a table less": "DROP TABLE trial_stream",
    "a newer schema": "UPDATE alembic_version SET version_num = '9999'",
    "no version": "UPDATE alembic_version SET version_num = '../x'",
    "no run": "DELETE FROM run",
}


def test_no_stack_goes_with_a_trial() -> None:
    gauges = {"stalls": [], "workers": [{"samples": {"taken": 9, "places": [[["a.py:1 f"], 9]]}}]}
    left = json.loads(stripped(json.dumps(gauges, separators=(",", ":"))))
    assert left["workers"] == [{"samples": {"taken": 9, "places": []}}]


def changed(bundle: Path, folder: Path, script: str) -> Path:
    """A copy of the bundle on which statements were executed."""
    file = Path(shutil.copy(bundle, folder / "changed.looplab"))
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(f"PRAGMA writable_schema=OFF; {script}")
    return file


@pytest.mark.parametrize("name", HARM)
def test_what_is_not_as_we_write_it_is_refused(
    bundle: Path, store: Store, tmp_path: Path, name: str
) -> None:
    refused(store, changed(bundle, tmp_path, HARM[name]))


ODD_EXPERIMENTS = {
    "no metric": "UPDATE experiment SET document = json_set(document, '$.metric', 'nonsense')",
    "too few blocks": "UPDATE experiment SET document = json_set(document, '$.blocks', 2)",
    "too many blocks": "UPDATE experiment SET document = json_set(document, '$.blocks', 999)",
    "negative margin": "UPDATE experiment SET document = json_set(document, '$.margin', -1.0)",
    "a blob of an experiment": "UPDATE experiment SET document = CAST(document AS BLOB)",
    "a blob for a sentence": "UPDATE experiment SET sentence = x'00ff'",
    "one arm": "DELETE FROM experiment_arm WHERE place = 1",
    "the same arm twice": "UPDATE experiment_arm SET name = 'a'",
    "a prediction of no arm": "UPDATE experiment SET document = json_set(document, '$.predictions',"
    ' json(\'[{"text": "x", "arm": "nobody", "about": 2}]\'))',
    "more trials than blocks": "INSERT INTO trial SELECT run, 99, document, gauges FROM trial"
    " WHERE block = 10",
    "more set aside than may be": "UPDATE experiment_block SET outcome = 'spoiled'"
    " WHERE number < 3",
}


ODD_PEERS = {
    "a number that is none": "UPDATE peer_result SET report = replace(report, '\"50\":', '\"²\":')",
    "a blob for a report": "UPDATE peer_result SET report = CAST(report AS BLOB)",
    "a title of control characters": "UPDATE peer_result SET title = 'a' || char(8238)",
    "no sha256": "UPDATE peer_result SET sha256 = '../x'",
    "half a histogram": "UPDATE peer_samples SET samples = substr(samples, 1, 20)",
    "a histogram of nothing": "UPDATE peer_samples SET place = 77",
}


def test_a_result_of_another_tool_is_checked_and_kept_once(
    bundle: Path, store: Store, tmp_path: Path
) -> None:
    for script in ODD_PEERS.values():
        refused(store, changed(bundle, tmp_path, script))
    made = store.import_tool_result(WRK, ToldOfFile(WRK.name), read_tool_file)
    told = store.import_bundle(bundle, shown)
    assert (len(told.peers), told.known) == (1, 1)
    assert [found for found, _ in store.search_tool_results("WRK wrk.txt", 5)] == [made.id]
    store.rename_tool_result(made.id, "Überlast 50%")
    for text, is_found in (("überlast", True), ("0% ÜBER", True), ("_", False), ("5%0", False)):
        assert bool(store.search_tool_results(text, 5)) is is_found, text
    other = changed(bundle, tmp_path, "UPDATE peer_result SET read_as = 'other'")
    with pytest.raises(Conflict, match=r"Result .* is here already with another content"):
        store.import_bundle(other, shown)


def test_an_experiment_is_checked_as_one_that_is_handed_in(
    bundle: Path, store: Store, tmp_path: Path
) -> None:
    for script in ODD_EXPERIMENTS.values():
        refused(store, changed(bundle, tmp_path, script))


def refused(store: Store, file: Path) -> None:
    with pytest.raises(InvalidInput) as told:
        store.import_bundle(file, shown)
    assert "\n" not in str(told.value)
    assert len(str(told.value)) < 1_000
    assert store.runs(limit=9).total == 0


FILES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "a zip": lambda _: b"PK\x03\x04" + bytes(100),
    "cut off": lambda whole: whole[: len(whole) // 2],
    "garbage inside": lambda whole: whole[:8_192] + bytes(65_536) + whole[73_728:],
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_another_kind_are_refused(
    bundle: Path, store: Store, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "other.looplab"
    file.write_bytes(FILES[name](bundle.read_bytes()))
    refused(store, file)


def bomb() -> bytes:
    """What zlib makes of 600 MB of zeros, of which one is packed; each MB stands alone (RFC 1950).

    The sum at the end is that of zeros.
    """
    packer, size, parts = zlib.compressobj(1), 2**20, 600
    packed = packer.compress(bytes(size)) + packer.flush(zlib.Z_FULL_FLUSH)
    end = b"\x03\x00" + ((size * parts % 65_521 << 16) + 1).to_bytes(4)
    return packed[:2] + packed[2:] * parts + end


def test_a_bomb_does_not_go_off(bundle: Path, store: Store, tmp_path: Path) -> None:
    file = changed(bundle, tmp_path, "SELECT 1")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE trial_stream SET seconds = ?", (bomb(),))
    refused(store, file)


def test_nothing_in_a_bundle_is_run(bundle: Path, store: Store, tmp_path: Path) -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON run BEGIN DELETE FROM run_facts; END"
    assert len(store.import_bundle(changed(bundle, tmp_path, trigger), shown).runs) == 4
    assert ask(store.path, "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'") == [(0,)]


def test_a_verdict_of_a_bundle_is_not_believed(bundle: Path, store: Store, tmp_path: Path) -> None:
    forged = changed(bundle, tmp_path, "UPDATE experiment_arm SET verdict = 'better'")
    assert len(store.import_bundle(forged, shown).experiments) == 1
    assert store.runs(limit=9, verdict="better").total == 0
    assert set(ask(store.path, "SELECT verdict FROM experiment_arm")) == {(None,)}


def test_what_lists_say_of_an_experiment_is_not_believed(
    bundle: Path, store: Store, tmp_path: Path
) -> None:
    lying = "UPDATE experiment SET slug = 'other', confirms = 'k7m2000000', headline = '[]'"
    store.import_bundle(changed(bundle, tmp_path, lying), shown)
    ((experiment, _),), _ = store.experiments()
    columns = ask(store.path, "SELECT slug, confirms, headline FROM experiment")
    assert columns == [(experiment.design.slug, experiment.design.confirms, None)]


def test_a_run_that_cannot_be_shown_is_refused(bundle: Path, store: Store) -> None:
    def broken(detail: object) -> None:
        raise KeyError(detail)

    with pytest.raises(InvalidInput, match="is damaged"):
        store.import_bundle(bundle, broken)


def test_the_first_version_of_a_bundle_is_read(store: Store, tmp_path: Path) -> None:
    """The file that a version of schema 0013 wrote; later ones must read it."""
    file = tmp_path / "kept.looplab"
    file.write_bytes(lzma.decompress(KEPT.read_bytes()))
    found = store.import_bundle(file, shown)
    assert (len(found.runs), len(found.experiments)) == (4, 1)
    run = next(run for run in store.runs(limit=9).runs if run.streams)
    summary: dict[str, Any] = json.loads(json.dumps(run_document(run, None)["streams"][0]))
    assert (run.state, summary["completed"]) == (State.FINISHED, KEPT_COMPLETED)


KEPT_COMPLETED = 1993
