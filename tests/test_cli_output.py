"""What a terminal shows of results that may not be believed."""

from dataclasses import replace

import pytest
from rich.console import Console

from control_plane import cli_output
from control_plane.analysis.client_ceiling import ceiling_document, ceiling_of, ceiling_spec
from control_plane.analysis.comparison import compare
from control_plane.analysis.prose.comparison_sentences import described_comparison
from control_plane.analysis.run_labels import rename_stream
from control_plane.cli_output import ProgressLines
from control_plane.domain.api_documents import run_document
from control_plane.domain.result import Progress, Reason, Validity
from control_plane.domain.run import Run, State
from control_plane.domain.spec import Client
from tests.builders.records import Shape
from tests.builders.runs import ASYNC, FAILING, detail_of, items


def _run(requests: int, letter: str, shape: Shape = ASYNC, title: str = "items") -> Run:
    spec = items(stop={"requests": requests}, trials=1)
    return replace(detail_of(spec, shape, f"{letter}000000000").run, title=title)


def _shown(monkeypatch: pytest.MonkeyPatch, *runs: Run, styled: bool = False) -> list[str]:
    console = Console(width=200, highlight=False, record=True)
    monkeypatch.setattr(cli_output, "out", console)
    compared = compare(runs, runs[0].id, anyway=True)
    cli_output.print_comparison(described_comparison(compared))
    return console.export_text(styles=styled).splitlines()


def _line(lines: list[str], label: str) -> str:
    return next(line for line in lines if label in line)


