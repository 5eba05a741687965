"""A process that makes children as it is told: `python forking.py PORT`, a line for each on stdin.

`fork` makes a copy that waits; SIGUSR1 turns it into `sleep`. `listen` makes a copy that listens
at PORT beside others that do; `hold` lets the parent listen there. Each prints its pid when done.
"""

import os
import signal
import socket
import sys

signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
listeners = []
for line in sys.stdin:
    verb = line.strip()
    is_child = verb != "hold" and not os.fork()
    if verb != "fork" and is_child == (verb == "listen"):
        address = ("127.0.0.1", int(sys.argv[1]))
        listeners.append(socket.create_server(address, reuse_port=True))
    if is_child or verb == "hold":
        sys.stdout.write(f"{os.getpid()}\n")
        sys.stdout.flush()
    if is_child:
        signal.sigwait([signal.SIGUSR1])
        os.execvp("sleep", ["sleep", "60"])
