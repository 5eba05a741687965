"""Tells about its own process, and does what it is asked to."""

import os
import sys

from asgi import application  # type: ignore[import-not-found]  # lies beside it when served


def print_much():
    sys.stdout.writelines(
        f"line {number} of a server that prints a lot\n" for number in range(200_000)
    )
    sys.stdout.flush()
    return os.getpid()


app = application(
    {
        "/environment": lambda: dict(os.environ),
        "/cores": lambda: sorted(os.sched_getaffinity(0)),
        "/pid": os.getpid,
        "/exit": lambda: os._exit(0),
        "/print": print_much,
    }
)
