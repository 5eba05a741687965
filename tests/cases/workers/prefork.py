"""A server that keeps workers by forks of its own, each for LIMIT connections, and says who ended.

With `serving` its first process serves beside them.
"""

import os
import socket
import sys

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
WORKERS = 2


def serve(listener, limit):
    for _ in range(limit):
        connection, _ = listener.accept()
        connection.recv(65536)
        connection.sendall(ANSWER)
        connection.close()


def start(listener, limit):
    if os.fork() == 0:
        serve(listener, limit)
        os._exit(0)


listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=256)
limit = int(sys.argv[3])
for _ in range(WORKERS):
    start(listener, limit)
while True:
    os.wait()
    os.write(1, b"a worker ended\n")
    start(listener, limit)
