import pytest

from control_plane.pages.form.form_data import FormData
from control_plane.pages.form.list_edits import apply_edit

STREAMS = "workload.streams"


def form(*streams: str) -> FormData:
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
    read = apply_edit(form("a"), f"add {STREAMS}")
    assert names(read) == ["a", "a 2"]
    assert read.text(f"{STREAMS}.1.requests.0.path") == "/a"


def test_those_behind_a_removed_stream_move_up() -> None:
    read = apply_edit(form("a", "b", "c"), f"remove {STREAMS}.1")
    assert names(read) == ["a", "c"]
    assert read.text(f"{STREAMS}.1.requests.0.path") == "/c"


def test_request_classes_are_added_and_removed_in_their_stream() -> None:
    read = apply_edit(form("a", "b"), f"add {STREAMS}.1.requests")
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
    read = form("a")
    assert apply_edit(read, change) == read
