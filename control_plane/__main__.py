"""`looplab`, which is `python -m control_plane`."""

import gc

from control_plane import NEW_OBJECTS


def main() -> None:
    """Run the command line, and look for no garbage at its end."""
    gc.set_threshold(NEW_OBJECTS)
    try:
        from control_plane import cli

        cli.main()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
