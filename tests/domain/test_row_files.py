"""Tables as people keep them, and what is wrong with others."""

import pytest

from control_plane.domain.request_bodies_and_values import RowFile
from control_plane.domain.row_files import MAX_FILE_BYTES, UnreadableRows, decoded, read_rows


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
        ("id,name\n1,a\n2\n", "Line 3 has 1 cell, and 2 columns have a name."),
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


def test_a_file_is_text_of_utf_8() -> None:
    assert decoded("\ufeffid\n\u00e9".encode()) == "id\n\u00e9"
    with pytest.raises(UnreadableRows, match="Line 2 is not UTF-8"):
        decoded("id\n\u00e9".encode("latin-1"))
