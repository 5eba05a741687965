"""A simulated database of five films whose look-up takes 200 to 300 ms, asked in each way."""

import asyncio
import random
import time
from typing import Annotated

from fastapi import BackgroundTasks, HTTPException, Path
from pydantic import BaseModel

from target_app.resources import SettingsDep
from target_app.workload_router import Ready, WorkloadRouter

FILMS = {
    1: "Metropolis",
    2: "Modern Times",
    3: "The Third Man",
    4: "Seven Samurai",
    5: "Playtime",
}
SHORTEST_S, LONGEST_S = 0.2, 0.3
ANY_FILM = Ready({"id": {"kind": "integer", "low": 1, "high": 5}})

FilmId = Annotated[int, Path(alias="id")]

workload = WorkloadRouter("movies", "A simulated database: five films, each look-up 200 to 300 ms.")


class Movie(BaseModel):
    id: int
    movie: str


async def look_up(film: int) -> Movie:
    """Return a film after a wait in which the event loop serves others."""
    await asyncio.sleep(random.uniform(SHORTEST_S, LONGEST_S))
    return _movie(film)


def look_up_blocking(film: int) -> Movie:
    """Return a film after a wait in which the calling thread does nothing else."""
    lasts_s = random.uniform(SHORTEST_S, LONGEST_S)
    time.sleep(lasts_s)
    return _movie(film)


def _movie(film: int) -> Movie:
    if film not in FILMS:
        raise HTTPException(404, f"There is no film {film}; use 1 to {len(FILMS)}.")
    return Movie(id=film, movie=FILMS[film])


@workload.serve("GET", "/ping")
async def ping() -> dict[str, str]:
    """Answers at once, whatever the look-ups do, unless the event loop is blocked."""
    return {"ping": "pong"}


@workload.serve("GET", "/movies/{id}", aliases=["/movie/{id}"], ready=ANY_FILM)
async def movie_awaited(film: FilmId) -> Movie:
    """Awaits the look-up."""
    return await look_up(film)


@workload.serve("GET", "/movies/sync/{id}", aliases=["/sync-movie/{id}"], ready=ANY_FILM)
async def movie_blocking(film: FilmId) -> Movie:
    """Blocks the event loop for the whole look-up: the mistake that this workload shows."""
    return look_up_blocking(film)


@workload.serve("GET", "/movies/thread/{id}", ready=ANY_FILM)
def movie_in_thread(film: FilmId) -> Movie:
    """Blocks a thread of the pool for the whole look-up."""
    return look_up_blocking(film)


@workload.serve("GET", "/movies/with-log/{id}", aliases=["/movie_with_log/{id}"], ready=ANY_FILM)
async def movie_with_log(film: FilmId, tasks: BackgroundTasks, settings: SettingsDep) -> Movie:
    """Awaits the look-up, answers, then awaits a log entry of `log_s`."""
    tasks.add_task(asyncio.sleep, settings.log_s)
    return await look_up(film)


@workload.serve("GET", "/movies/inline-log/{id}", ready=ANY_FILM)
async def movie_with_inline_log(film: FilmId, settings: SettingsDep) -> Movie:
    """Awaits the look-up and a log entry of `log_s`, then answers."""
    movie = await look_up(film)
    await asyncio.sleep(settings.log_s)
    return movie


@workload.serve("GET", "/movies/with-blocking-log/{id}", ready=ANY_FILM)
async def movie_with_blocking_log(
    film: FilmId, tasks: BackgroundTasks, settings: SettingsDep
) -> Movie:
    """Awaits the look-up, answers, then keeps a thread of the pool for `log_s`."""
    tasks.add_task(time.sleep, settings.log_s)
    return await look_up(film)
