"""LiveKit as the bare client uses it: the same messages as the operator's, eight calls at once, no logic."""

import asyncio
import json
import socket
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from livekit.api import AccessToken, LiveKitAPI, SIPGrants
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from livekit.protocol.sip import (
    CreateSIPDispatchRuleRequest,
    CreateSIPInboundTrunkRequest,
    CreateSIPOutboundTrunkRequest,
    DeleteSIPDispatchRuleRequest,
    DeleteSIPTrunkRequest,
    ListSIPDispatchRuleRequest,
    ListSIPInboundTrunkRequest,
    ListSIPOutboundTrunkRequest,
    SIPDispatchRule,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPMediaConfig,
    SIPMediaEncryption,
    SIPOutboundTrunkInfo,
    SIPTransport,
)

from bench.objects import PASSWORD, USERNAME

CONCURRENCY = 8
_REQUIRED = SIPMediaEncryption.SIP_MEDIA_ENCRYPT_REQUIRE
_STORE = ("sip_trunk", "sip_inbound_trunk", "sip_outbound_trunk", "sip_dispatch_rule")
"""Redis keys of LiveKit's SIP objects (livekit-server `pkg/service/redisstore_sip.go`)."""

_Reply = TypeVar("_Reply")


@dataclass(frozen=True, slots=True)
class Ids:
    """LiveKit's names for what a number has there."""

    outbound: str
    inbound: str
    rule: str


@dataclass(frozen=True, slots=True)
class Stored:
    """What LiveKit holds: IDs of all objects, their size in bytes, and the passwords of the outbound trunks."""

    ids: frozenset[str]
    size: int
    passwords: Mapping[str, str]


class Sip:
    """Calls to LiveKit, counted. Made inside a running event loop, ended by `async with`."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONCURRENCY), cookie_jar=aiohttp.DummyCookieJar()
        )
        token = AccessToken(key, secret).with_sip_grants(SIPGrants(admin=True)).with_ttl(timedelta(hours=1)).to_jwt()
        self._sip = LiveKitAPI.with_token(token, url, session=self._session, failover=False).sip
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self.calls = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def create(self, number: Mapping[str, Any]) -> Ids:
        """The three objects of a number, in the operator's order."""
        spec, owner = number["spec"], _owner(number)
        outbound = await self._one(
            self._sip.create_outbound_trunk(CreateSIPOutboundTrunkRequest(trunk=_outbound(spec, owner)))
        )
        inbound = await self._one(
            self._sip.create_inbound_trunk(CreateSIPInboundTrunkRequest(trunk=_inbound(spec, owner)))
        )
        trunks = [inbound.sip_trunk_id]
        rule = await self._one(
            self._sip.create_dispatch_rule(
                CreateSIPDispatchRuleRequest(dispatch_rule=_rule(spec, owner, trunks), trunk_ids=trunks)
            )
        )
        return Ids(outbound.sip_trunk_id, inbound.sip_trunk_id, rule.sip_dispatch_rule_id)

    async def delete(self, ids: Ids) -> None:
        """The three objects of a number, in the operator's order."""
        await self._one(self._sip.delete_dispatch_rule(DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=ids.rule)))
        await self._one(self._sip.delete_trunk(DeleteSIPTrunkRequest(sip_trunk_id=ids.inbound)))
        await self._one(self._sip.delete_trunk(DeleteSIPTrunkRequest(sip_trunk_id=ids.outbound)))

    async def stored(self) -> Stored:
        """Everything, by three lists."""
        rules = (await self._one(self._sip.list_dispatch_rule(ListSIPDispatchRuleRequest()))).items
        inbound = (await self._one(self._sip.list_inbound_trunk(ListSIPInboundTrunkRequest()))).items
        outbound = (await self._one(self._sip.list_outbound_trunk(ListSIPOutboundTrunkRequest()))).items
        trunks: list[SIPInboundTrunkInfo | SIPOutboundTrunkInfo] = [*inbound, *outbound]
        return Stored(
            ids=frozenset([trunk.sip_trunk_id for trunk in trunks] + [rule.sip_dispatch_rule_id for rule in rules]),
            size=sum(item.ByteSize() for item in (*trunks, *rules)),
            passwords={trunk.numbers[0]: trunk.auth_password for trunk in outbound},
        )

    async def _one(self, call: Awaitable[_Reply]) -> _Reply:
        async with self._slots:
            self.calls += 1
            return await call


def clear(redis_port: int) -> None:
    """Delete all SIP objects in Redis. LiveKit keeps none in memory, so it notices at once."""
    with socket.create_connection(("127.0.0.1", redis_port), 10) as connection:
        connection.sendall(f"DEL {' '.join(_STORE)}\r\n".encode())
        with connection.makefile("r") as lines:
            answer = lines.readline()
    if not answer.startswith(":"):
        raise RuntimeError(f"Redis did not delete: {answer}")


def _owner(number: Mapping[str, Any]) -> str:
    metadata = number["metadata"]
    # As long as the operator's own mark: an installation is a UUID.
    return f"00000000-0000-0000-0000-000000000000/{metadata['namespace']}/{metadata['name']}"


def _mark(spec: Mapping[str, Any], owner: str) -> str:
    mark = {
        "managedBy": "bare-client",
        "owner": owner,
        "outboundAgentId": spec["outboundAgentId"],
        "recreate": "",
        "deletionPolicy": "Delete",
    }
    return json.dumps(mark, separators=(",", ":"))


def _outbound(spec: Mapping[str, Any], owner: str) -> SIPOutboundTrunkInfo:
    return SIPOutboundTrunkInfo(
        name=spec["friendlyName"],
        metadata=_mark(spec, owner),
        address=spec["terminationUri"],
        transport=SIPTransport.SIP_TRANSPORT_TLS,
        numbers=[spec["phoneNumber"]],
        auth_username=USERNAME,
        auth_password=PASSWORD,
        media=SIPMediaConfig(encryption=_REQUIRED),
        media_encryption=_REQUIRED,
    )


def _inbound(spec: Mapping[str, Any], owner: str) -> SIPInboundTrunkInfo:
    return SIPInboundTrunkInfo(
        name=spec["friendlyName"],
        metadata=_mark(spec, owner),
        numbers=[spec["phoneNumber"]],
        allowed_addresses=spec["inbound"]["allowedAddresses"],
        media=SIPMediaConfig(encryption=_REQUIRED),
        media_encryption=_REQUIRED,
    )


def _rule(spec: Mapping[str, Any], owner: str, trunks: list[str]) -> SIPDispatchRuleInfo:
    agent = spec["inboundAgentId"]
    metadata = {"agentId": agent, "direction": "inbound", "phoneNumber": spec["phoneNumber"]}
    dispatch = RoomAgentDispatch(agent_name=agent, metadata=json.dumps(metadata, separators=(",", ":")))
    return SIPDispatchRuleInfo(
        name=f"byoc:{owner}",
        trunk_ids=trunks,
        rule=SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix="call-")),
        room_config=RoomConfiguration(agents=[dispatch]),
    )
