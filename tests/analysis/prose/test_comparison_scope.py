"""What a comparison is about: what was asked of each run comes first, who takes no part."""

from dataclasses import replace
from typing import Any

import pytest

from control_plane.analysis.comparison import Comparison, compare
from control_plane.analysis.prose import plain_text
from control_plane.analysis.prose.comparison_scope import (
    asked_of_runs,
    ended_text,
    nothing_compared,
)
from control_plane.analysis.prose.comparison_sentences import (
    caveats,
    described_comparison,
    shared_cause,
)
from control_plane.domain.request import Expectation, JsonBody, RowValue, SizeRange, TextBody
from control_plane.domain.row_files import RowFile
from control_plane.domain.run import Run, State
from control_plane.domain.spec import BeforeRequest, RequestClass, Target, UrlTarget, Workload
from control_plane.pages.exports import comparison_markdown
from tests.builders.trials import run, spec


def asking(letter: str, *requests: RequestClass) -> Run:
    plain = run(letter * 10, title=letter, spec=spec())
    (stream,) = plain.spec.workload.streams
    workload = Workload((replace(stream, requests=requests),))
    return replace(plain, spec=replace(plain.spec, workload=workload))


def running(letter: str, command: str) -> Run:
    plain = run(letter * 10, title=letter, spec=spec())
    own = Target(application="shop", server="command")
    return replace(plain, spec=replace(plain.spec, target=own), command=command)


def against_first(*runs: Run) -> Comparison:
    return compare(runs, runs[0].id)


GET, SLOW = RequestClass(path="/get"), RequestClass(path="/slow/")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ([[SLOW], [GET]], "A asks GET /slow/, B asks GET /get."),
        ([[GET], [GET]], ""),
        ([[GET], [RequestClass("POST", "/get")]], "A asks GET /get, B asks POST /get."),
        ([[SLOW], [GET], [GET]], "A asks GET /slow/, B and C ask GET /get."),
        ([[GET, SLOW], [GET]], "A asks GET /slow/, B asks GET /get."),
        (
            [[GET], [RequestClass(path="/get", expect=Expectation(statuses=(404,)))]],
            "A asks GET /get expecting 200 to 299, B asks GET /get expecting 404.",
        ),
        (
            [
                [GET],
                [
                    RequestClass(
                        path="/get",
                        expect=Expectation(size_bytes=SizeRange(1, 5_000), json_key="items"),
                    )
                ],
            ],
            "A asks GET /get expecting 200 to 299, B asks GET /get expecting 200 to 299, "
            "1 to 5,000 bytes and the JSON key items.",
        ),
        (
            [[GET], [RequestClass(path="/get", headers={"X-A": "1", "Accept": "*/*"})]],
            "A asks GET /get without headers of its own, "
            "B asks GET /get with the headers Accept and X-A.",
        ),
        (
            [
                [RequestClass("POST", "/n", body=JsonBody({"n": 1}))],
                [RequestClass("POST", "/n", body=TextBody("x" * 80))],
            ],
            'A asks POST /n with the body {"n":1} (7 characters), '
            f"B asks POST /n with the body {'x' * 59}… (80 characters).",
        ),
        (
            [[RequestClass(path=f"/{number}") for number in range(5)], [GET]],
            "A asks GET /0, GET /1, GET /2 and 2 more, B asks GET /get.",
        ),
    ],
)
def test_what_was_asked_is_told_where_it_differs(
    asked: list[list[RequestClass]], words: str
) -> None:
    runs = [asking(letter, *requests) for letter, requests in zip("abc", asked, strict=False)]
    found = against_first(*runs)
    said = plain_text(asked_of_runs(found))
    for label in found.labels:
        said = said.replace(label.text, label.letter)
    assert said == words
    document = described_comparison(found)
    assert document["asked"] == plain_text(asked_of_runs(found))
    text = comparison_markdown(found, "http://127.0.0.1/compare")
    assert text.startswith("**") == (not words)


def test_header_values_are_not_told() -> None:
    runs = [
        asking(letter, RequestClass(headers={name: "hidden-value"}))
        for letter, name in (("a", "X-A"), ("b", "X-B"))
    ]
    assert "hidden-value" not in plain_text(asked_of_runs(against_first(*runs)))


def test_a_run_without_a_result_was_asked_for_nothing() -> None:
    failed = replace(asking("b", SLOW), state=State.FAILED, streams=())
    assert asked_of_runs(against_first(asking("a", GET), failed)) == ()


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        ("serve -p 41234 shop", "serve -p 52345 shop", False),
        ("serve -b 127.0.0.2:41234 shop", "serve -b 127.0.0.3:52345 shop", False),
        ("serve -p 41234 shop", "serve -p 52345 --threads 4 shop", True),
        ("gunicorn --max-requests 5000 -p 41234", "gunicorn --max-requests 6000 -p 41234", True),
        ("serve -p 41234 shop", "serve -p 52345 cart", True),
    ],
)
def test_two_own_commands_show_both_lines(first: str, second: str, told: bool) -> None:
    found = against_first(running("a", first), running("b", second))
    said = plain_text(asked_of_runs(found))
    assert (first in said, second in said) == (told, told)


