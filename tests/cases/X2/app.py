import asyncio


async def answer(send, status=200, body=b"ok", headers=()):
    await send({"type": "http.response.start", "status": status,
                "headers": [(b"content-length", str(len(body)).encode()), *headers]})
    await send({"type": "http.response.body", "body": body})


async def life(receive, send):
    while True:
        kind = (await receive())["type"]
        await send({"type": kind + ".complete"})
        if kind.endswith("shutdown"):
            return


async def chunked(send, status, parts):
    await send({"type": "http.response.start", "status": status, "headers": []})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await life(receive, send)
    if scope["path"] == "/items":
        return await answer(send, 307, b"", [(b"location", b"/items/")])
    if scope["path"] == "/long":
        return await answer(send, 500, b"x" * 300_000)
    if scope["path"] == "/chunked":
        return await chunked(send, 503, [b"not ", b"today"])
    if scope["path"] == "/told":
        key = dict(scope["headers"]).get(b"x-api-key", b"key")
        body = b'{"detail":"no ' + key + b'"}'
        return await answer(send, 401, body, [(b"set-cookie", b"session=abc123456")])
    if scope["path"] == "/asleep":
        await asyncio.sleep(5)
    await answer(send)
