"""Say who has the port of the dashboard, before anything is set up: exit 2, as Looplab does.

Needs nothing but Python, and takes the options of `looplab`, `LOOPLAB_PORT` and `.env`.
"""

import argparse
import errno
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

sys.path.insert(0, str(Path(__file__).parent.parent))
from control_plane.targets.observation.procfs import owner_of

BAD_INPUT = 2
PATIENCE_S = 2


def main() -> int:
    """Return 2 where the port is another's; 0 too where the options are not understood here."""
    host, port = _asked(sys.argv[1:])
    if not port or not _is_taken(host, port):
        return 0
    print(_refusal(host, port), file=sys.stderr)
    return BAD_INPUT


def _asked(arguments: list[str]) -> tuple[str, int]:
    """Return host and port to listen on; port 0 where none is named, or a command is no server."""
    parser = argparse.ArgumentParser(add_help=False, exit_on_error=False)
    parser.add_argument("-h", "--host", default=_setting("HOST", "127.0.0.1"))
    parser.add_argument("-p", "--port", type=int, default=_setting("PORT", "8200"))
    parser.add_argument("--db")
    parser.add_argument("--config")
    try:
        asked, rest = parser.parse_known_args(arguments)
        is_server = all(word.startswith("-") for word in rest)
        shown = {"--help", "--version"} & {*rest}
        return asked.host, asked.port if is_server and not shown else 0
    except (argparse.ArgumentError, ValueError):
        return "", 0


def _setting(name: str, default: str) -> str:
    """Return a setting of the environment, else of the file `.env`."""
    key = f"LOOPLAB_{name}"
    with suppress(OSError, UnicodeDecodeError):
        for line in Path(".env").read_text("utf-8-sig").splitlines():
            left, _, right = line.partition("=")
            if left.strip().removeprefix("export ").strip().upper() == key:
                default = right.strip().strip("'\"") or default
    return os.environ.get(key) or default


def _is_taken(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            return getattr(error, "errno", None) == errno.EADDRINUSE
    return False


def _refusal(host: str, port: int) -> str:
    where = f"{host}:{port}"
    opener = build_opener(ProxyHandler({}))
    with suppress(OSError, ValueError):
        response = opener.open(f"http://{where}/healthz", None, PATIENCE_S)
        if response.read(100).startswith(b'{"name":"looplab"'):
            return f"Another Looplab is at http://{where}. Open that, or choose another --port."
    owner = owner_of(host, port)
    taken = f"belongs to {owner}" if owner else "is taken"
    return f"Port {where} {taken}. Choose another with --port."


if __name__ == "__main__":
    sys.exit(main())
