"""What an application of the settings needs before it can be started at all."""

import os
from collections.abc import Iterator

from control_plane.targets.application import Application


def missing(application: Application) -> Iterator[str]:
    """One line for each thing that is not there, with what to do."""
    if not application.own:
        return
    if not application.directory.is_dir():
        yield f"directory {application.directory} is not there: correct it in the settings"
    if application.python is not None:
        yield from _interpreter(application)
    path = application.env_file
    if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
        yield f"env_file {path} is not there or not readable: make it, or correct the settings"


def _interpreter(application: Application) -> Iterator[str]:
    path = application.python
    if path is None:
        return
    if path.is_dir():
        yield f"python {path} is a folder: name the interpreter in it, such as bin/python"
    elif not path.exists():
        yield f"python {path} is not there: make the environment, or correct the settings"
    elif not os.access(path, os.X_OK):
        yield f"python {path} is not executable: name an interpreter, such as .venv/bin/python"
