"""`looplab`, which is `python -m control_plane`."""

import gc

_NEW_OBJECTS = 20_000
"""Imports make objects by the hundred thousand and no garbage: looking for some among every 700 of
them, and among all at the exit, would be a third of a command's work."""


def main() -> None:
    """Run the command line."""
    gc.set_threshold(_NEW_OBJECTS)
    try:
        from control_plane import cli

        cli.main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
