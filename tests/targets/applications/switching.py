UPGRADE = [(b"connection", b"upgrade"), (b"upgrade", b"other"), (b"content-length", b"0")]


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 101, "headers": UPGRADE})
        await send({"type": "http.response.body", "body": b""})
