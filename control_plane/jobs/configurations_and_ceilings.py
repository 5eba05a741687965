"""What a spec can name as its target, and what each client can do at most on this machine.

Configurations come with Looplab or were added; ceilings are those that the stored runs hold.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from control_plane.domain.errors import Conflict, FieldError, InvalidInput
from control_plane.domain.ids import slug
from control_plane.domain.limits import bounded_text
from control_plane.domain.run import Run, State
from control_plane.domain.spec import BUNDLED, RESPONDER, NamedTarget, Spec, Target
from control_plane.domain.spec_json import SOME_WORKLOAD, Document
from control_plane.store.store import Store
from control_plane.targets.application import for_application
from control_plane.targets.builtin_configurations import (
    CATALOGUE,
    RESPONDER_NAME,
    Configuration,
    configuration_of,
    find_configuration,
    missing_server,
    not_for_bundled,
    target_name,
)
from control_plane.targets.observation.machine import SHARED_CORES
from control_plane.targets.run_environment import run_environment

if TYPE_CHECKING:
    from control_plane.analysis.client_ceiling import Ceiling

LONGEST_NAME = 80
RESERVED = {"own", RESPONDER_NAME}
"""What means something else in forms and specs."""


def resolved(named: NamedTarget, known: Sequence[Configuration] = CATALOGUE) -> Target:
    """Return the target that a spec names.

    Raises InvalidInput naming the likest, or what installs a server that is missing.
    """
    found = find_configuration(named.configuration, known)
    target = found if named.host is None else replace(found, host=named.host)
    if named.application not in {None, BUNDLED}:
        return for_application(target, str(named.application))
    message = not_for_bundled(target) or missing_server(target)
    if message:
        raise InvalidInput(message, (FieldError("target.configuration", message),))
    return target


class Configurations:
    """The configurations of one database, those that come with Looplab included.

    `check` reads a document of a spec, and raises InvalidInput for what is wrong in it.
    """

    def __init__(self, store: Store, check: Callable[[Document], Spec]) -> None:
        self._store, self._check = store, check

    def all(self) -> tuple[Configuration, ...]:
        """Return all, those that come with Looplab first."""
        added = (
            configuration_of(target, name=name, builtin=False)
            for name, target in self._store.configurations()
        )
        return (*CATALOGUE, *added)

    def resolve(self, named: NamedTarget) -> Target:
        """Return the target of a name. Raises InvalidInput as `resolved` does."""
        return resolved(named, self.all())

    def check(self, name: str, target: Document) -> Target:
        """Check a new configuration, `target` as in a spec.

        Raises InvalidInput with every wrong field.
        """
        wrong = self._wrong_name(name)
        try:
            spec = self._check({"workload": SOME_WORKLOAD, "target": target})
        except InvalidInput as error:
            raise InvalidInput(str(error), (*wrong, *error.fields)) from None
        if spec.target.is_responder:
            message = "The bare responder serves no application: choose a server."
            wrong.append(FieldError("target.server", message))
        started = spec.target.started
        if wrong or started is None:
            raise InvalidInput(wrong[0].message if wrong else "Give its parts.", tuple(wrong))
        return started

    def add(self, name: str, target: Target) -> None:
        """Store one that was checked. Raises InvalidInput when the name is taken meanwhile."""
        try:
            self._store.add_configuration(name, target)
        except Conflict as error:
            raise InvalidInput(str(error), (FieldError("name", str(error)),)) from None

    def remove(self, name: str) -> None:
        """Remove an added one; runs that used it keep its fields.

        Raises Conflict for a builtin one, or NotFound.
        """
        if any(builtin.name == name for builtin in CATALOGUE):
            raise Conflict(f"{name} comes with Looplab and stays: copy it to change it.")
        self._store.remove_configuration(name)

    def _wrong_name(self, name: str) -> list[FieldError]:
        wrong = list(bounded_text("name", name, LONGEST_NAME, empty=False))
        if wrong:
            return wrong
        if name != name.strip():
            return [FieldError("name", f"{name!r} begins or ends with a space: leave it out.")]
        if not slug(name):
            return [FieldError("name", "Give at least one letter from a to z, or a digit.")]
        names = (*RESERVED, *(configuration.name for configuration in self.all()))
        taken = {slug(known): known for known in names}
        if like := taken.get(slug(name)):
            message = f"There is a configuration {like!r} already: choose another name."
            return [FieldError("name", message)]
        return []


LOOKED_AT = 40
"""How many of the newest runs against the responder are looked at."""


def stored_ceilings(store: Store, strategy: str | None = None) -> "tuple[Ceiling, ...]":
    """Return the ceilings of every machine, newest first; of one strategy, or of all."""
    from control_plane.analysis.client_ceiling import ceiling_of

    page = store.runs(
        limit=LOOKED_AT,
        configuration=target_name(RESPONDER),
        state=State.FINISHED,
        strategy=strategy,
    )
    return tuple(found for run in page.runs if (found := ceiling_of(run)) is not None)


def ceilings_here(store: Store) -> "tuple[Ceiling, ...]":
    """Return the ceilings of this machine with the present libraries, newest first."""
    from control_plane.analysis.client_ceiling import same_setup

    here = run_environment(SHARED_CORES)
    return tuple(
        ceiling for ceiling in stored_ceilings(store) if same_setup(ceiling.environment, here)
    )


def ceiling_documents(store: Store) -> list[Document]:
    """Return all of them as JSON; `here` tells those that count on this machine now."""
    from control_plane.analysis.client_ceiling import ceiling_document, same_setup

    here = run_environment(SHARED_CORES)
    return [
        ceiling_document(ceiling, here=same_setup(ceiling.environment, here))
        for ceiling in stored_ceilings(store)
    ]


def measured_here(run: Run) -> bool:
    """Return whether it was on this machine, with the present Python and client libraries."""
    from control_plane.analysis.client_ceiling import same_setup

    return same_setup(run.environment, run_environment(SHARED_CORES))


def unfinished(store: Store) -> tuple[Run, ...]:
    """Return the runs against the responder that wait or work, newest first."""
    page = store.runs(limit=LOOKED_AT, configuration=target_name(RESPONDER))
    return tuple(run for run in page.runs if not run.state.terminal)