@pytest.mark.parametrize(
    ("target", "facts", "known"),
    [
        (Target(), [{"commit": "c1"}, {"commit": "c1"}], True),
        (Target(), [{"commit": "c1"}, {"commit": "c2"}], False),
        (Target(), [{"commit": None}, {"commit": None}], False),
        (Target(), [None, None], False),
        (Target(application="shop"), [{"commit": "c1"}, {"commit": "c1"}], False),
        (UrlTarget("http://127.0.0.1:9"), [{"commit": "c1"}, {"commit": "c1"}], False),
        (Target(application="shop"), [{"application_commit": "a1"}] * 2, True),
        (
            Target(application="shop"),
            [{"application_commit": "a1", "application_dirty": True}] * 2,
            False,
        ),
        (
            Target(application="shop"),
            [
                {"application_commit": "a1", "application_dirty": True, "application_changes": "x"},
                {"application_commit": "a1", "application_dirty": True, "application_changes": "y"},
            ],
            False,
        ),
        (
            Target(application="shop"),
            [{"application_commit": "a1", "application_dirty": True, "application_changes": "x"}]
            * 2,
            True,
        ),
    ],
)
def test_no_field_differs_only_where_the_code_is_known(
    target: Any, facts: list[dict[str, Any] | None], known: bool
) -> None:
    runs = [
        replace(run(letter * 10, spec=replace(spec(), target=target)), environment=environment)
        for letter, environment in zip("ab", facts, strict=True)
    ]
    words = shared_cause(against_first(*runs))
    assert words is not None
    assert ("as far as is known" in words) == (not known)


def rows(digest: str) -> RequestClass:
    file = RowFile(f"(secret {digest})", "ids.csv", rows=10)
    return RequestClass(path="/{id}", values={"item": RowValue("row", file, ("id",))})


def test_rows_of_files_with_other_content_are_told_apart() -> None:
    text = plain_text(asked_of_runs(against_first(asking("A", rows("a" * 16)), asking("B", GET))))
    assert "asks GET /{id} with {id} from 10 rows of ids.csv, in order (content aaaaaaaa)" in text
    same_name = against_first(asking("A", rows("a" * 16)), asking("B", rows("b" * 16)))
    asked = plain_text(asked_of_runs(same_name))
    assert "(content aaaaaaaa), B" in asked
    assert asked.endswith("(content bbbbbbbb).")


def test_what_is_sent_before_the_load_is_told_where_it_differs() -> None:
    plain, again = (asking(letter, GET) for letter in "AB")
    token = BeforeRequest("POST", "/token", per="user", body=TextBody("a"))

    def logging_in(of_run: Run, *before: BeforeRequest) -> Run:
        return replace(of_run, spec=replace(of_run.spec, before=before))

    def told(first: Run, second: Run) -> str:
        return plain_text(asked_of_runs(against_first(first, second)))

    contender = logging_in(again, token)
    assert told(plain, again) == told(logging_in(plain, token), contender) == ""
    assert "first sends nothing, B" in told(plain, contender)
    assert told(plain, contender).endswith("first sends POST /token once for each user.")
    other = logging_in(plain, replace(token, body=TextBody("b")))
    assert "with the body b (1 characters), B" in told(other, contender)
    assert "first sends" in comparison_markdown(
        against_first(plain, contender), "http://127.0.0.1/compare"
    )


FAILED = run("c", state=State.FAILED, spec=spec(names=("reads",)), streams=())


def test_names_of_a_run_without_a_result_say_nothing_of_the_others():
    found = compare([run("a"), run("b"), FAILED], "a")
    assert str(shared_cause(found)).startswith("No field differs as far as is known")
    assert "requests are compared" not in plain_text(caveats(found))


def test_another_commit_is_a_difference_where_no_field_is():
    before, after = (
        replace(
            run(name), environment={**(run(name).environment or {}), "application_commit": commit}
        )
        for name, commit in (("a", "58c56ec"), ("b", "3cb4156"))
    )
    assert shared_cause(compare([before, after], "a")) == (
        "No field differs, but the code does: its commit is another."
    )


def test_a_run_under_way_is_waited_for_whatever_another_streams_are_called():
    waiting = replace(run("b"), state=State.RUNNING, streams=())
    found = compare([run("a"), waiting, replace(FAILED, spec=spec(names=("small", "large")))], "a")
    assert plain_text(nothing_compared(found)) == "Not compared: no other run has finished."


@pytest.mark.parametrize(
    ("state", "reason", "words"),
    [
        (State.FAILED, "exit code 3.", "failed: exit code 3"),
        (State.FAILED, None, "failed: no reason is known"),
        (State.CANCELLED, "cancelled in trial 2 of 3", "cancelled in trial 2 of 3"),
    ],
)
def test_how_a_run_ended(state, reason, words):
    assert ended_text(state, reason) == words
