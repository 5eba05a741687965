async def app(scope, receive, send):
    if scope["type"] == "http":
        raise ValueError("every request fails")
