"""A real database, through an awaited session, and through a blocking one in two places."""

from typing import Annotated

from fastapi import HTTPException
from pydantic import BaseModel, EmailStr, Field

from target_app.resources import DatabaseDep
from target_app.workload_router import Ready, WorkloadRouter

NEW_USER = Ready(
    {"name": {"kind": "uuid"}},
    {"json": {"email": "{name}@example.com", "full_name": "User {name}"}},
)

# The bound also refuses half a surrogate pair, which no answer could carry.
Name = Annotated[str, Field(max_length=200)]

workload = WorkloadRouter("users", "SQLite with 1,000 users, read and written.", opens=["database"])


class Person(BaseModel):
    email: EmailStr
    full_name: Name


def seeded_user(before: str) -> Ready:
    """Return a request for any user that is there from the start; its e-mail ends the path."""
    number = {"kind": "integer", "low": 1, "high": 1000}
    return Ready({"number": number}, path=before + "user{number}@example.com")


def found(user: object, email: str) -> Person:
    """Return the user as it is answered; 404 for None."""
    if user is None:
        raise HTTPException(404, f"There is no user {email}.")
    return Person.model_validate(user, from_attributes=True)


def added(user: object, email: str) -> Person:
    """Return the new user as it is answered; 409 for None."""
    if user is None:
        raise HTTPException(409, f"There is a user {email} already.")
    return Person.model_validate(user, from_attributes=True)


@workload.serve("POST", "/users/", status_code=201, ready=NEW_USER)
async def add_user(person: Person, database: DatabaseDep) -> Person:
    """Awaits the commit."""
    return added(await database.add(person.email, person.full_name), person.email)


@workload.serve("GET", "/users/{email}", ready=seeded_user("/users/"))
async def find_user(email: str, database: DatabaseDep) -> Person:
    """Awaits the look-up."""
    return found(await database.find(email), email)


@workload.serve("POST", "/users/thread/", status_code=201, ready=NEW_USER)
def add_user_in_thread(person: Person, database: DatabaseDep) -> Person:
    """Commits through a synchronous session in a thread of the pool."""
    return added(database.add_blocking(person.email, person.full_name), person.email)


@workload.serve("GET", "/users/thread/{email}", ready=seeded_user("/users/thread/"))
def find_user_in_thread(email: str, database: DatabaseDep) -> Person:
    """Looks up through a synchronous session in a thread of the pool."""
    return found(database.find_blocking(email), email)


@workload.serve("POST", "/users/blocking/", status_code=201, ready=NEW_USER)
async def add_user_blocking(person: Person, database: DatabaseDep) -> Person:
    """Commits through a synchronous session on the event loop: the bad example."""
    return added(database.add_blocking(person.email, person.full_name), person.email)


@workload.serve("GET", "/users/blocking/{email}", ready=seeded_user("/users/blocking/"))
async def find_user_blocking(email: str, database: DatabaseDep) -> Person:
    """Looks up through a synchronous session on the event loop: the bad example."""
    return found(database.find_blocking(email), email)
