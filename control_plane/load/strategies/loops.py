"""The event loop that the spec asks for."""

import asyncio

import uvloop

from control_plane.domain.spec import Client


def new_loop(client: Client) -> asyncio.AbstractEventLoop:
    return uvloop.new_event_loop() if client.loop == "uvloop" else asyncio.new_event_loop()
