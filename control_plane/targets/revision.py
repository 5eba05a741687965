"""The revision of an application's code: the commit of its directory, and what differs from it."""

import hashlib
import os
import subprocess
from pathlib import Path

from control_plane.domain.result import Environment

TIMEOUT_S = 5.0
SOURCES = ("*.py", "*.pyx", "*.html", "*.sql", "*.toml", "*.js", "*.ts", "*.go", "*.rs", "*.rb")
"""Files that belong to the code though git does not know of them yet."""
_DIGITS = 12


def application_revision(directory: Path) -> Environment:
    """Return commit, whether it is dirty, and a digest of what differs; None outside of git.

    It is dirty where a file that git tracks was changed, or one of `SOURCES` is new to git.
    """
    commit = _git(directory, "rev-parse", "HEAD")
    if commit is None:
        return dict.fromkeys(
            ("application_commit", "application_dirty", "application_changes"), None
        )
    changes = _git(directory, "diff", "HEAD", "--no-ext-diff", "--binary", ".") or b""
    listed = _git(directory, "ls-files", "--others", "--exclude-standard", "-z", "--", *SOURCES)
    digest = hashlib.sha256(changes)
    new = sorted(filter(None, (listed or b"").split(b"\0")))
    for name in new:
        digest.update(name + b"\0" + _content(directory / os.fsdecode(name)))
    dirty = bool(changes or new)
    return {
        "application_commit": commit.decode().strip(),
        "application_dirty": dirty,
        "application_changes": digest.hexdigest()[:_DIGITS] if dirty else None,
    }


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _git(directory: Path, *arguments: str) -> bytes | None:
    """Return what git prints; None where it is missing, fails, or takes too long.

    Nothing is written, and no program that the repository names is run.
    """
    options = ("safe.directory=*", "core.fsmonitor=false")
    words = ["git", *(word for option in options for word in ("-c", option)), *arguments]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            words, cwd=directory, env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=TIMEOUT_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
