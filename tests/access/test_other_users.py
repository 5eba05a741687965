"""Who counts as another person of this machine."""

from pathlib import Path
from pwd import struct_passwd

import pytest

from control_plane.access.other_users import id_range, is_person

PEOPLE = (1_000, 60_000)


def account(uid: int, shell: str, home: str = "/") -> struct_passwd:
    return struct_passwd(("name", "x", uid, uid, "", home, shell))


@pytest.mark.parametrize(
    ("found", "person"),
    [
        (account(1_000, "/bin/bash"), True),
        (account(60_000, "/usr/bin/zsh"), True),
        (account(0, "/bin/bash"), False),
        (account(999, "/bin/sh"), False),
        (account(65_534, "/bin/sh"), False),
        (account(1_000, "/usr/sbin/nologin"), False),
        (account(1_000, "/bin/false"), False),
        (account(1_000, ""), False),
        (account(1_000, "/bin/bash", "/nonexistent"), False),
    ],
)
def test_a_person_has_an_id_of_people_a_shell_and_a_home(
    found: struct_passwd, person: bool
) -> None:
    assert is_person(found, PEOPLE) == person


def test_the_ids_of_people_are_those_that_the_system_names(tmp_path: Path) -> None:
    path = tmp_path / "login.defs"
    assert id_range(path) == PEOPLE
    path.write_text("#UID_MIN 1\nUID_MIN\t\t 500\nSYS_UID_MAX 999\nUID_MAX 2000\n")
    assert id_range(path) == (500, 2_000)
