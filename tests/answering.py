"""A small HTTP server in place of LiveKit, whose answers the test decides."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web
from google.protobuf.message import Message
from livekit.protocol.sip import (
    ListSIPOutboundTrunkResponse,
    SIPOutboundTrunkInfo,
)
from pydantic import SecretStr

from byoc_operator.core.masking import make_mask
from byoc_operator.core.trunk import OutboundTrunk
from byoc_operator.errors import Failure
from byoc_operator.livekit_sip.client import LiveKitClient
from byoc_operator.livekit_sip.endpoint import Endpoint

MASK = make_mask(secrets.token_bytes(32))
SECRET = "a secret that is longer than 32 characters"
TRUNK = OutboundTrunk("out", "{}", "sip.example.com", "TLS", ("+15550100000",), MASK("user"), MASK("pass"))
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Server:
    """`answer` handles every request; `tokens` are those it was sent, `calls` those the client reported."""

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


async def reply(message: Message) -> web.Response:
    return web.Response(body=message.SerializeToString(), content_type="application/protobuf")


def answering(**response: Any) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(**response)

    return answer


async def refusal(client: LiveKitClient) -> Failure:
    with pytest.raises(Failure) as refused:
        await client.list_all(OutboundTrunk)
    return refused.value


def on_wire(item: bytes) -> bytes:
    return b"\x0a" + bytes([len(item) & 127 | 128, len(item) >> 7 & 127 | 128, len(item) >> 14]) + item


def listed(id: str, metadata: str = "") -> bytes:
    return SIPOutboundTrunkInfo(sip_trunk_id=id, metadata=metadata).SerializeToString()
