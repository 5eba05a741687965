"""One name for one field, in the form and in comparisons."""

import pytest

from control_plane.analysis import fields
from control_plane.pages.form.labels import label_of


@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("timeout_s", "Deadline"),
        ("target.threads", "Pool threads"),
        ("client.max_body_bytes", "Largest answer"),
        ("workload.streams.0.load.concurrency", "Concurrency"),
        ("workload.streams.0.requests.0.expect", "Expected statuses"),
        ("workload.streams.0.start_after_s", "Starts after"),
    ],
)
def test_form_and_comparison_agree(field: str, label: str) -> None:
    assert label_of(field) == label
    assert fields.label_of(field) == label


@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("", "Spec"),
        ("target.configuration", "Configurations"),
        ("workload.streams.1.requests.0.path", "Stream 2: Path"),
        ("workload.streams.0.requests.0.values.item_id.low", "item_id: low"),
        ("workload.streams.0.requests.0.values.weight", "weight"),
        ("workload.other", "workload.other"),
    ],
)
def test_fields_of_the_form_alone(field: str, label: str) -> None:
    assert label_of(field) == label
