"""Bounds of a spec: each wrong field is named, with value, limit and remedy."""

import pytest

from control_plane.domain.errors import FieldError, InvalidInput
from control_plane.domain.limits import Limits
from control_plane.domain.load_models import Periodic
from control_plane.domain.spec_json import read_spec, write_spec
from tests.builders.documents import Document, changed, load

STREAM = "workload.streams.0"


def refused(document: Document, limits: Limits | None = None) -> tuple[FieldError, ...]:
    with pytest.raises(InvalidInput) as caught:
        read_spec(document, limits or Limits())
    return caught.value.fields


@pytest.mark.parametrize(
    ("field", "value", "limit"),
    [
        ("seed", -1, 0),
        ("seed", 2**53 + 1, 2**53),
        ("trials", 0, 1),
        ("trials", 101, 100),
        ("warmup_s", -0.1, 0),
        ("warmup_s", 600.1, 600),
        ("timeout_s", 0.05, 0.1),
        ("timeout_s", 900.0, 600),
        ("target.workers", 0, 1),
        ("target.workers", 65, 64),
        ("target.threads", 0, 1),
        ("target.threads", 1_001, 1_000),
        ("target.keep_alive_s", 0, 1),
        ("target.backlog", 65_536, 65_535),
        ("client.processes", 0, 1),
        ("client.processes", 65, 64),
        ("client.max_body_bytes", 0, 1),
        ("client.max_body_bytes", 1_000_000_001, 1_000_000_000),
        (f"{STREAM}.load.concurrency", 0, 1),
        (f"{STREAM}.load.concurrency", 2_001, 2_000),
        (f"{STREAM}.load.think_time_s", -1.0, 0),
        (f"{STREAM}.load.ramp_up_s", 3_601.0, 3_600),
        (f"{STREAM}.start_after_s", 3_601.0, 3_600),
        (f"{STREAM}.stop.requests", 0, 1),
        (f"{STREAM}.stop.requests", 10**9, 10**7),
        (f"{STREAM}.requests.0.weight", 0, 0.001),
        (f"{STREAM}.requests.0.until", {"bytes": 0}, 1),
        (f"{STREAM}.requests.0.until", {"bytes": 10_000_001}, 10_000_000),
        (f"{STREAM}.requests.0.until", {"event": 0}, 1),
        (f"{STREAM}.requests.0.until", {"event": 10_001}, 10_000),
        (f"{STREAM}.requests.0.until", {"seconds": 0.0}, 0.001),
        (f"{STREAM}.requests.0.until", {"seconds": 30.0}, 30),
    ],
)
def test_one_bound_passed(field, value, limit):
    (error,) = refused(changed(field, value))
    below = f".{next(iter(value))}" if isinstance(value, dict) else ""
    assert (error.field, error.limit) == (field + below, limit)
    assert f"{limit:,}" in error.message


@pytest.mark.parametrize("until", [{}, {"bytes": 1, "event": 1}, {"lines": 1}])
def test_reading_ends_in_one_way(until):
    errors = refused(changed(f"{STREAM}.requests.0.until", until))
    assert errors[0].field.startswith(f"{STREAM}.requests.0.until")
    assert "bytes, seconds, event" in errors[0].message


@pytest.mark.parametrize("duration_s", [0.05, 10.0**9])
def test_a_duration_is_bounded(duration_s):
    (error,) = refused(changed(f"{STREAM}.stop", {"duration_s": duration_s}))
    assert error.field == f"{STREAM}.stop.duration_s"


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("trials", 1, 100),
        ("timeout_s", 0.1, 600.0),
        (f"{STREAM}.load.concurrency", 1, 2_000),
        (f"{STREAM}.stop.requests", 1, 10**7),
        ("seed", 0, 2**53),
    ],
)
def test_bounds_are_included(field, low, high):
    for value in (low, high):
        assert read_spec(changed(field, value), Limits())


def test_settings_raise_a_limit_and_the_message_says_which():
    (error,) = refused(changed("timeout_s", 900.0))
    assert error.message == (
        "900 is above the limit of 600. Raise LOOPLAB_MAX_TIMEOUT_S to allow it."
    )
    assert read_spec(changed("timeout_s", 900.0), Limits(max_timeout_s=1_000.0)).timeout_s == 900


def test_everything_that_is_wrong_comes_at_once():
    document = changed("trials", 0)
    document["timeout_s"] = 0.0
    document["workload"]["streams"][0]["load"]["concurrency"] = 0
    fields = [error.field for error in refused(document)]
    assert fields == [f"{STREAM}.load.concurrency", "trials", "timeout_s"]


def test_threads_have_a_lower_limit():
    document = load(model="closed", concurrency=501)
    document["client"] = {"strategy": "threaded"}
    (error,) = refused(document)
    assert (error.limit, "LOOPLAB_MAX_THREADS" in error.message) == (500, True)


