"""An application that a server can serve, and the environment it gets."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import Target

INSIDE = Path(__file__).parent / "inside"
PASSED_ON = {
    "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TMPDIR", "TZ", "USER",
    "VIRTUAL_ENV",
}  # fmt: skip
INSTANCE = "LOOPLAB_INSTANCE"
LAUNCH = "LOOPLAB_LAUNCH"


@dataclass(frozen=True)
class Application:
    """`app` is an import string that resolves in `directory`, where the server runs.

    `ready_path` answers with a status below 500 once the application works. `reload_dir` is what
    `--reload` watches, relative to `directory`.
    """

    app: str
    directory: Path
    ready_path: str = "/"
    reload_dir: str = "."
    start_timeout_s: float = 15.0
    environment: Mapping[str, str] = field(default_factory=dict)


def bundled(paths: Collection[str] = ()) -> Application:
    """The application that comes with Looplab, told which path templates will be asked for."""
    spec = find_spec("target_app")
    if spec is None or spec.origin is None:
        raise TargetFailed("The bundled application is missing: install Looplab again.")
    directory = Path(spec.origin).parent.parent
    environment = {"TARGET_PATHS": " ".join(paths)} if paths else {}
    return Application(
        "target_app.main:app", directory, "/health", "target_app", environment=environment
    )


def scratch_folder(state_dir: Path) -> Path:
    """Where each target has a folder of its own while it runs."""
    return state_dir / "targets"


def settings_of(target: Target) -> dict[str, str]:
    """What the bundled application reads from its environment."""
    named = {"threads": target.threads, **target.settings}
    return {
        f"TARGET_{name.upper()}": _written(value)
        for name, value in named.items()
        if value is not None
    }


def _written(value: float | str) -> str:
    """Whole numbers without the point that JSON may have given them."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def environment_of(
    application: Application, target: Target, instance: str, launch: str
) -> dict[str, str]:
    """Built from a list of what may pass, so that no secret of the control plane reaches a target.

    `instance` and `launch` mark every process that comes from this start.
    """
    passed = {
        name: value
        for name, value in os.environ.items()
        if name in PASSED_ON or name.startswith("LC_")
    }
    marks = {INSTANCE: instance, LAUNCH: launch, "PYTHONPATH": str(INSIDE)}
    return passed | settings_of(target) | dict(application.environment) | marks
