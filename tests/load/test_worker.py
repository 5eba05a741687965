import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from control_plane.domain.errors import ClientFailed
from control_plane.load import worker


def soft_limit_after(soft: int, hard: int, connections: int) -> int | str:
    """In a process of its own, because a hard limit cannot be raised again."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        worker.raise_file_limit(connections)
    except ClientFailed as error:
        return str(error)
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


@pytest.mark.parametrize(
    ("soft", "hard", "connections", "expected"),
    [(256, 1_024, 100, 256), (256, 1_024, 500, 564), (256, 564, 500, 564)],
)
def test_the_soft_limit_is_raised_as_needed(
    soft: int, hard: int, connections: int, expected: int
) -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as processes:
        found = processes.submit(soft_limit_after, soft, hard, connections).result()
    assert found == expected


def test_the_hard_limit_is_named() -> None:
    with ProcessPoolExecutor(1, get_context("spawn")) as processes:
        found = processes.submit(soft_limit_after, 256, 300, 500).result()
    assert found == (
        "client: 500 connections need 564 open files, the limit is 300: "
        "raise it (ulimit -n 564) or use fewer"
    )
