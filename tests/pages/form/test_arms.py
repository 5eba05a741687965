"""Ticked and varied fields as the arms of an experiment, and the experiment as TOML."""

from tomllib import loads as read_toml

import pytest

from control_plane.domain.api_documents import laid_over
from control_plane.experiments.experiment_file import experiment_toml
from control_plane.pages.form.arms import experiment_document, untitled
from control_plane.pages.form.to_spec import form_arms
from tests.pages.form.test_to_spec import form, resolved


def test_values_of_varied_fields_make_rows_and_columns_of_arms() -> None:
    varied = form(
        client__strategy=("async",),
        **{
            "vary.0.field": ("workload.streams.0.load.concurrency",),
            "vary.0.values": ("1, 8",),
            "vary.1.field": ("target.loop",),
            "vary.1.values": ("uvloop, asyncio",),
        },
    )
    arms, wrong = form_arms(varied, parts_of=lambda target: {"server": "uvicorn"})
    assert wrong == []
    assert [arm.name for arm in arms] == [
        "concurrency 1, uvloop",
        "concurrency 1, asyncio",
        "concurrency 8, uvloop",
        "concurrency 8, asyncio",
    ]
    last = arms[-1].document
    assert last["workload"]["streams"][0]["load"]["concurrency"] == 8
    assert last["target"] == {"server": "uvicorn", "loop": "asyncio"}
    document = experiment_document(varied, arms)
    assert document["metric"] == "throughput_per_s"
    kept = read_toml(experiment_toml(document))
    for arm, written in zip(arms, kept["arms"], strict=True):
        again = resolved(laid_over(kept["spec"], written["spec"]))
        assert again == resolved(untitled(arm.document))
    assert kept["arms"][0]["spec"].keys() == {"workload"}


def test_two_checkouts_are_arms_by_varying_the_application() -> None:
    varied = {"vary.0.field": ("target.application",), "vary.0.values": ("before, after",)}
    arms, wrong = form_arms(form(**varied), parts_of=lambda target: {"application": "before"})
    assert (wrong, [arm.name for arm in arms]) == ([], ["before", "after"])
    assert arms[1].document["target"] == {"application": "after"}


def test_a_stream_that_is_called_after_an_arm_is_not_what_is_asked() -> None:
    varied = {"vary.0.field": ("target.application",), "vary.0.values": ("items, after",)}
    asked = form(title=("",), **varied)
    arms, _ = form_arms(asked, parts_of=lambda target: {"application": "items"})
    first = arms[0].document["workload"]["streams"][0]
    assert first["name"] == "items"
    question = experiment_document(asked, arms)["question"]
    assert question == f"{first['requests'][0]['path']}: items or after?"


def test_values_that_are_missing_are_told_with_some_of_that_field() -> None:
    for path, example in (("target.workers", "1, 10, 64"), ("target.application", "before, after")):
        fields = {"vary.0.field": (path,), "vary.0.values": ("",)}
        _, (error,) = form_arms(form(**fields))
        assert error.message == f"Write at least two values, by commas: {example}."


@pytest.mark.parametrize(
    ("values", "message"),
    [("8", "at least two values"), ("8, 8", "twice"), ("1, 2, " * 40 + "9", "twice")],
)
def test_what_cannot_be_varied_is_told_at_its_values(values: str, message: str) -> None:
    fields = {"vary.0.field": ("target.workers",), "vary.0.values": (values,)}
    _, (error,) = form_arms(form(**fields))
    assert error.field == "vary.0.values"
    assert message in error.message
