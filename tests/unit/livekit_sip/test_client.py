"""The client against a small server that answers as told."""

import asyncio
import contextlib
import gzip
import itertools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from google.protobuf.message import Message
from livekit.protocol.sip import (
    CreateSIPDispatchRuleRequest,
    ListSIPDispatchRuleRequest,
    ListSIPDispatchRuleResponse,
    ListSIPOutboundTrunkRequest,
    ListSIPOutboundTrunkResponse,
    SIPDispatchRuleInfo,
    SIPOutboundTrunkInfo,
)
from pydantic import SecretStr

from byoc_operator.core.masking import make_mask
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.trunk import DispatchRule, Kind, OutboundTrunk
from byoc_operator.errors import OperatorError, Stalled, Unavailable
from byoc_operator.livekit_sip import client as client_module
from byoc_operator.livekit_sip import session
from byoc_operator.livekit_sip.client import LiveKitClient
from byoc_operator.livekit_sip.inventory import Inventory
from byoc_operator.livekit_sip.session import Endpoint, is_cloud

MASK = make_mask(secrets.token_bytes(32))
SECRET = "a secret that is longer than 32 characters"
TRUNK = OutboundTrunk("out", "{}", "sip.example.com", "TLS", ("+15550100000",), MASK("user"), MASK("pass"))
RULE = DispatchRule("rule", ("ST_a", "ST_b"), "call-", "agent", "{}")

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """`answer` handles every request; `tokens` and `calls` are what it was sent and what the client reported."""

    url: str = ""
    answer: Answer = field(default=lambda _: reply(ListSIPOutboundTrunkResponse()))
    tokens: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, float]] = field(default_factory=list)
    now_s: float = 0.0
    clients: list[LiveKitClient] = field(default_factory=list)

    def client(self, **changes: Any) -> LiveKitClient:
        endpoint = replace(Endpoint(self.url, "key", SecretStr(SECRET), timeout_s=5), **changes)
        client = LiveKitClient(endpoint, MASK, lambda *call: self.calls.append(call), lambda: self.now_s)
        self.clients.append(client)
        return client


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


async def reply(message: Message) -> web.Response:
    return web.Response(body=message.SerializeToString(), content_type="application/protobuf")


def answering(**response: Any) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(**response)

    return answer


async def refusal(client: LiveKitClient) -> OperatorError:
    with pytest.raises(OperatorError) as refused:
        await client.list_outbound_trunks()
    return refused.value


def paging(ids: list[str], size: int, seen: list[str]) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        asked = ListSIPOutboundTrunkRequest.FromString(await request.read())
        seen.append(asked.page.after_id)
        page = [each for each in ids if each > asked.page.after_id][:size]
        return await reply(
            ListSIPOutboundTrunkResponse(items=[SIPOutboundTrunkInfo(sip_trunk_id=each) for each in page])
        )

    return answer


async def test_pages_are_read_until_an_empty_one(server: Server) -> None:
    seen: list[str] = []
    server.answer = paging(["ST_1", "ST_2", "ST_3"], 2, seen)
    listed = await server.client(paged=True).list_outbound_trunks()
    assert [trunk.id for trunk in listed] == ["ST_1", "ST_2", "ST_3"]
    assert seen == ["", "ST_2", "ST_3"]


async def test_a_server_without_pages_is_asked_once(server: Server) -> None:
    seen: list[str] = []
    server.answer = paging(["ST_1", "ST_2"], 2, seen)
    assert len(await server.client().list_outbound_trunks()) == 2
    assert seen == [""]


async def test_a_server_that_ignores_pages_does_not_keep_us_for_ever(server: Server) -> None:
    items = [SIPOutboundTrunkInfo(sip_trunk_id="ST_1"), SIPOutboundTrunkInfo()]
    server.answer = lambda _: reply(ListSIPOutboundTrunkResponse(items=items))
    listed = await server.client(paged=True).list_outbound_trunks()
    assert [trunk.id for trunk in listed] == ["ST_1"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("wss://voice.livekit.cloud", True),
        ("https://VOICE.livekit.cloud/", True),
        ("http://livekit.voice.svc:7880", False),
        ("https://livekit.cloud.example.com", False),
        ("https://notlivekit.cloud", False),
    ],
)
def test_cloud_is_told_by_its_host(url: str, expected: bool) -> None:  # noqa: FBT001
    assert is_cloud(url) is expected


