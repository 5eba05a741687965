import pytest

from control_plane.pages.form import FormData, apply_edit, form_data

REQUEST = "workload.streams.0.requests.0"


def form(**values: str) -> FormData:
    return FormData(
        {f"{REQUEST}.{name.replace('__', '.')}": (text,) for name, text in values.items()}
    )


def test_pairs_of_one_name_are_kept_in_order_and_files_are_left_out() -> None:
    read = form_data([("a", "1"), ("b", object()), ("a", " 2 ")])
    assert read.all("a") == ("1", " 2 ")
    assert read.text("a") == "2"
    assert read.has("a", "1")
    assert "b" not in read.values


def test_a_missing_field_has_its_default() -> None:
    assert FormData({}).text("trials", "3") == "3"
    assert FormData({}).all("trials") == ()


def test_indices_are_those_that_were_sent() -> None:
    read = form_data([("s.2.name", "x"), ("s.0.name", "y"), ("s.0.path", "z"), ("s.x.name", "")])
    assert read.indices("s") == (0, 2)


def test_placeholders_stand_in_path_headers_and_json() -> None:
    read = form(path="/{b}/{a}/{b}", headers="X: {c}", body="json", body__json='{"k": "{d}"}')
    assert read.placeholders(REQUEST) == ("b", "a", "c", "d")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text", 'a={d}&{"b": {e}} {{f}} {g h}'),
        ("form", '{"{d}": "x", "more": ["{e}"]}'),
        ("multipart", '{"fields": {"a": "{d}"}, "file": {"filename": "{e}.png"}}'),
    ],
)
def test_placeholders_stand_in_every_kind_of_body(kind: str, text: str) -> None:
    read = form(path="/{a}", body=kind, **{f"body__{kind}": text})
    assert read.placeholders(REQUEST) == ("a", "d", "e")


def test_a_body_that_is_not_chosen_has_no_placeholders() -> None:
    read = form(path="/{a}", body="none", body__json='{"k": "{d}"}')
    assert read.placeholders(REQUEST) == ("a",)


def test_the_nearest_field_stands_for_a_path() -> None:
    read = form(headers="")
    assert read.nearest(f"{REQUEST}.headers.X-Id") == f"{REQUEST}.headers"
    assert read.nearest("nothing.like.it") == ""


STREAMS = "workload.streams"


def streams_form(*streams: str) -> FormData:
    return FormData(
        {
            name: (text,)
            for index, stream in enumerate(streams)
            for name, text in (
                (f"{STREAMS}.{index}.name", stream),
                (f"{STREAMS}.{index}.requests.0.path", f"/{stream}"),
            )
        }
    )


def names(read: FormData) -> list[str]:
    return [read.text(f"{STREAMS}.{index}.name") for index in read.indices(STREAMS)]


def test_a_stream_is_added_as_a_copy_with_a_name_of_its_own() -> None:
    read = apply_edit(streams_form("a"), f"add {STREAMS}")
    assert names(read) == ["a", "a 2"]
    assert read.text(f"{STREAMS}.1.requests.0.path") == "/a"


def test_those_behind_a_removed_stream_move_up() -> None:
    read = apply_edit(streams_form("a", "b", "c"), f"remove {STREAMS}.1")
    assert names(read) == ["a", "c"]
    assert read.text(f"{STREAMS}.1.requests.0.path") == "/c"


def test_request_classes_are_added_and_removed_in_their_stream() -> None:
    read = apply_edit(streams_form("a", "b"), f"add {STREAMS}.1.requests")
    assert read.indices(f"{STREAMS}.1.requests") == (0, 1)
    assert read.indices(f"{STREAMS}.0.requests") == (0,)
    back = apply_edit(read, f"remove {STREAMS}.1.requests.0")
    assert back.indices(f"{STREAMS}.1.requests") == (0,)


@pytest.mark.parametrize(
    "change",
    [
        "",
        "add",
        f"remove {STREAMS}",
        f"remove {STREAMS}.0",
        f"add {STREAMS}.0",
        "add client",
        f"add {STREAMS}.9999.requests",
    ],
)
def test_what_is_not_understood_changes_nothing(change: str) -> None:
    read = streams_form("a")
    assert apply_edit(read, change) == read
