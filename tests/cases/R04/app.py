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


N = [0]


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await life(receive, send)
    N[0] += 1
    bad = {"/404": True, "/half": N[0] % 2 == 0, "/few": N[0] % 300 == 0}.get(scope["path"], False)
    await answer(send, 404 if bad else 200)
    return None