@pytest.mark.parametrize(("paged", "expected"), [(False, True), (True, False)])
async def test_a_missing_password_means_none_only_where_passwords_are_listed(
    server: Server, *, paged: bool, expected: bool
) -> None:
    items = [SIPOutboundTrunkInfo(sip_trunk_id="ST_1", auth_username="user")]
    server.answer = lambda _: reply(ListSIPOutboundTrunkResponse(items=items if len(server.tokens) == 1 else []))
    (listed,) = await server.client(paged=paged).list_outbound_trunks()
    assert listed.password_listed is expected


async def test_one_listed_password_shows_that_cloud_lists_them(server: Server) -> None:
    items = [
        SIPOutboundTrunkInfo(sip_trunk_id="ST_1", auth_username="user"),
        SIPOutboundTrunkInfo(sip_trunk_id="ST_2", auth_username="user", auth_password="pass"),
    ]
    server.answer = lambda _: reply(ListSIPOutboundTrunkResponse(items=items))
    listed = await server.client(paged=True).list_outbound_trunks()
    assert [trunk.password_listed for trunk in listed] == [True, True]


async def test_a_reply_without_password_keeps_what_was_sent_as_a_digest(server: Server) -> None:
    server.answer = lambda _: reply(
        SIPOutboundTrunkInfo(
            sip_trunk_id="ST_1",
            name="out",
            metadata="{}",
            address="sip.example.com",
            transport="SIP_TRANSPORT_TLS",
            numbers=["+15550100000"],
            auth_username="user",
        )
    )
    client = server.client(paged=True)
    for stored in (await client.create(TRUNK), await client.replace(replace(TRUNK, id="ST_1"))):
        assert stored == TRUNK
        assert stored.id == "ST_1"
        assert stored.password is not None
        assert stored.password.text is None


async def test_what_the_server_fills_in_by_itself_is_no_difference_for_ever(server: Server) -> None:
    def stored(name: str) -> SIPDispatchRuleInfo:
        info = SIPDispatchRuleInfo(sip_dispatch_rule_id=name, trunk_ids=["ST_a", "ST_b"], name="rule")
        info.rule.dispatch_rule_individual.room_prefix = "call-"
        info.room_config.agents.add(agent_name="agent", metadata="{}")
        info.room_preset = "default"
        return info

    async def answer(request: web.Request) -> web.Response:
        if request.path.endswith("ListSIPDispatchRule"):
            ListSIPDispatchRuleRequest.FromString(await request.read())
            return await reply(ListSIPDispatchRuleResponse(items=[stored("SDR_1"), stored("SDR_2")]))
        return await reply(stored("SDR_1"))

    server.answer = answer
    client = server.client()
    assert [rule.extra for rule in await client.list_dispatch_rules()] == [("room_preset",)] * 2
    assert await client.replace(replace(RULE, id="SDR_1")) == RULE
    assert await client.list_dispatch_rules() == [RULE, RULE]


async def test_a_new_rule_names_its_trunks_twice(server: Server) -> None:
    sent: list[CreateSIPDispatchRuleRequest] = []

    async def answer(request: web.Request) -> web.Response:
        sent.append(CreateSIPDispatchRuleRequest.FromString(await request.read()))
        return await reply(SIPDispatchRuleInfo(sip_dispatch_rule_id="SDR_1"))

    server.answer = answer
    await server.client().create(RULE)
    assert list(sent[0].trunk_ids) == list(sent[0].dispatch_rule.trunk_ids) == ["ST_a", "ST_b"]


async def test_one_token_serves_until_shortly_before_it_ends(server: Server) -> None:
    client = server.client()
    for server.now_s in (0.0, 100.0, 239.0, 240.0, 250.0):
        await client.list_outbound_trunks()
    assert len(set(server.tokens[:3])) == 1
    assert len(set(server.tokens[3:])) == 1
    claims = jwt.decode(server.tokens[0], SECRET, algorithms=["HS256"])
    assert claims["exp"] - claims["nbf"] == 300
    assert claims["sip"] == {"admin": True, "call": False}
    assert not claims.get("video")


async def test_a_new_key_is_used_at_once(server: Server) -> None:
    client = server.client()
    await client.list_outbound_trunks()
    client.set_credentials("other", SecretStr("b" * 40))
    await client.list_outbound_trunks()
    assert jwt.decode(server.tokens[1], "b" * 40, algorithms=["HS256"])["iss"] == "other"


async def test_a_refused_token_is_not_sent_again(server: Server) -> None:
    server.answer = answering(status=401, text="invalid token")
    client = server.client()
    signed = client._session.sip()
    assert (await refusal(client)).reason == "LiveKitUnauthorized"
    assert client._session.sip() is not signed  # tokens of one second are equal, hence the look inside


