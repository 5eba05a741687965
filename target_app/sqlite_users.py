"""The users in SQLite, through an asynchronous and a synchronous engine on the same file."""

import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import create_engine, event, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, sessionmaker

SEEDED_USERS = 1000
CONNECTIONS = 20
BUSY_TIMEOUT_MS = 30_000


class Base(DeclarativeBase):
    """Holds the tables of the database."""


class User(Base):
    """A row of the table that the workloads read and write."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    full_name: Mapped[str]


class UserDatabase:
    """Adds and finds users, awaited and blocking. Both engines have `CONNECTIONS` connections."""

    def __init__(self, path: Path) -> None:
        pool = {"pool_size": CONNECTIONS, "max_overflow": 0}
        self._async_engine = create_async_engine(f"sqlite+aiosqlite:///{path}", **pool)
        self._engine = create_engine(f"sqlite:///{path}", **pool)
        for engine in (self._async_engine.sync_engine, self._engine):
            event.listen(engine, "connect", _set_up_connection)
        self._async_sessions = async_sessionmaker(self._async_engine, expire_on_commit=False)
        self._sessions = sessionmaker(self._engine, expire_on_commit=False)

    async def add(self, email: str, full_name: str) -> User | None:
        """Store a user; return it, or None when the e-mail is taken."""
        user = User(email=email, full_name=full_name)
        async with self._async_sessions() as session:
            session.add(user)
            try:
                await session.commit()
            except IntegrityError:
                return None
        return user

    async def find(self, email: str) -> User | None:
        """Return the user with that e-mail, or None."""
        async with self._async_sessions() as session:
            return await session.scalar(select(User).where(User.email == email))

    def add_blocking(self, email: str, full_name: str) -> User | None:
        """Do what `add` does; the calling thread waits for the disk."""
        user = User(email=email, full_name=full_name)
        with self._sessions() as session:
            session.add(user)
            try:
                session.commit()
            except IntegrityError:
                return None
        return user

    def find_blocking(self, email: str) -> User | None:
        """Do what `find` does; the calling thread waits for the disk."""
        with self._sessions() as session:
            return session.scalar(select(User).where(User.email == email))

    def seed(self) -> None:
        """Create the table with user1@example.com and the next ones, unless it has rows."""
        Base.metadata.create_all(self._engine)
        numbers = range(1, SEEDED_USERS + 1)
        rows = [{"email": f"user{n}@example.com", "full_name": f"User {n}"} for n in numbers]
        with self._sessions.begin() as session:
            if session.scalar(select(func.count(User.id))) == 0:
                session.execute(insert(User), rows)

    async def close(self) -> None:
        """Close the connections of both engines."""
        await self._async_engine.dispose()
        self._engine.dispose()


@asynccontextmanager
async def open_database(directory: Path | None) -> AsyncIterator[UserDatabase]:
    """Open the database in `directory`, or in a temporary one that is removed at the end."""
    with _folder(directory) as folder:
        database = UserDatabase(folder / "users.db")
        with _one_worker_at_a_time(folder / "users.lock"):
            database.seed()
        try:
            yield database
        finally:
            await database.close()


@contextmanager
def _folder(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory
        return
    with TemporaryDirectory(prefix="looplab-target-") as temporary:
        yield Path(temporary)


@contextmanager
def _one_worker_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _set_up_connection(connection: Any, _record: object) -> None:
    """Let readers and the one writer not wait for each other; a second writer waits its turn."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={BUSY_TIMEOUT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
