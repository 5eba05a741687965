"""Answers one request on each connection and closes it without a word."""

import socket
import sys
import threading

HEAD = b"HTTP/1.1 200 OK\r\n" + (b"Content-Length: 2\r\n" if sys.argv[3] == "length" else b"") + b"\r\nok"


def serve(sock):
    if sock.recv(65536):
        sock.sendall(HEAD)
    sock.close()


listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=128)
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],)).start()
