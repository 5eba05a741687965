"""An application that a server can serve."""

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from control_plane.domain.errors import TargetFailed
from control_plane.domain.spec import BUNDLED, Target


@dataclass(frozen=True)
class Application:
    """`app` is an import string that resolves in `directory`, where the server runs.

    `ready_path` answers with a status below 500 once the application works. `reload_dir` is what
    `--reload` watches, relative to `directory`. `environment` holds fixed values.

    The rest belongs to applications of the settings: `factory` when `app` makes the application,
    `command` instead of `app` where no server of ours is used, `python` the interpreter of its own
    environment (None: ours), `env_file` and the names `passed_on` from our environment.
    """

    app: str
    directory: Path
    ready_path: str = "/"
    reload_dir: str = "."
    start_timeout_s: float = 15.0
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    name: str = BUNDLED
    factory: bool = False
    command: tuple[str, ...] = ()
    python: Path | None = None
    env_file: Path | None = None
    passed_on: tuple[str, ...] = ()

    @property
    def own(self) -> bool:
        """Whether the settings describe it, so that it does not come with Looplab."""
        return self.name != BUNDLED

    @property
    def interpreter(self) -> Path:
        """What runs its server where that is a Python one."""
        return self.python or Path(sys.executable)

    @property
    def called(self) -> str:
        """The import string for servers that have no option for a factory."""
        return f"{self.app}()" if self.factory else self.app


Applications = Mapping[str, Application]
"""Those of the settings, by name."""


def bundled_application(paths: Collection[str] = ()) -> Application:
    """The application that comes with Looplab, told which path templates will be asked for."""
    spec = find_spec("target_app")
    if spec is None or spec.origin is None:
        raise TargetFailed("The bundled application is missing: install Looplab again.")
    directory = Path(spec.origin).parent.parent
    environment = {"TARGET_PATHS": " ".join(paths)} if paths else {}
    return Application(
        "target_app.main:app", directory, "/health", "target_app", environment=environment
    )


def targets_directory(state_dir: Path) -> Path:
    """Where each target has a folder of its own while it runs."""
    return state_dir / "targets"


def settings_variables(target: Target) -> dict[str, str]:
    """What the bundled application reads from its environment; another reads nothing of it."""
    if target.application != BUNDLED:
        return {}
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
