"""The resources of one worker, and how its endpoints ask for them.

A start that serves only items must be as quick as the framework allows, and the first request of a
measured window must not wait for a database to be seeded. So nothing here is imported or opened
until it is needed: before readiness for the paths named in `Settings.paths`, else at first use.
"""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from target_app.resource import Resource
from target_app.settings import Settings

if TYPE_CHECKING:
    from target_app.database import Database
    from target_app.processes import Processes
    from target_app.upstream import Upstream


@dataclass(frozen=True)
class Resources:
    """One field for each name that a workload may list in its `opens`."""

    database: "Resource[Database]"
    upstream: "Resource[Upstream]"
    processes: "Resource[Processes]"

    @classmethod
    def closed_with(cls, stack: AsyncExitStack, settings: Settings) -> "Resources":
        """None of them is open yet."""
        return cls(
            database=Resource(lambda: _open_database(settings), stack),
            upstream=Resource(lambda: _open_upstream(settings), stack),
            processes=Resource(_open_processes, stack),
        )


def _open_database(settings: Settings) -> "AbstractAsyncContextManager[Database]":
    from target_app.database import open_database

    return open_database(settings.directory)


def _open_upstream(settings: Settings) -> "AbstractAsyncContextManager[Upstream]":
    from target_app.upstream import open_upstream

    return open_upstream(settings.upstream_delay_s)


def _open_processes() -> "AbstractAsyncContextManager[Processes]":
    from target_app.processes import open_processes

    return open_processes()


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _database(request: Request) -> "Database":
    resources: Resources = request.app.state.resources
    return await resources.database.get()


async def _upstream(request: Request) -> "Upstream":
    resources: Resources = request.app.state.resources
    return await resources.upstream.get()


async def _processes(request: Request) -> "Processes":
    resources: Resources = request.app.state.resources
    return await resources.processes.get()


SettingsDep = Annotated[Settings, Depends(_settings)]
DatabaseDep = Annotated["Database", Depends(_database)]
UpstreamDep = Annotated["Upstream", Depends(_upstream)]
ProcessesDep = Annotated["Processes", Depends(_processes)]