def test_blocking_sends_one_request_at_a_time():
    document = load(model="closed", concurrency=4)
    document["client"] = {"strategy": "blocking"}
    (error,) = refused(document)
    assert error == FieldError(
        f"{STREAM}.load.concurrency",
        "blocking sends one request at a time: use 1, or choose threaded.",
        1,
    )


@pytest.mark.parametrize("strategy", ["async", "threaded"])
def test_a_burst_is_bounded_like_any_concurrency(strategy):
    document = load(model="burst", connections=100_000)
    document["client"] = {"strategy": strategy}
    (error,) = refused(document)
    assert error.field == f"{STREAM}.load.connections"


def test_a_burst_needs_a_number_of_requests():
    document = load(model="burst", connections=10)
    document["workload"]["streams"][0]["stop"] = {"duration_s": 5.0}
    (error,) = refused(document)
    assert error.field == f"{STREAM}.stop"


@pytest.mark.parametrize(
    "given",
    [
        {"model": "burst", "connections": 1},
        {"model": "open", "rate_per_s": 5, "max_in_flight": 1},
    ],
)
def test_blocking_makes_no_burst_and_keeps_no_schedule(given):
    document = load(**given)
    document["workload"]["streams"][0]["stop"] = {"requests": 5}
    document["client"] = {"strategy": "blocking"}
    (error,) = refused(document)
    assert error.field == f"{STREAM}.load.model"


def test_blocking_can_be_periodic():
    document = load(model="periodic", interval_s=0.5)
    document["client"] = {"strategy": "blocking"}
    assert read_spec(document, Limits()).workload.streams[0].load == Periodic("periodic", 0.5, 1)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ({"rate_per_s": 0.05}, "rate_per_s", "0.05 is below the smallest value of 0.1."),
        ({"rate_per_s": 200_001}, "rate_per_s", "Raise LOOPLAB_MAX_RATE_PER_S"),
        ({"rate_per_s": [{"rate_per_s": 5, "duration_s": 0}]}, "rate_per_s.0.duration_s", "0.1"),
        ({"rate_per_s": []}, "rate_per_s", "give 1 to 100"),
        ({"rate_per_s": 5, "max_in_flight": 2_001}, "max_in_flight", "2,000"),
        ({"rate_per_s": "fast"}, "rate_per_s", "is not a number"),
    ],
)
def test_open_loads_are_bounded(given, field, said):
    (error,) = refused(load(model="open", **given))
    assert (error.field, said in error.message) == (f"{STREAM}.load.{field}", True)


@pytest.mark.parametrize(("client", "most"), [({}, 1_000), ({"strategy": "threaded"}, 500)])
def test_the_default_of_what_is_in_flight_is_what_the_strategy_can_do(client, most):
    document = load(model="open", rate_per_s=5)
    document["client"] = client
    (stream,) = read_spec(document, Limits()).workload.streams
    assert stream.load.users == most


def test_threads_bound_what_is_in_flight():
    document = load(model="open", rate_per_s=5, max_in_flight=1_000)
    document["client"] = {"strategy": "threaded"}
    (error,) = refused(document)
    assert (error.field, error.limit) == (f"{STREAM}.load.max_in_flight", 500)


@pytest.mark.parametrize("rate", [0.1, 200_000, [{"rate_per_s": 1, "duration_s": 0.1}] * 100])
def test_rates_within_their_bounds(rate):
    assert read_spec(load(model="open", rate_per_s=rate), Limits())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:9000",
        "ftp://127.0.0.1",
        "file:///etc/passwd",
        "http://user:secret@127.0.0.1",
        "http://127.0.0.1/path",
        "http://127.0.0.1?x=1",
        "http://127.0.0.1?",
        "http://127.0.0.1#",
        "http://127.0.0.1:0",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:port",
        "http://192.168.0.1",
        "http://2130706433",
        "http://0x7f000001",
        "http://127.1",
        "http://[::ffff:127.0.0.1]",
        "http://[::1",
        "http://example.org",
    ],
)
def test_addresses_that_are_refused(url):
    (error,) = refused(changed("target", {"url": url}))
    assert error.field == "target.url"


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://127.0.0.1:9000",
        "http://127.4.5.6:1/",
        "https://[::1]:8443",
        "HTTP://LOCALHOST:80",
    ],
)
def test_addresses_of_this_machine(url):
    assert read_spec(changed("target", {"url": url}), Limits())


@pytest.mark.parametrize("name", ["worker", "reuse_port"])
def test_what_uvicorn_lacks_must_be_null(name):
    value = True if name == "reuse_port" else "uvicorn_worker"
    (error,) = refused(changed(f"target.{name}", value))
    assert error.field == f"target.{name}"


