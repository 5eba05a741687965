"""Every strategy where no local port is left, in a network namespace of its own.

`unshare --map-root-user --net python -m tests.load.portless STRATEGY...` prints a JSON object: by
strategy what the fault driver prints.
"""

import json
import socket
import subprocess
import sys
from pathlib import Path

from tests.load.hostile import hostile_server

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
PORT = 40_000


def main(strategies: list[str]) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with hostile_server() as server:
        RANGE.write_text(f"{PORT} {PORT}")
        # Whoever holds the only port leaves none for others.
        with socket.create_connection(("127.0.0.1", server.port)):
            command = [sys.executable, "-m", "tests.load.fault_driver"]
            driven = {
                name: subprocess.Popen([*command, name, server.url, "ok"], stdout=subprocess.PIPE)
                for name in strategies
            }
            results = {
                name: json.loads(process.communicate()[0]) for name, process in driven.items()
            }
    sys.stdout.write(json.dumps({name: found["ok"] for name, found in results.items()}))


if __name__ == "__main__":
    main(sys.argv[1:])
