"""Concurrent requests to a slow API server."""

import asyncio

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from byoc_operator.api.resource import Key
from byoc_operator.cluster.api import CONNECTIONS, OWN_CONNECTIONS, ClusterApi
from byoc_operator.cluster.events import Events
from byoc_operator.cluster.lease import LeaseApi
from byoc_operator.cluster.numbers import NumberApi


async def test_objects_that_take_for_ever_do_not_keep_the_lease_from_being_read() -> None:
    over, most = asyncio.Event(), 0

    async def slow(_request: web.Request) -> web.Response:
        nonlocal most
        most += 1
        await over.wait()
        return web.json_response({}, status=404)

    async def lease(_request: web.Request) -> web.Response:
        return web.json_response({"metadata": {"resourceVersion": "7"}, "spec": {"holderIdentity": "a"}})

    app = web.Application()
    app.add_routes([web.get("/apis/coordination.k8s.io/{rest:.*}", lease), web.get("/{rest:.*}", slow)])
    async with TestServer(app) as server, asyncio.timeout(20):
        configuration = Configuration(
            host=str(server.make_url("")).rstrip("/"),
            connection_pool_maxsize=CONNECTIONS + sum(OWN_CONNECTIONS.values()),
        )
        api = ClusterApi(ApiClient(configuration), lambda *_: None)
        asked = [NumberApi(api, ()).get(Key("voice", f"n{count}")) for count in range(2 * CONNECTIONS)]
        waiting = asyncio.gather(*asked)
        while most < CONNECTIONS:  # noqa: ASYNC110 - the other side is no task of ours
            await asyncio.sleep(0.01)
        held = await LeaseApi(api, "byoc-system", "byoc-operator").read()
        assert held is not None
        assert held.holder == "a"
        assert most == CONNECTIONS
        over.set()
        assert await waiting == [None] * (2 * CONNECTIONS)
        await api.close()


async def test_an_event_that_is_held_up_keeps_no_object_from_being_read() -> None:
    over, held, at_once = asyncio.Event(), asyncio.Event(), 0

    async def event(_request: web.Request) -> web.Response:
        held.set()
        await over.wait()
        return web.json_response({})

    async def number(_request: web.Request) -> web.Response:
        nonlocal at_once
        at_once += 1
        await over.wait()
        return web.json_response({}, status=404)

    app = web.Application()
    app.add_routes([web.post("/apis/events.k8s.io/{rest:.*}", event), web.get("/{rest:.*}", number)])
    async with TestServer(app) as server, asyncio.timeout(20):
        most = CONNECTIONS + sum(OWN_CONNECTIONS.values())
        configuration = Configuration(host=str(server.make_url("")).rstrip("/"), connection_pool_maxsize=most)
        api = ClusterApi(ApiClient(configuration), lambda *_: None)
        events = Events(api, "operator-1", lambda _: None)
        posting = asyncio.create_task(events.run())
        events.about_key(Key("voice", "main"), "Unreadable", "Read", "it is garbled")
        await held.wait()
        reading = asyncio.gather(*(NumberApi(api, ()).get(Key("voice", f"n{count}")) for count in range(CONNECTIONS)))
        while at_once < CONNECTIONS:  # noqa: ASYNC110 - the other side is no task of ours
            await asyncio.sleep(0.01)
        over.set()
        assert await reading == [None] * CONNECTIONS
        posting.cancel()
        await api.close()
