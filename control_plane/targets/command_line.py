"""The command line of a target, as it is executed and as a page shows it."""

import shlex

from control_plane.domain.servers import SERVERS, Binding
from control_plane.domain.spec import DEFAULT_THREADS, Target
from control_plane.targets.application import Application, bundled_application, settings_variables


def arguments(target: Target, application: Application, host: str, port: int) -> list[str]:
    """Return the argument list that is executed.

    A server is run as a module of the application's own interpreter.
    """
    words = command(target, host, port, application)
    return words if target.server == "command" else [str(application.interpreter), "-m", *words]


def command(
    target: Target, host: str, port: int, application: Application | None = None
) -> list[str]:
    """Return the server's argument list, program first.

    Without `application`, for the bundled one.
    """
    served = application or bundled_application()
    if target.server == "command":
        return [
            word.replace("{host}", host).replace("{port}", str(port)) for word in served.command
        ]
    server = SERVERS[target.server]
    binding = Binding(served.app, served.factory, served.reload_dir, host, port)
    return [server.module, *server.arguments(target, binding)]


def shown_command(
    target: Target,
    host: str = "127.0.0.1",
    port: int = 8000,
    application: Application | None = None,
) -> str:
    """Return a command line to copy into a shell.

    The settings that the application reads stand before it.
    """
    if application is not None and application.own:
        return shlex.join(arguments(target, application, host, port))
    settings = settings_variables(target)
    if target.threads == DEFAULT_THREADS:
        del settings["TARGET_THREADS"]
    assigned = [f"{name}={shlex.quote(value)}" for name, value in settings.items()]
    words = command(target, host, port, application)
    has_program = target.server in {"command", SERVERS[target.server].module}
    return " ".join([*assigned, shlex.join([*([] if has_program else ["python", "-m"]), *words])])
