import asyncio


async def app(scope, receive, send):
    if scope["type"] == "http":
        await asyncio.sleep(60)
