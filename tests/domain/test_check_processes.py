"""How many processes a client may have."""

import pytest

from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.limits import Limits
from control_plane.domain.spec_json import read_spec
from tests.domain.documents import Document, changed


def refused(document: Document) -> tuple[FieldError, ...]:
    with pytest.raises(InvalidInput) as caught:
        read_spec(document, Limits())
    return caught.value.fields


@pytest.mark.parametrize(
    ("load_of_all", "stop", "message"),
    [
        (
            {"model": "closed", "concurrency": 3},
            {"duration_s": 1.0},
            "4 processes cannot share 3 requests in flight of items: use 3 or fewer.",
        ),
        (
            {"model": "burst", "connections": 9},
            {"requests": 2},
            "4 processes cannot share 2 requests of items: use 2 or fewer.",
        ),
    ],
)
def test_each_process_needs_work(load_of_all, stop, message):
    document = changed("client.processes", 4)
    document["workload"]["streams"][0] |= {"load": load_of_all, "stop": stop, "name": "items"}
    (error,) = refused(document)
    assert (error.field, error.message) == ("client.processes", message)


def test_processes_of_all_streams_are_counted_together():
    document = changed("client.processes", 33)
    stream = document["workload"]["streams"][0]
    document["workload"]["streams"] = [{**stream, "name": "a"}, {**stream, "name": "b"}]
    (error,) = refused(document)
    assert error.limit == 32
    assert "LOOPLAB_MAX_PROCESSES" in error.message
