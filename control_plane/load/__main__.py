"""`python -m control_plane.load [CORES]`: one load worker.

Reads a plan and then the common start, one line each, from standard input, and writes messages to
standard output. CORES are numbers with commas between. It ends with its input.
"""

import gc
import os
import sys

from control_plane.load import watchdog

if __name__ == "__main__":
    gc.disable()
    # aiohttp reads the certificates of the machine twice when it is imported; here none counts.
    os.environ["SSL_CERT_FILE"] = os.devnull
    # The imports of a worker last long enough for its parent to die meanwhile.
    watchdog.die_with_parent()
    from control_plane.load import worker

    sys.excepthook = worker.exit_with_traceback
    worker.main(sys.argv[1:])
    os._exit(0)