def test_a_percentile_with_too_few_samples_has_neither_value_nor_ratio(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = _shown(monkeypatch, _run(200, "a"), _run(20_000, "b"))
    tail = _line(lines, "p99 response time").split()
    assert tail[-3] == "–"
    assert tail[-1] == "ms"
    assert {"×", "÷"} & {*_line(lines, "p50 response time")}


def test_the_only_stream_of_another_name_keeps_its_support(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = _shown(monkeypatch, _run(20_000, "a"), rename_stream(_run(300, "b"), "movies"))
    assert _line(lines, "p99 response time").split()[-1] == "–"
    assert {"×", "÷"} & {*_line(lines, "p50 response time").split("ms")[-1]}


def test_an_invalid_run_is_struck_out(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = _shown(monkeypatch, _run(20_000, "a"), _run(20_000, "b", FAILING), styled=True)
    assert "\x1b[2;9m" in _line(lines, "Throughput")


@pytest.mark.parametrize(
    ("state", "reason", "why"),
    [
        (State.FAILED, "start: exit code 3.", "failed: start: exit code 3"),
        (State.FAILED, None, "failed: no reason is known"),
        (State.CANCELLED, "cancelled in trial 1 of 3", "cancelled in trial 1 of 3"),
    ],
)
def test_a_run_without_a_result_is_told(
    monkeypatch: pytest.MonkeyPatch, state: State, reason: str | None, why: str
) -> None:
    ended = replace(_run(200, "b"), state=state, reason=reason, streams=(), validity=None)
    lines = _shown(monkeypatch, _run(200, "a"), ended)
    assert f"{ended.id} is not compared: it left no result ({why})." in lines


def test_names_of_the_same_settings_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    named = replace(_run(200, "b"), configuration="my fast")
    lines = _shown(monkeypatch, _run(200, "a"), named)
    assert any("my fast (same settings as a000000000)" in line for line in lines)


@pytest.mark.parametrize(
    ("title", "lines"), [("breakfast rush", 1), ("items, async, 1 user, 5 s, fast", 0)]
)
def test_the_name_of_a_configuration_is_left_out_where_the_title_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, title: str, lines: int
) -> None:
    shown = _shown(monkeypatch, replace(_run(200, "a", title=title), configuration="fast"))
    assert sum(line.strip().endswith(" fast") or line.strip() == "fast" for line in shown) == 1
    assert sum(line.strip() == "fast" for line in shown) == lines


def test_a_title_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "[/x] [red]one" in "".join(_shown(monkeypatch, _run(200, "a", title="[/x] [red]one")))


def test_a_run_without_enough_samples_says_no_tail(monkeypatch: pytest.MonkeyPatch) -> None:
    console = Console(width=200, highlight=False, record=True)
    monkeypatch.setattr(cli_output, "out", console)
    cli_output.print_run(run_document(_run(200, "a"), None), None)
    text = console.export_text()
    assert "p50 " in text
    assert "p99 " not in text


def test_a_comparison_says_first_what_its_page_says_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    doubted = _run(20_000, "b")
    reason = Reason("drift", "suspect", "Throughput fell by 14 %.", 0.14, 0.1)
    other = Reason("late_send", "suspect", "12 % were sent late.", 0.12, 0.1)
    doubted = replace(doubted, validity=Validity("suspect", (reason, other)))
    first, second, *rest = _shown(monkeypatch, _run(20_000, "a"), doubted)
    assert "One trial gives no verdict." in first
    assert "is suspect: Throughput fell by 14 %. 12 % were sent late." in second
    assert not [line for line in rest if "late" in line]


def test_late_answers_are_told_once_for_each_trial(capsys: pytest.CaptureFixture[str]) -> None:
    tell = ProgressLines()
    run = replace(_run(200, "a"), state=State.RUNNING)
    where = [(1, 0.5, 0), (1, 0.5, 0), (1, 1.0, 12), (1, 1.0, 3), (2, 1.0, 1)]
    for trial, share, awaited in where:
        tell(run_document(run, Progress("running", trial, 2, share, 1.0, None, awaited)))
    assert capsys.readouterr().err.splitlines() == [
        "running: trial 1 of 2, 50%",
        "running: trial 1 of 2, 100%; waiting for 12 late answers, 30 s at most",
        "running: trial 2 of 2, 100%; waiting for 1 late answer, 30 s at most",
    ]


def test_a_log_gets_a_line_for_each_tenth(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replace(_run(200, "a"), state=State.RUNNING)

    def lines() -> int:
        tell = ProgressLines()
        for hundredth in range(100):
            tell(run_document(run, Progress("running", 1, 1, hundredth / 100, 1.0, None, 0)))
        return len(capsys.readouterr().err.splitlines())

    assert lines() == 10
    monkeypatch.setattr(cli_output, "err", Console(stderr=True, force_terminal=True))
    assert lines() == 100


def test_ceilings_come_in_the_order_of_the_strategies_with_their_doubts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    console = Console(width=200, highlight=False, record=True)
    monkeypatch.setattr(cli_output, "out", console)
    reason = Reason("drift", "suspect", "Throughput fell by 14 %.", 0.14, 0.1)
    found = []
    for name in ("raw", "threaded", "async"):
        run = detail_of(ceiling_spec(Client(name)), ASYNC).run
        doubted = replace(run, validity=Validity("suspect", (reason,))) if name == "raw" else run
        ceiling = ceiling_of(doubted)
        assert ceiling is not None
        found.append(ceiling_document(ceiling, here=True))
    cli_output.print_ceilings({"ceilings": found})
    lines = [line.strip() for line in console.export_text().splitlines() if line.strip()]
    assert [line.split()[0] for line in lines[-4:-1]] == ["async", "threaded", "raw"]
    assert lines[-1] == "raw is suspect: Throughput fell by 14 %."


def test_several_fields_that_differ_are_said_under_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = replace(_run(300, "b"), spec=items(stop={"requests": 300}, trials=2, seed=9))
    said = "Three fields differ, so a ratio belongs to seed, trials and requests together."
    assert said in _shown(monkeypatch, _run(200, "a"), other)


def test_a_failed_run_says_what_to_do_and_what_was_printed_last() -> None:
    failed = replace(
        _run(200, "a"), state=State.FAILED, reason="start: target ended", streams=(), trials=(),
        log=tuple(f"line {number}" for number in range(30)),
    )  # fmt: skip
    document = run_document(failed, None, ("uvicorn is not installed: pip install uvicorn",))
    with cli_output.out.capture() as printed:
        cli_output.print_run(document, None)
    lines = printed.get().splitlines()
    at = lines.index("uvicorn is not installed: pip install uvicorn")
    assert lines[at - 1] == "start: target ended"
    assert lines[at + 1 : at + 11] == [f"  line {number}" for number in range(20, 30)]
