"""Configurations: those that people added, and what the last run of one tells of the next."""

import json
from collections.abc import Collection

from sqlalchemy import text
from sqlmodel import col, select

from control_plane.domain.errors import Conflict, NotFound
from control_plane.domain.run import LastRun
from control_plane.domain.spec import Target
from control_plane.domain.spec_json import adapter
from control_plane.store.database import Database, read_each
from control_plane.store.tables import AddedConfigurationRow

MAX_ADDED = 100
"""The most that there may be, so that every form can show them."""


RunKind = tuple[str, str, str, str]
"""Strategy, configuration by the name of its parts, path of the first request class, application.

The last is "" for a server that runs already.
"""


def _configuration_of(row: AddedConfigurationRow) -> tuple[str, Target]:
    return row.name, adapter(Target).validate_json(row.target)


class KnownConfigurations:
    """Lists, adds and removes those that people added. Each method is one transaction.

    Runs do not point to them: a spec holds its target.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def configurations(self) -> list[tuple[str, Target]]:
        """Return each with its name, in the order of the names."""
        with self._database.read() as session:
            chosen = select(AddedConfigurationRow).order_by(col(AddedConfigurationRow.name))
            return read_each(session, chosen, "configuration", _configuration_of)

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

    def last_runs(self, kinds: Collection[RunKind]) -> dict[RunKind, LastRun]:
        """Return by kind what the last finished run like this tells.

        Of the rate one among the 100 last of that strategy and configuration, whose first request
        class has that path; of the start one measured here, of that configuration, among the 100
        last of that application.
        """
        given = {"kinds": json.dumps(sorted(set(kinds)))}
        with self._database.read() as session:
            rows = session.connection().execute(LAST_RUNS, given).all()
        found = {
            (strategy, configuration, path, application): LastRun(_number(rate), _number(ready_s))
            for strategy, configuration, path, application, rate, ready_s in rows
        }
        return {kind: found.get(kind, LastRun()) for kind in kinds}


def _number(value: object) -> float | None:
    return value if isinstance(value, float) else None


LAST_RUNS = text("""
WITH kind AS (
    SELECT json_extract(value, '$[0]') AS strategy, json_extract(value, '$[1]') AS configuration,
        json_extract(value, '$[2]') AS path, json_extract(value, '$[3]') AS application
    FROM json_each(:kinds)
)
SELECT strategy, configuration, path, application, (
    SELECT rate_per_s FROM run JOIN run_facts ON run = seq
    WHERE seq IN (
        SELECT seq FROM run WHERE strategy = kind.strategy AND state = 'finished'
        AND configuration = kind.configuration ORDER BY seq DESC LIMIT 100
    ) AND CASE WHEN json_valid(spec)
        THEN json_extract(spec, '$.workload.streams[0].requests[0].path') END = kind.path
    ORDER BY seq DESC LIMIT 1
), (
    SELECT CASE WHEN json_valid(document) THEN json_extract(document, '$.target.ready_s') END
    FROM trial WHERE run = (
        SELECT max(seq) FROM run WHERE seq IN (
            SELECT seq FROM run WHERE application = kind.application ORDER BY seq DESC LIMIT 100
        ) AND configuration = kind.configuration AND state = 'finished' AND origin IS NULL
    ) ORDER BY block DESC LIMIT 1
) FROM kind
""")
