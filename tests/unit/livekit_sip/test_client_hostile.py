"""A server, or a proxy before it, that answers garbage or means harm."""

import gzip
from dataclasses import replace

import pytest
from aiohttp import web
from livekit.protocol.sip import (
    ListSIPOutboundTrunkRequest,
    ListSIPOutboundTrunkResponse,
    SIPOutboundTrunkInfo,
)

from answering import TRUNK, Answer, Server, answering, listed, on_wire, refusal, reply
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.trunk import OutboundTrunk
from byoc_operator.errors import Stalled, Unavailable
from byoc_operator.livekit_sip.inventory import Inventory


async def test_a_created_object_without_id_is_no_success(server: Server) -> None:
    server.answer = lambda _: reply(SIPOutboundTrunkInfo())
    with pytest.raises(Unavailable) as lost:
        await server.client().create(replace(TRUNK, id="ST_stale"))
    assert lost.value.outcome_unknown


async def test_a_redirect_that_loses_the_request_is_told(server: Server) -> None:
    async def answer(request: web.Request) -> web.Response:
        if request.path == "/elsewhere":
            return await reply(ListSIPOutboundTrunkResponse())
        raise web.HTTPMovedPermanently("/elsewhere")

    server.answer = answer
    error = await refusal(server.client())
    assert isinstance(error, Stalled)
    assert error.reason == "LiveKitMisconfigured"


def listing(*items: bytes) -> Answer:
    """A list of these objects, whatever bytes they are; after the first page there is no more."""

    async def answer(request: web.Request) -> web.Response:
        asked = ListSIPOutboundTrunkRequest.FromString(await request.read())
        body = b"" if asked.page.after_id else b"".join(on_wire(item) for item in items)
        return web.Response(body=body, content_type="application/protobuf")

    return answer


async def test_an_object_that_cannot_be_read_hides_no_other_and_is_told_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    bad = b"\x0a\x07ST_\x1b[2J"
    server.answer = listing(listed("ST_1"), listed("ST_bad") + b"\x72\x01\xff", bad, listed("ST_2"))
    client = server.client()
    for _ in range(3):
        assert [trunk.id for trunk in await client.list_all(OutboundTrunk)] == ["ST_1", "ST_bad", "ST_2"]
    assert client.unreadable == 2
    assert len(caplog.messages) == 1
    assert "ST_bad, ST_\\u{1b}[2J" in caplog.text
    server.answer = listing(listed("ST_1"))
    await client.list_all(OutboundTrunk)
    assert client.unreadable == 0


async def test_an_object_of_ours_without_a_usable_id_is_not_missing(server: Server) -> None:
    owner = Owner("cluster-a", "voice", "main")
    server.answer = listing(listed("ST_/../x", Mark(owner).dump()), listed("ST_/../y"))
    client = server.client()
    (nameless,) = await client.list_all(OutboundTrunk)
    assert nameless.id == ""
    inventory = Inventory(client)
    server.answer = by_method(
        ListSIPOutboundTrunk=listing(listed("ST_/../x", Mark(owner).dump())),
        CreateSIPOutboundTrunk=lambda _: reply(SIPOutboundTrunkInfo(sip_trunk_id="ST_new")),
    )
    await inventory.ensure()
    assert len(inventory.snapshot) == 0
    with pytest.raises(Stalled, match="Delete it in LiveKit"):
        await inventory.create(TRUNK, owner)
    assert (await inventory.create(TRUNK, Owner("cluster-a", "voice", "other"))).id == "ST_new"


def by_method(**answers: Answer) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        method = request.path.rpartition("/")[2]
        return await answers[method](request) if method in answers else await reply(ListSIPOutboundTrunkResponse())

    return answer


async def test_compression_is_not_asked_for_and_a_compressed_reply_is_refused(server: Server) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers["Accept-Encoding"])
        bomb = gzip.compress(b"\x0a\x00" * 10_000_000)
        return web.Response(body=bomb, content_type="application/protobuf", headers={"Content-Encoding": "gzip"})

    server.answer = answer
    assert isinstance(await refusal(server.client()), Unavailable)
    assert asked == ["identity"]


@pytest.mark.parametrize(
    "body",
    [
        '{"code": "invalid_argument", "msg": "' + "x" * 2_000_000 + '"}',
        '{"code": "invalid_argument", "msg": "' + "\\ud800\\u202e\\u001b[2J" * 1000 + '"}',
        '{"code": "invalid_argument", "msg": ' + "[" * 30_000 + "]" * 30_000 + "}",
        '{"code": ["x"], "msg": {"a": "b"}, "meta": 7}',
        "[" * 60_000,
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
    ids=["long", "hidden", "nested", "types", "deep", "latin"],
)
async def test_the_body_of_an_error_is_short_and_printable(server: Server, body: str) -> None:
    server.answer = answering(status=400, body=body.encode(), content_type="application/json")
    error = await refusal(server.client())
    assert len(error.message) < 400
    assert error.message.isprintable()


@pytest.mark.parametrize("header", ["9" * 4000, "-1", "1e9", "nan", "²", "7;\x85", "inf"])
async def test_a_wait_that_makes_no_sense_is_bounded(server: Server, header: str) -> None:
    server.answer = answering(status=429, headers={"Retry-After": header})
    error = await refusal(server.client())
    assert isinstance(error, Unavailable)
    assert error.retry_after_s in (None, 3600.0)
