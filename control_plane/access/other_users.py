"""Whether other people use this machine, who could reach a dashboard on its loopback address."""

import os
import pwd
import re
from collections.abc import Iterable
from pathlib import Path

import psutil

CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))
_LOGIN_DEFS = Path("/etc/login.defs")
_LOGGED_IN = Path("/run/user")
_NO_SHELLS = frozenset({"nologin", "false", "sync", "halt", "shutdown", ""})
_NOBODY = 65_534
USUAL_RANGE = (1_000, 60_000)


def other_users() -> list[str]:
    """Return the names of the people who have an account here beside the one who asks.

    A person is a user id of the range that /etc/login.defs gives to people (1000 to 60000), with a
    shell to log in with and a home that is there; or any above it that is logged in or runs a
    process now. In a container of Docker or Podman accounts are those of the image, so that only
    the latter count.
    """
    people = id_range(_LOGIN_DEFS)
    present = {uid for uid in _present() if uid >= people[0] and uid != _NOBODY}
    accounts = () if any(path.exists() for path in CONTAINER_FILES) else pwd.getpwall()
    present |= {account.pw_uid for account in accounts if is_person(account, people)}
    return sorted(_name(uid) for uid in present - {os.getuid()})


def is_person(account: pwd.struct_passwd, people: tuple[int, int]) -> bool:
    """Return whether somebody may log in with this account: see `other_users`."""
    low, high = people
    shell = Path(account.pw_shell).name
    return low <= account.pw_uid <= high and shell not in _NO_SHELLS and _is_home(account.pw_dir)


def id_range(login_defs: Path) -> tuple[int, int]:
    """Return the lowest and the highest user id of people by /etc/login.defs."""
    try:
        text = login_defs.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return USUAL_RANGE
    found = dict(re.findall(r"^\s*(UID_MIN|UID_MAX)\s+(\d+)\s*$", text, re.MULTILINE))
    return int(found.get("UID_MIN", USUAL_RANGE[0])), int(found.get("UID_MAX", USUAL_RANGE[1]))


def _present() -> Iterable[int]:
    """Yield the user ids that are logged in, or have a process."""
    if _LOGGED_IN.is_dir():
        yield from (int(folder.name) for folder in _LOGGED_IN.iterdir() if folder.name.isdecimal())
    for process in psutil.process_iter(["uids"]):
        if uids := process.info["uids"]:
            yield uids.real


def _is_home(folder: str) -> bool:
    try:
        return Path(folder).is_dir()
    except OSError:
        return True


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
