import pytest

from control_plane.domain.ceiling import CLIENTS, ceiling_spec, ceiling_submission, client_name
from control_plane.domain.errors import InvalidInput
from control_plane.domain.limits import Limits
from control_plane.domain.spec import Client
from control_plane.domain.spec_json import read_spec


@pytest.mark.parametrize("client", CLIENTS, ids=client_name)
def test_the_measurement_of_every_strategy_can_be_handed_in(client: Client) -> None:
    assert read_spec(ceiling_submission(client), Limits()) == ceiling_spec(client)


@pytest.mark.parametrize(
    ("client", "name"),
    [
        (Client(), "async"),
        (Client(loop="asyncio", processes=2), "async, asyncio, 2 processes"),
        (Client("threaded", reuse_connections=False), "threaded, new connections"),
        (Client("threaded", session="shared"), "threaded, shared session"),
        (Client("blocking", loop="asyncio", session="shared"), "blocking"),
    ],
)
def test_a_client_is_named_by_what_it_changes(client: Client, name: str) -> None:
    assert client_name(client) == name


@pytest.mark.parametrize(
    ("part", "value", "field"),
    [
        ("target", {"workers": 2}, "target.workers"),
        ("target", {"loop": "uvloop"}, "target.loop"),
        ("target", {"settings": {"cpu_n": 5}}, "target.settings"),
        ("request", {"method": "HEAD"}, "workload.streams.0.requests.0.method"),
        ("request", {"body": {"text": "x"}}, "workload.streams.0.requests.0.body"),
    ],
)
def test_the_responder_takes_no_more_than_it_can(part: str, value: dict, field: str) -> None:
    document = ceiling_submission(Client())
    place = {
        "target": document["target"],
        "request": document["workload"]["streams"][0]["requests"][0],
    }[part]
    place.update(value)
    with pytest.raises(InvalidInput) as refused:
        read_spec(document, Limits())
    assert [error.field for error in refused.value.fields] == [field]
