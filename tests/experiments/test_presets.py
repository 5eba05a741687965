import pytest

from control_plane.domain.errors import NotFound
from control_plane.domain.limits import Limits
from control_plane.domain.spec import Stop
from control_plane.domain.spec_json import read_spec
from control_plane.experiments.presets import Question, preset_catalogue
from control_plane.jobs.configurations import resolved

QUESTIONS = preset_catalogue().questions


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.slug)
def test_a_question_has_arms_that_can_be_started(question: Question) -> None:
    specs = [read_spec(arm.document, Limits(), resolved) for arm in question.arms]
    assert 2 <= len(specs) <= 12
    assert len({spec.title for spec in specs}) == len(specs)
    for spec in specs:
        assert spec.tags == (question.slug,)
        assert spec.target.started is not None
        assert spec.target.started.server == "uvicorn"


def test_the_classic_question_sends_24_999_requests_in_each_way() -> None:
    specs = [
        read_spec(arm.document, Limits()) for arm in preset_catalogue().question("classic").arms
    ]
    assert [spec.client.strategy for spec in specs] == ["blocking", "threaded", "async"]
    assert {spec.workload.streams[0].stop for spec in specs} == {Stop(requests=24_999)}


def test_presets_are_whole_specs_of_three_trials() -> None:
    for preset in preset_catalogue().presets:
        assert read_spec(preset.document, Limits(), resolved).trials == 3
        assert preset.about.endswith(".")


def test_what_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFound):
        preset_catalogue().preset("nothing")
    with pytest.raises(NotFound):
        preset_catalogue().question("nothing")
