"""The experiments that come with Looplab, and experiments as TOML."""

from tomllib import loads as read_toml

import pytest

from control_plane.domain.api_documents import laid_over
from control_plane.domain.errors import NotFound
from control_plane.domain.experiment import read_experiment
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from control_plane.experiments.experiment_file import (
    BLOCKS,
    BundledExperiment,
    bundled_experiment,
    bundled_experiments,
    experiment_toml,
)
from control_plane.targets.configurations import resolved

BUNDLED = list(bundled_experiments().values())


@pytest.mark.parametrize("bundled", BUNDLED, ids=lambda bundled: bundled.slug)
def test_each_can_be_handed_in_and_kept_as_a_file(bundled: BundledExperiment) -> None:
    for variant in BLOCKS:
        document = bundled.document(variant)
        arms = read_experiment(document).arms
        specs = [read_spec(arm.spec, Limits(), resolved) for arm in arms]
        assert all(spec != first for at, spec in enumerate(specs) for first in specs[:at])
        kept = read_toml(experiment_toml(document))
        again = read_experiment(kept)
        assert again.design == read_experiment(document).design
        for arm, spec in zip(again.arms, specs, strict=True):
            assert read_spec(laid_over(again.spec or {}, arm.spec), Limits(), resolved) == spec


def test_the_quick_variant_says_what_it_scales_and_judges_no_absolute_value() -> None:
    classic, movies = (bundled_experiment(slug) for slug in ("classic", "blocked-loop"))
    full, quick = classic.document("full"), classic.document("quick")
    stops = [
        document["arms"][0]["spec"]["workload"]["streams"][0]["stop"] for document in (full, quick)
    ]
    assert stops == [{"requests": 24_999}, {"requests": 1_000}]
    assert (full["note"], full["control"], quick["control"]) == ("", True, False)
    assert "counts and windows × 0.04" in quick["note"]
    assert full["question"] == "24,999 requests: async, threaded or blocking?"
    assert quick["question"] == "1,000 requests: async, threaded or blocking?"
    logs = movies.document("quick")["arms"][0]["spec"]["target"]["settings"]
    assert logs == {"log_s": 0.2}


def test_one_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(NotFound):
        bundled_experiment("nothing")
