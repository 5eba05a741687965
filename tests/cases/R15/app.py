"""An application that is served by TLS."""


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


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await life(receive, send)
        return
    await answer(send)
