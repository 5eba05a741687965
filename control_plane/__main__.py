"""`python -m control_plane` is `looplab`."""

from control_plane.cli import main

if __name__ == "__main__":
    main()
