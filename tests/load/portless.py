"""Every strategy where no local port is left, in a network namespace of its own.

`unshare --map-root-user --net python -m tests.load.portless STRATEGY...` prints a JSON object: by
strategy what the fault driver prints.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from tests.load.fault_driver import drive
from tests.load.hostile import hostile_server

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
PORT = 40_000


def main(strategies: list[str]) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with hostile_server() as server:
        RANGE.write_text(f"{PORT} {PORT}")
        # Whoever holds the only port leaves none for others.
        with socket.create_connection(("127.0.0.1", server.port)):
            driven = {name: drive(name, server.url, "ok") for name in strategies}
    sys.stdout.write(json.dumps(driven))
    sys.stdout.flush()
    # Clients that were never closed have nothing to say about it.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
