"""The resources of one worker, and how its endpoints ask for them.

A start that serves only items must be as quick as the framework allows, and the first request of a
measured window must not wait for a database to be seeded. So nothing here is imported or opened
until it is needed: before readiness for the paths of `TargetSettings.paths`, else at first use.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Generic, TypeVar

from fastapi import Depends, Request

from target_app.target_settings import TargetSettings

if TYPE_CHECKING:
    from target_app.process_pool import Processes
    from target_app.sqlite_users import UserDatabase
    from target_app.upstream_client import Upstream

T = TypeVar("T")


class Resource(Generic[T]):
    """A value whose `opening` runs at the first `get` and is left with the stack."""

    def __init__(
        self, opening: Callable[[], AbstractAsyncContextManager[T]], stack: AsyncExitStack
    ) -> None:
        self._opening = opening
        self._stack = stack
        self._lock = asyncio.Lock()
        self._value: T | None = None

    async def get(self) -> T:
        """Return the open value; requests that arrive while it opens wait for it."""
        if self._value is not None:
            return self._value
        async with self._lock:
            if self._value is None:
                self._value = await self._stack.enter_async_context(self._opening())
            return self._value


@dataclass(frozen=True)
class Resources:
    """What a worker can open: one field for each name that a workload may list in its `opens`."""

    database: "Resource[UserDatabase]"
    upstream: "Resource[Upstream]"
    processes: "Resource[Processes]"

    @classmethod
    def closed_with(cls, stack: AsyncExitStack, settings: TargetSettings) -> "Resources":
        """Return resources of which none is open yet; `stack` closes those that are opened."""
        return cls(
            database=Resource(lambda: _open_database(settings), stack),
            upstream=Resource(lambda: _open_upstream(settings), stack),
            processes=Resource(_open_processes, stack),
        )


def _open_database(settings: TargetSettings) -> "AbstractAsyncContextManager[UserDatabase]":
    from target_app.sqlite_users import open_database

    return open_database(settings.directory)


def _open_upstream(settings: TargetSettings) -> "AbstractAsyncContextManager[Upstream]":
    from target_app.upstream_client import open_upstream

    return open_upstream(settings.upstream_delay_s)


def _open_processes() -> "AbstractAsyncContextManager[Processes]":
    from target_app.process_pool import open_processes

    return open_processes()


async def _settings(request: Request) -> TargetSettings:
    settings: TargetSettings = request.app.state.settings
    return settings


async def _database(request: Request) -> "UserDatabase":
    resources: Resources = request.app.state.resources
    return await resources.database.get()


async def _upstream(request: Request) -> "Upstream":
    resources: Resources = request.app.state.resources
    return await resources.upstream.get()


async def _processes(request: Request) -> "Processes":
    resources: Resources = request.app.state.resources
    return await resources.processes.get()


SettingsDep = Annotated[TargetSettings, Depends(_settings)]
DatabaseDep = Annotated["UserDatabase", Depends(_database)]
UpstreamDep = Annotated["Upstream", Depends(_upstream)]
ProcessesDep = Annotated["Processes", Depends(_processes)]
