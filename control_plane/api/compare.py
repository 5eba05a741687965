"""Runs side by side."""

from typing import Annotated

from fastapi import APIRouter, Query

from control_plane.analysis.comparison import compare
from control_plane.analysis.prose.comparison_sentences import described_comparison
from control_plane.api.dependencies import StoreDep
from control_plane.api.openapi_docs import ERROR_RESPONSES
from control_plane.domain.ids import compared_ids
from control_plane.domain.spec_json import Document

router = APIRouter(tags=["compare"], responses=ERROR_RESPONSES)


@router.get("/compare")
def comparison(
    store: StoreDep,
    runs: Annotated[str, Query(max_length=200, description="2 to 12 run ids, by commas")],
    baseline: Annotated[str | None, Query(max_length=10)] = None,
) -> Document:
    """A ratio is always contender over baseline; null where there is none.

    `rows[].stream` is the name of a stream. Where each run has only one, of whatever name, they
    are set against each other under the baseline's name, and `runs[].streams[].name` keeps the
    run's own: take the only stream of each run there.
    """
    ids, against = compared_ids(runs, baseline)
    return described_comparison(compare([store.run(run_id) for run_id in ids], against))
