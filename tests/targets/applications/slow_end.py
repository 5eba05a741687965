"""Takes a second to end in order, and says when it has."""

import time

from asgi import application, lifespan  # type: ignore[import-not-found]  # lies beside it


async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        await application({})(scope, receive, send)
        return
    await lifespan(receive, send)
    time.sleep(1)
    print("ended in order", flush=True)  # noqa: T201 - the test reads it