async def test_a_call_that_hangs_ends_in_time(server: Server) -> None:
    released = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    server.answer = hang
    error = await refusal(server.client(timeout_s=0.05))
    released.set()
    assert isinstance(error, Unavailable)
    assert error.outcome_unknown


async def test_no_more_calls_at_once_than_allowed(server: Server) -> None:
    under_way = highest = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal under_way, highest
        under_way += 1
        highest = max(highest, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return await reply(ListSIPOutboundTrunkResponse())

    server.answer = answer
    client = server.client(concurrency=3)
    await asyncio.gather(*(client.list_outbound_trunks() for _ in range(12)))
    assert highest == 3


async def test_waiting_for_a_slot_is_not_counted_as_time_of_the_call(server: Server) -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return await reply(ListSIPOutboundTrunkResponse())

    server.answer = answer
    client = server.client(concurrency=1, timeout_s=0.25)
    await asyncio.gather(*(client.list_outbound_trunks() for _ in range(10)))


async def test_every_call_is_reported_with_its_outcome(server: Server) -> None:
    client = server.client()
    await client.list_outbound_trunks()
    server.answer = answering(status=503)
    await refusal(client)
    assert server.calls == [
        ("ListSIPOutboundTrunk", "ok", 0.0),
        ("ListSIPOutboundTrunk", "LiveKitUnavailable", 0.0),
    ]


async def test_a_cancelled_call_is_reported_and_frees_its_slot(server: Server) -> None:
    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    healthy, server.answer = server.answer, hang
    client = server.client(concurrency=1)
    task = asyncio.create_task(client.list_outbound_trunks())
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.answer = healthy
    assert await client.list_outbound_trunks() == []
    assert [outcome for _, outcome, _ in server.calls] == ["cancelled", "ok"]


@pytest.mark.parametrize("scheme", ["http", "ws"])
async def test_both_schemes_work(server: Server, scheme: str) -> None:
    url = server.url.replace("http", scheme, 1)
    assert await server.client(url=url).list_outbound_trunks() == []


@pytest.mark.parametrize(
    "response",
    [
        {"body": b""},  # would be read as an empty list
        {"body": b"", "content_type": "application/octet-stream"},
        {"text": "<html>", "content_type": "text/html"},
        {"body": b"\xff\xff", "content_type": "application/protobuf"},
        {"status": 500, "text": "[]", "content_type": "application/json"},
        {"status": 500, "text": "{", "content_type": "application/json"},
    ],
)
async def test_garbage_is_never_an_answer(server: Server, response: dict[str, Any]) -> None:
    server.answer = answering(**response)
    error = await refusal(server.client())
    assert isinstance(error, Unavailable)
    assert error.outcome_unknown


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


@pytest.mark.parametrize(("header", "expected"), [("7", 7.0), ("99999", 3600.0), ("", None), ("Wed, 21 Oct", None)])
async def test_the_wait_that_livekit_asks_for_is_kept(server: Server, header: str, expected: float | None) -> None:
    server.answer = answering(status=429, headers={"Retry-After": header})
    error = await refusal(server.client())
    assert isinstance(error, Unavailable)
    assert error.reason == "LiveKitRateLimited"
    assert error.retry_after_s == expected


async def test_nothing_was_sent_where_nobody_listens(unused_tcp_port: int, server: Server) -> None:
    error = await refusal(server.client(url=f"http://127.0.0.1:{unused_tcp_port}"))
    assert isinstance(error, Unavailable)
    assert not error.outcome_unknown


async def test_a_failed_call_is_not_repeated(server: Server) -> None:
    server.answer = answering(status=503)
    await refusal(server.client(paged=True))
    assert len(server.tokens) == 1


async def test_credentials_are_blotted_out_of_a_refusal(server: Server) -> None:
    server.answer = answering(
        status=400, text='{"code": "invalid_argument", "msg": "bad pass"}', content_type="application/json"
    )
    with pytest.raises(Stalled, match=r"RejectedByLiveKit: LiveKit refuses: bad \*\*\*"):
        await server.client().create(TRUNK)


async def test_a_rule_has_no_metadata_to_set(server: Server) -> None:
    with pytest.raises(ValueError, match="by its name"):
        await server.client().set_metadata(Kind.DISPATCH_RULE, "SDR_1", "{}")


# A server, or a proxy before it, that means harm


def listing(*items: bytes) -> Answer:
    """A list of these objects, whatever bytes they are; after the first page there is no more."""

    async def answer(request: web.Request) -> web.Response:
        asked = ListSIPOutboundTrunkRequest.FromString(await request.read())
        body = b"" if asked.page.after_id else b"".join(on_wire(item) for item in items)
        return web.Response(body=body, content_type="application/protobuf")

    return answer


def on_wire(item: bytes) -> bytes:
    return b"\x0a" + bytes([len(item) & 127 | 128, len(item) >> 7 & 127 | 128, len(item) >> 14]) + item


def listed(id: str, metadata: str = "") -> bytes:
    return SIPOutboundTrunkInfo(sip_trunk_id=id, metadata=metadata).SerializeToString()


async def test_an_object_that_cannot_be_read_hides_no_other_and_is_told_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    bad = b"\x0a\x07ST_\x1b[2J"
    server.answer = listing(listed("ST_1"), listed("ST_bad") + b"\x72\x01\xff", bad, listed("ST_2"))
    client = server.client()
    for _ in range(3):
        assert [trunk.id for trunk in await client.list_outbound_trunks()] == ["ST_1", "ST_bad", "ST_2"]
    assert client.unreadable == 2
    assert len(caplog.messages) == 1
    assert "ST_bad, ST_\\u{1b}[2J" in caplog.text
    server.answer = listing(listed("ST_1"))
    await client.list_outbound_trunks()
    assert client.unreadable == 0


async def test_an_object_of_ours_without_a_usable_id_is_not_missing(server: Server) -> None:
    owner = Owner("cluster-a", "voice", "main")
    server.answer = listing(listed("ST_/../x", Mark(owner).dump()), listed("ST_/../y"))
    client = server.client()
    (nameless,) = await client.list_outbound_trunks()
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


@pytest.mark.parametrize("chunked", [False, True])
async def test_no_more_of_a_list_is_read_than_is_promised(
    server: Server, monkeypatch: pytest.MonkeyPatch, *, chunked: bool
) -> None:
    monkeypatch.setattr(session, "MAX_LIST_BYTES", 2**20)
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Type": "application/protobuf"})
        if not chunked:
            response.content_length = 2**40
        await response.prepare(request)
        with contextlib.suppress(ConnectionError):
            while sent < 2**30:
                await response.write(b"\x0a\x00" * 2**15)
                sent += 2**16
        return response

    server.answer = answer
    error = await refusal(server.client())
    assert isinstance(error, Stalled)
    assert (error.reason, error.server_wide) == ("LiveKitMisconfigured", True)
    assert "longer than the operator reads" in error.message
    assert sent < 2**26  # what lies in buffers between the two


@pytest.mark.parametrize("method", ["create", "replace"])
async def test_a_reply_to_a_write_of_many_megabytes_leaves_the_outcome_open(server: Server, method: str) -> None:
    server.answer = lambda _: reply(SIPOutboundTrunkInfo(sip_trunk_id="ST_1", name="x" * 2_000_000))
    client = server.client()
    with pytest.raises(Unavailable) as lost:
        await getattr(client, method)(replace(TRUNK, id="ST_1"))
    assert lost.value.outcome_unknown


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


async def test_pages_that_never_end_do_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_MAX_PAGES", 50)
    seen = itertools.count()

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=on_wire(listed(f"ST_{next(seen)}")), content_type="application/protobuf")

    server.answer = answer
    error = await refusal(server.client(paged=True))
    assert error.reason == "LiveKitMisconfigured"
    assert next(seen) == 50


