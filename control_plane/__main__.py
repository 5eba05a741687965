"""`looplab`, which is `python -m control_plane`."""

import gc
import os
import resource
import sys

NEEDED_BYTES = 500 * 2**20
"""Of addresses: with less, imports fail anywhere, and threads cannot start."""


def main() -> None:
    """Run the command line, and look for no garbage while it starts and at its end."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < NEEDED_BYTES:
        needed = f"Looplab needs {NEEDED_BYTES >> 10}, so raise it"
        sys.exit(f"The limit of memory (ulimit -v) is {limit >> 10} kB: {needed}.")
    gc.disable()
    # Looking for plugins reads what every installed package says of itself.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from control_plane import cli

        cli.main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
