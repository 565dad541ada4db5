"""A small LiveKit that answers as told, for every test that wants one."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from answering import Server


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    state = Server()

    async def handle(request: web.Request) -> web.StreamResponse:
        state.tokens.append(request.headers.get("Authorization", "").removeprefix("Bearer "))
        return await state.answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    async with TestServer(app) as running:
        state.url = str(running.make_url("/"))
        yield state
        for client in state.clients:
            await client.aclose()
