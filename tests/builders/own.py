"""An application outside the project, with a virtual environment of its own."""

import json
import sys
import sysconfig
import venv
from pathlib import Path
from typing import Any

APPLICATION = """
import os

from fastapi import FastAPI

app = FastAPI()


@app.get("/items/{item_id}")
def item(item_id: int) -> dict[str, int]:
    return {"item_id": item_id}


@app.get("/seen")
def seen() -> dict[str, str]:
    return dict(os.environ)


@app.get("/prefix")
def prefix() -> str:
    import sys
    return sys.prefix


@app.post("/items/")
def add(name: str) -> str:
    return name


def make() -> FastAPI:
    return app
"""

SERVER = """
import http.server
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
"""


def environment(folder: Path, *, packages: bool = True) -> Path:
    """The interpreter of a new environment, which sees our packages by a .pth file or none."""
    venv.create(folder, symlinks=True)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    if packages:
        ours = sysconfig.get_path("purelib")
        (site / "site-packages" / "ours.pth").write_text(ours)
    return folder / "bin" / "python"


BARE = """
import asyncio
import time


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind.endswith("shutdown"):
                return
    path, _, seconds = scope["path"][1:].partition("/")
    if path == "wait":
        await asyncio.sleep(float(seconds))
    if path == "block":
        time.sleep(float(seconds))
    status = 404 if path == "missing" else 200
    length = (b"content-length", b"2")
    await send({"type": "http.response.start", "status": status, "headers": [length]})
    await send({"type": "http.response.body", "body": b"ok"})
"""


def bare(folder: Path) -> dict[str, str]:
    """bare.py, and looplab.toml for it; return the target: an application that starts soon."""
    (folder / "bare.py").write_text(BARE)
    (folder / "looplab.toml").write_text('[applications.bare]\napp = "bare:app"\n')
    return {"application": "bare"}


def bare_project(folder: Path) -> None:
    """bare.py, and an environment in `lean` that has uvicorn without uvloop and httptools."""
    (folder / "bare.py").write_text(BARE)
    environment(folder / "lean", packages=False)
    site = next((folder / "lean" / "lib").glob("python*")) / "site-packages"
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name.partition("-")[0] in {"uvicorn", "h11", "click"}:
            (site / path.name).symlink_to(path)


def project(folder: Path) -> Path:
    """shop.py, served by import string, and server.py, by its command; looplab.toml for both."""
    folder.mkdir(exist_ok=True)
    environment(folder / "env")
    (folder / "shop.py").write_text(APPLICATION)
    (folder / "server.py").write_text(SERVER)
    settings = folder / "looplab.toml"
    settings.write_text(
        entry("shop", ready_path="/prefix", environment=["SHOP_KEY", "SHOP_MODE=fast"])
        + entry("plain", command="python server.py {host} {port}", python="env/bin/python")
    )
    return settings


def entry(name: str, **keys: Any) -> str:
    """Of looplab.toml: shop.py in its environment, or what `keys` say instead."""
    shop = {} if "command" in keys else {"app": "shop:app", "python": "env/bin/python"}
    # Strings, numbers and lists are written alike in JSON and in TOML.
    lines = [f"{key} = {json.dumps(value)}" for key, value in (shop | keys).items()]
    return "\n".join(["", f"[applications.{name}]", *lines, ""])
