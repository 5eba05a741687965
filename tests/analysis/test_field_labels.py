"""How fields are called and their values written."""

from dataclasses import fields

import pytest

from control_plane.analysis.field_labels import address_facts, label_of, text_of
from control_plane.domain.load_models import Burst, Closed, Open, Periodic
from control_plane.domain.spec import Client, Target
from tests.builders.trials import with_spaces


@pytest.mark.parametrize(
    ("addresses", "words"),
    [
        ((), []),
        (("http://127.0.0.2:1", "http://[::1]:1"), []),
        (("https://127.0.0.1",), ["certificate"]),
        (("http://127.0.0.2:1", "http://192.0.2.7:1"), ["another machine"]),
    ],
)
def test_what_is_to_be_known_of_an_address(addresses: tuple[str, ...], words: list[str]) -> None:
    facts = list(address_facts(addresses))
    assert len(facts) == len(words)
    assert all(word in fact for word, fact in zip(words, facts, strict=True))


@pytest.mark.parametrize(
    ("field", "streams", "label"),
    [
        ("client.strategy", ("items",), "Strategy"),
        ("target.loop", (), "Event loop"),
        ("client.loop", (), "Client event loop"),
        ("workload.streams.0.load.concurrency", ("items",), "Concurrency"),
        ("workload.streams.1.load.concurrency", ("small", "large"), "Concurrency, large"),
        ("workload.streams.0.stop.requests", ("items",), "Requests"),
        ("workload.streams.0.requests.0.path", ("items",), "Path"),
        ("workload.streams.0.requests.2.path", ("items",), "Path 3"),
        ("workload.streams.0.requests.0.values.item_id.low", ("items",), "Low of {item_id}"),
        ("workload.streams.0.requests.0.body.generated.size_bytes", ("items",), "Size bytes"),
        ("workload.streams.0.requests.0.body.json.workers", ("items",), "workers in the body"),
        ("workload.streams.1.requests.1.body.form.a.b", ("s", "t"), "a.b in the body 2, t"),
        ("before.0.headers.Session", (), "Header Session, before the load 1"),
        ("target.settings.upstream_delay_s", (), "Upstream delay"),
        ("warmup_s", (), "Warm-up"),
        ("python", (), "Python"),
        ("uvicorn_worker", (), "uvicorn-worker"),
    ],
)
def test_labels(field, streams, label):
    assert label_of(field, streams) == label


@pytest.mark.parametrize("of", [Target, Client, Closed, Open, Burst, Periodic])
def test_every_field_has_a_label_in_words(of):
    room = of.__name__.lower()
    labels = [label_of(f"{room}.{field.name}") for field in fields(of)]
    assert len(set(labels)) == len(labels)
    assert not [label for label in labels if "_" in label]


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("x", None, "–"),
        ("target.reload", False, "no"),
        ("client.reuse_connections", True, "yes"),
        ("client.strategy", "threaded", "threaded, requests"),
        ("cores.target", [0, 1], "0, 1"),
        ("cores.target", [], "–"),
        ("timeout_s", 30.0, "30 s"),
        ("warmup_s", 0.5, "0.5 s"),
        ("memory_bytes", 25_000_000_000, "25.0 GB"),
        ("stop.requests", 24_999, "24,999"),
        ("weight", 0.25, "0.25"),
        ("workload.streams.0.requests.0.body.json.wait_s", 5, "5"),
        ("workload.streams.0.requests.0.body.json.reload", False, "false"),
        ("workload.streams.0.requests.0.headers.X-Commit", "9ab8160a1c2d3e", "9ab8160a1c2d3e"),
        ("cpu_model", "AMD EPYC", "AMD EPYC"),
        ("commit", "9ab8160a1c2d3e4f5a6b", "9ab8160a1c2d"),
    ],
)
def test_values(field, value, text):
    assert with_spaces(text_of(field, value)) == text
