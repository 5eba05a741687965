"""Tables as people keep them, what is wrong with others, and where rows cannot be drawn."""

import tracemalloc

import pytest

from control_plane.domain.errors import InvalidInput
from control_plane.domain.limits import Limits
from control_plane.domain.row_files import (
    MAX_FILE_BYTES,
    RowFile,
    UnreadableRows,
    decoded,
    read_rows,
)
from control_plane.domain.spec_json import read_spec
from tests.builders.documents import Document, changed

STREAM = "workload.streams.0"


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ("user,password\nann,a1\n\nbob,b2", [("ann", "a1"), ("bob", "b2")]),
        ("\ufeffuser,password\r\nann,a1\r\n", [("ann", "a1")]),
        ('user,password\n"Ann, the first","say ""hi""\nthere"', [
            ("Ann, the first", 'say "hi"\nthere'),
        ]),
        ("user;password\nann;a,1", [("ann", "a,1")]),
        ("user\tpassword\nann\ta 1", [("ann", "a 1")]),
        ('"name, first, last";"a\nb";user;password\nx;y;ann;1', [("ann", "1")]),
        ("user;password\rann;1,5,0\r", [("ann", "1,5,0")]),
        (' {"user": 7, "password": "a\u2028b"}\n\n{"password": "c", "user": 1.5}\n', [
            (7, "a\u2028b"), (1.5, "c"),
        ]),
    ],
)  # fmt: skip
def test_what_a_table_holds(content: str, rows: list[tuple[object, object]]) -> None:
    assert [(row["user"], row["password"]) for row in read_rows(RowFile(content))] == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (" \n", "ids.csv is empty: give a line of names and rows."),
        ("id\n", "ids.csv has names of columns and no row below them."),
        ("id,name\n1,a\n2\n", "Line 3 has 1 cell for 2 columns."),
        ("id,id\n1,2\n", "Two columns are called 'id'."),
        ('id\n"1\n2\n', "Line 3 is no CSV: unexpected end of data."),
        ('{"id": 1}\n{"id": 1', "Line 2 is no JSON."),
        ('{"id": 1}\n[2]', "Line 2 is no JSON object."),
        ('{"id": 1}\n{"no": 1}', "Line 2 and the first differ in 'id'."),
        ('{"id": {"a": 1}}', "Line 1: 'id' is neither a text nor a number."),
        ("id\n" + "1" * MAX_FILE_BYTES, "5,000,003 bytes are above the limit of 5,000,000 for a "
         "file of rows."),
    ],
)  # fmt: skip
def test_what_is_no_table(content: str, said: str) -> None:
    with pytest.raises(UnreadableRows) as caught:
        read_rows(RowFile(content, "ids.csv"))
    assert str(caught.value) == said


def test_many_columns_are_read_in_time_that_grows_with_their_number() -> None:
    names = ",".join(map(str, range(200_000)))
    cells = ",".join(["1"] * 200_000)
    assert len(read_rows(RowFile(f"{names}\n{cells}"))[0]) == 200_000


@pytest.mark.parametrize("head", ["x" * 1_000_000, '"a",' * 250_000])
def test_a_long_line_of_names_takes_no_memory_of_its_own_to_measure(head: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableRows):
            read_rows(RowFile(f"{head}\n"))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * len(head)


def test_a_cell_may_be_as_long_as_the_file() -> None:
    assert read_rows(RowFile("body\n" + "x" * 200_000)) == ({"body": "x" * 200_000},)


def test_a_file_is_text_of_utf_8() -> None:
    assert decoded("\ufeffid\n\u00e9".encode()) == "id\n\u00e9"
    with pytest.raises(UnreadableRows, match="Line 2 is not UTF-8"):
        decoded("id\n\u00e9".encode("latin-1"))


def with_rows(**changes: object) -> Document:
    """A spec of three requests whose path is filled from a file of six rows."""
    value: Document = {
        "kind": "row",
        "file": {"content": "id,name\n" + "".join(f"{n},n{n}\n" for n in range(6))},
        "columns": ["id"],
    }
    document = changed(f"{STREAM}.stop", {"requests": changes.pop("requests", 3)})
    document |= {"trials": changes.pop("trials", 1), "warmup_s": changes.pop("warmup_s", 0)}
    request = document["workload"]["streams"][0]["requests"][0]
    return_value = {"path": "/{id}", "values": {"item": value | changes}}
    request.clear()
    request.update(return_value)
    return document


ITEM = f"{STREAM}.requests.0.values.item"


@pytest.mark.parametrize(
    ("changes", "field", "said"),
    [
        ({"file": {"content": "id,name\n1\n"}}, f"{ITEM}.file", "Line 2 has 1 cell"),
        ({"file": "ids.csv"}, f"{ITEM}.file", "Only `looplab run` reads files"),
        ({"columns": ["nr"]}, f"{ITEM}.columns", "has no column 'nr': it has 'id', 'name'."),
        ({"columns": []}, f"{ITEM}.columns", "0 columns: give 1 to 50."),
        ({"columns": ["a b"]}, f"{ITEM}.columns", "'a b' is no placeholder: rename the column"),
        ({"secret": ["name"]}, f"{ITEM}.secret", "'name' is none of the columns."),
        ({"columns": ["id", "name"]}, f"{STREAM}.requests.0.values.name", "No place of this"),
        ({"order": "each_once", "requests": 7}, f"{ITEM}.order",
         "rows.csv has 6 rows, and 7 requests need 7: each comes once."),
        ({"order": "each_once", "trials": 3}, f"{ITEM}.order",
         "rows.csv has 6 rows, and 3 requests in each of 3 trials need 9: each comes once."),
        ({"order": "each_once", "warmup_s": 1}, f"{ITEM}.order",
         "Warm-up and ramp-up would use up rows that come once: set both to 0."),
    ],
)  # fmt: skip
def test_rows_that_cannot_be_drawn(changes: Document, field: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_spec(with_rows(**changes), Limits())
    (error,) = [wrong for wrong in caught.value.fields if wrong.field == field]
    assert said in error.message


def test_rows_that_come_once_need_no_warm_up_and_repeat_in_each_trial_where_asked() -> None:
    document = with_rows(order="each_once", trials=2)
    del document["warmup_s"]
    assert read_spec(document, Limits()).warmup_s == 0
    read_spec(with_rows(order="each_once", trials=3, repeat=True), Limits())
