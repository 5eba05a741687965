"""Logins as Django and FastAPI have them, a cookie that every answer replaces, and ids used up."""

import json
import os
import secrets
import sys
from http.cookies import SimpleCookie
from urllib.parse import parse_qs

TOKENS: dict[str, str] = {}
SESSIONS: dict[str, str] = {}
TURNS: set[str] = set()
SEEN: set[str] = set()


async def answer(send, status=200, body=None, *headers):
    content = json.dumps(body).encode()
    await send(
        {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-length", b"%d" % len(content)), *headers],
        }
    )
    await send({"type": "http.response.body", "body": content})


def cookie(name, value, rest="Path=/; HttpOnly"):
    return b"set-cookie", f"{name}={value}; {rest}".encode()


def good(sent):
    user, password = sent.get("username", [""])[0], sent.get("password", [""])[0]
    return user if user and password == f"secret-of-{user}" else ""


async def form(scope, send, body, cookies):
    if scope["method"] == "GET":
        token = secrets.token_hex(32)
        await answer(send, 200, "log in", cookie("csrftoken", token, "Path=/; Max-Age=31449600"))
        return
    sent = parse_qs(body)
    if sent.get("csrfmiddlewaretoken") != [cookies.get("csrftoken")]:
        await answer(send, 403, "CSRF verification failed.")
        return
    if user := good(sent):
        SESSIONS[session := secrets.token_hex(16)] = user
        await answer(send, 302, "in", (b"location", b"/me"), cookie("sessionid", session))
        return
    await answer(send, 200, "wrong password")


async def token(scope, send, body, cookies):
    if not (user := good(parse_qs(body))):
        await answer(send, 401, {"detail": f"not {parse_qs(body)}"})
        return
    TOKENS[made := secrets.token_urlsafe(24)] = user
    sys.stdout.write(f"issued {made}\n")
    sys.stdout.flush()
    await answer(send, 200, {"access_token": made, "token_type": "bearer"})


async def me(scope, send, body, cookies):
    bearer = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
    user = TOKENS.get(bearer) or SESSIONS.get(cookies.get("sessionid"))
    await answer(send, 200 if user else 401, {"user": user, "sent": bearer})


async def turn(scope, send, body, cookies):
    """Answer 200 to whoever has the cookie of its last answer, and only once."""
    held = cookies.get("turn")
    if held is not None and held not in TURNS:
        await answer(send, 409, "an old cookie")
        return
    TURNS.discard(held)
    TURNS.add(made := secrets.token_hex(16))
    await answer(send, 200, "next", cookie("turn", made, "Path=/turn; Secure"))


async def environment(scope, send, body, cookies):
    await answer(send, 500, os.environ["SHOP_PASSWORD"])


async def once(scope, send, body, cookies):
    again = scope["path"] in SEEN
    SEEN.add(scope["path"])
    await answer(send, 409 if again else 200, scope["path"])


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": kind + ".complete"})
            if kind.endswith("shutdown"):
                return
    body = (await receive()).get("body", b"").decode()
    headers = dict(scope["headers"])
    cookies = {
        name: found.value
        for name, found in SimpleCookie(headers.get(b"cookie", b"").decode()).items()
    }
    place = scope["path"].strip("/").partition("/")[0]
    pages = {"form": form, "token": token, "me": me, "turn": turn, "once": once}
    pages |= {"environment": environment}
    await pages.get(place, once if place else answer_root)(scope, send, body, cookies)


async def answer_root(scope, send, body, cookies):
    await answer(send, 200, "shop")
