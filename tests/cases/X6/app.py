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


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await life(receive, send)
    await answer(send)
    return None
