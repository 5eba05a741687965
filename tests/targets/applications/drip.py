"""Gets ready like any other; from its third answer on, each drips for ever."""

import asyncio

answers = iter(range(2))


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    dripping = next(answers, None) is None
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while dripping:
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        await asyncio.sleep(0.05)
    await send({"type": "http.response.body", "body": b""})
