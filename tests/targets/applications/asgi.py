"""The least that makes an ASGI application: answers by path, a lifespan that does nothing."""

import json


def application(answers):
    """`answers` maps paths to functions without arguments whose results are answered as JSON."""

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        answer = answers.get(scope["path"], lambda: "here")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer()).encode()})

    return app


async def lifespan(receive, send):
    while True:
        kind = (await receive())["type"]
        await send({"type": f"{kind}.complete"})
        if kind == "lifespan.shutdown":
            return
