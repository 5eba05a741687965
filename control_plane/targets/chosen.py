"""The application that a target names, and whether the two fit each other."""

from collections.abc import Collection, Iterator
from dataclasses import replace

from control_plane.domain.errors import FieldError, TargetFailed
from control_plane.domain.spec import BUNDLED, Target
from control_plane.targets.application import Application, Applications, bundled
from control_plane.targets.catalogue import missing_server


def served(target: Target, applications: Applications, paths: Collection[str] = ()) -> Application:
    """Raises TargetFailed when the settings have lost it since the run was queued."""
    if target.application == BUNDLED:
        return bundled(paths)
    found = applications.get(target.application)
    if found is None:
        raise TargetFailed(f"start: {_unknown(target.application, applications)}")
    return found


def moved(target: Target, name: str) -> Target:
    """The same server for another application; what the bundled one alone reads is left behind."""
    return target if name == BUNDLED else replace(target, application=name, settings={})


def by_command(name: str) -> Target:
    """The target of an application that has a command of its own: nothing else is chosen."""
    return Target(
        name, "command", workers=None, loop=None, http=None, threads=None, reload=None,
        access_log=None, keep_alive_s=None, backlog=None,
    )  # fmt: skip


def misfits(target: Target, applications: Applications) -> Iterator[FieldError]:
    """An application that does not exist, or a server that is not how it is started."""
    name = target.application
    by_command = target.server == "command"
    if name == BUNDLED:
        if by_command:
            message = "The bundled application has no command of its own: choose a server."
            yield FieldError("target.server", message)
        elif lack := missing_server(target):
            yield FieldError("target.server", lack)
        return
    application = applications.get(name)
    if application is None:
        yield FieldError("target.application", _unknown(name, applications))
    elif by_command != bool(application.command):
        message = (
            f"{name} is served by an import string: choose a server."
            if by_command
            else f'{name} is started by its own command: give "server": "command" and nothing else.'
        )
        yield FieldError("target.server", message)


def _unknown(name: str, applications: Applications) -> str:
    names = ", ".join([BUNDLED, *sorted(applications)])
    return f"There is no application {name[:40]!r}. There are: {names}."
