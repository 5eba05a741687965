"""An application that answers 200 only to the paths that it was asked for as they are written."""

from pathlib import Path


async def answer(send, status=200, body=b"ok", headers=()):
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", str(len(body)).encode()), *headers],
        }
    )
    await send({"type": "http.response.body", "body": body})


async def life(receive, send):
    while True:
        kind = (await receive())["type"]
        await send({"type": kind + ".complete"})
        if kind.endswith("shutdown"):
            return


GOOD = {
    b"/f/%7Euser",
    b"/f/a%2cb",
    b"/a/../b",
    b"/a/./b",
    b"/a//b",
    b"/f?x=%41&y=[1]",
    b"/f?sig=a%2Bb",
    b"/f/%C3%A4",
    b"/",
}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await life(receive, send)
        return
    raw = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    if raw not in GOOD:
        with Path("strange.txt").open("a") as strange:
            strange.write(f"{raw!r}\n")
    await answer(send, 200 if raw in GOOD else 404)
