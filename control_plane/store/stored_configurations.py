"""The configurations that people added, by their names."""

from sqlmodel import col, select

from control_plane.domain.errors import Conflict, NotFound
from control_plane.domain.spec import Target
from control_plane.domain.spec_json import adapter
from control_plane.store.database import Database
from control_plane.store.tables import AddedConfigurationRow

MAX_ADDED = 100
"""The most that there may be, so that every form can show them."""


class AddedConfigurations:
    """Lists, adds and removes the configurations that people added. Each method is one transaction.

    Runs do not point to them: a spec holds its target.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def configurations(self) -> list[tuple[str, Target]]:
        """Return each with its name, in the order of the names."""
        with self._database.read() as session:
            rows = session.exec(
                select(AddedConfigurationRow).order_by(col(AddedConfigurationRow.name))
            ).all()
            return [(row.name, adapter(Target).validate_json(row.target)) for row in rows]

    def add_configuration(self, name: str, target: Target) -> None:
        """Store a target under a name.

        Raises Conflict for a name that is taken, or when there are too many.
        """
        with self._database.write() as session:
            names = session.exec(select(AddedConfigurationRow.name)).all()
            if name in names:
                raise Conflict(f"There is a configuration {name!r} already: choose another name.")
            if len(names) >= MAX_ADDED:
                raise Conflict(f"There are {MAX_ADDED} configurations: remove one first.")
            written = adapter(Target).dump_json(target).decode()
            session.add(AddedConfigurationRow(name=name, target=written))

    def remove_configuration(self, name: str) -> None:
        """Remove the configuration of that name. Raises NotFound."""
        with self._database.write() as session:
            row = session.get(AddedConfigurationRow, name)
            if row is None:
                raise NotFound(f"There is no added configuration {name[:60]!r}.")
            session.delete(row)
