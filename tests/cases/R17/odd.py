"""Other ways of not answering: half a body, a few slow ones, none at first."""

import asyncio

from app import answer, life

STARTED = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await life(receive, send)
    STARTED.append(scope["path"])
    number = len(STARTED)
    if scope["path"] == "/half" and number % 20 == 0:
        head = [(b"content-length", b"1000")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"half"})
        return
    if scope["path"] == "/cold" and number <= 40:
        return await answer(send, 503)
    if scope["path"] == "/stuck" and number in {50, 100, 150, 200}:
        await asyncio.sleep(60)
    if scope["path"] == "/never":
        await asyncio.sleep(60)
    if scope["path"] == "/last" and STARTED.count("/last") == 60:
        await asyncio.sleep(60)
    if scope["path"] == "/hangs" and number > 200:
        await asyncio.sleep(60)
    if scope["path"] in {"/slow", "/stuck"}:
        await asyncio.sleep(0.05)
    await answer(send)