async def test_a_page_of_ids_that_nobody_can_use_is_not_the_last(server: Server) -> None:
    pages = {"": b"ST_/1", "ST_/1": b"ST_2", "ST_2": b""}

    async def answer(request: web.Request) -> web.Response:
        asked = ListSIPOutboundTrunkRequest.FromString(await request.read())
        next_id = pages[asked.page.after_id].decode()
        return web.Response(body=on_wire(listed(next_id)) if next_id else b"", content_type="application/protobuf")

    server.answer = answer
    assert [trunk.id for trunk in await server.client(paged=True).list_outbound_trunks()] == ["ST_2"]


async def test_all_pages_together_take_a_bounded_time(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_LIST_LIMIT_S", 0.2)
    seen = itertools.count()

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return web.Response(body=on_wire(listed(f"ST_{next(seen)}")), content_type="application/protobuf")

    server.answer = answer
    error = await refusal(server.client(paged=True))
    assert isinstance(error, Unavailable)
    assert error.outcome_unknown


@pytest.mark.parametrize("id", ["", "ST_/../x", "S" * 1000, "ST_\x1b"])
async def test_an_id_that_nobody_can_use_is_no_answer_to_a_create(server: Server, id: str) -> None:
    server.answer = lambda _: reply(SIPOutboundTrunkInfo(sip_trunk_id=id))
    with pytest.raises(Unavailable) as lost:
        await server.client().create(TRUNK)
    assert lost.value.outcome_unknown