@pytest.mark.parametrize("name", ["loop", "http", "threads", "reload", "access_log", "backlog"])
def test_what_uvicorn_has_must_be_given(name):
    (error,) = refused(changed(f"target.{name}", None))
    assert error.message == f"uvicorn needs {name}."


def test_reload_runs_one_worker():
    document = changed("target.reload", True)
    document["target"]["workers"] = 2
    assert [error.field for error in refused(document)] == ["target.workers"]


def test_settings_belong_to_the_bundled_application():
    document = changed("target.settings", {"log_s": 1})
    document["target"]["application"] = "shop"
    assert [error.field for error in refused(document)] == ["target.settings"]
    (error,) = refused(changed("target.settings", {"PATH": "x"}))
    assert error.field == "target.settings.PATH"
    assert read_spec(changed("target.settings", {"log_s": 0.1}), Limits())


def test_beside_a_command_nothing_else_is_chosen():
    spec = read_spec(changed("target", {"application": "shop", "server": "command"}), Limits())
    target = write_spec(spec)["target"]
    assert (target["workers"], target["loop"], target["threads"]) == (None, None, None)
    document = changed("target", {"application": "shop", "server": "command", "workers": 2})
    assert [error.field for error in refused(document)] == ["target.workers"]
    document = changed("target", {"workers": None})
    assert [error.field for error in refused(document)] == ["target.workers"]


def test_what_is_left_out_is_null_where_the_server_lacks_it():
    spec = read_spec(changed("target", {"server": "granian"}), Limits())
    assert write_spec(spec)["target"]["http"] is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", "a" * 201),
        ("title", "new\nline"),
        ("title", "\u202eevil"),
        ("title", "nul\x00"),
        ("tags", ["x"] * 21),
        ("tags", [""]),
        ("tags", ["a" * 41]),
        (f"{STREAM}.name", ""),
        (f"{STREAM}.name", "a" * 41),
    ],
)
def test_texts_are_bounded_and_plain(field, value):
    (error,) = refused(changed(field, value))
    assert error.field.startswith(field)


def test_streams_have_different_names_and_a_limit():
    stream = changed("seed", 1)["workload"]["streams"][0]
    (error,) = refused({"workload": {"streams": [stream, dict(stream)]}})
    assert error.field == "workload.streams.1.name"
    many = [{**stream, "name": f"s{index}"} for index in range(9)]
    assert refused({"workload": {"streams": many}})[0].field == "workload.streams"
    assert refused({"workload": {"streams": []}})[0].field == "workload.streams"


@pytest.mark.parametrize("cores", [{"target": [], "client": [1]}, {"target": [-1], "client": [1]}])
def test_cores_are_numbers_of_cores(cores):
    assert refused(changed("cores", cores))[0].field == "cores.target"


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


LOGIN: Document = {
    "method": "POST",
    "path": "/login",
    "per": "user",
    "capture": {"token": {"json": "access_token"}},
}


@pytest.mark.parametrize(
    ("before", "field", "said"),
    [
        ([LOGIN | {"path": "login"}], "before.0.path", "A path starts with one slash"),
        ([LOGIN | {"capture": {"token": {"json": "a", "header": "b"}}}], "before.0.capture.token",
         "Give exactly one of json, header, cookie."),
        ([LOGIN | {"capture": {"token": {"json": "a..b"}}}], "before.0.capture.token.json",
         "Lead to a value of the answer"),
        ([LOGIN | {"capture": {"a b": {"header": "X"}}}], "before.0.capture.a b", "A name is made"),
        ([LOGIN | {"capture": {"sid": {"cookie": "a b"}}}], "before.0.capture.sid.cookie",
         "This is not the name of a cookie."),
        ([LOGIN, LOGIN], "before.1.capture.token", "{token} is filled already"),
        ([LOGIN, {"path": "/{token}"}], "before.1.path", "{token} has no value"),
        ([LOGIN | {"values": {"n": {"kind": "sequence"}}, "path": "/{n}"}], "before.0.values.n",
         "Before the load no sequence goes on"),
        ([LOGIN | {"weight": 2}], "before.0.weight", "There is no such field."),
        ([LOGIN | {"per": "trial"}], "before.0.per", "is none of"),
    ],
)  # fmt: skip
def test_requests_before_the_load_that_cannot_be_sent(
    before: list[Document], field: str, said: str
) -> None:
    document = changed("before", before)
    (error,) = [wrong for wrong in refused(document) if wrong.field == field]
    assert said in error.message


def test_what_is_captured_fills_requests() -> None:
    document = changed("before", [LOGIN, {"path": "/{token}", "per": "user"}])
    request = document["workload"]["streams"][0]["requests"][0]
    request["headers"] = {"Authorization": "Bearer {token}"}
    assert read_spec(document, Limits()).before[0].capture.keys() == {"token"}
    request["values"]["token"] = {"kind": "uuid"}
    (error,) = refused(document)
    assert error.message == "Two values fill {token}: rename one of them."
