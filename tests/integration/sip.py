"""LiveKit's SIP objects as they are, read and changed past the operator."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, TypeVar

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from livekit.api import LiveKitAPI
from livekit.api.sip_service import SipService
from livekit.api.twirp_client import ServerError
from livekit.protocol.sip import (
    CreateSIPDispatchRuleRequest,
    CreateSIPInboundTrunkRequest,
    CreateSIPOutboundTrunkRequest,
    DeleteSIPDispatchRuleRequest,
    DeleteSIPTrunkRequest,
    ListSIPDispatchRuleRequest,
    ListSIPInboundTrunkRequest,
    ListSIPOutboundTrunkRequest,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
)

_Result = TypeVar("_Result")
_BOOKKEEPING = ("sip_trunk_id", "sip_dispatch_rule_id", "created_at", "updated_at")


@dataclass(frozen=True)
class Held:
    """What LiveKit holds for one phone number, whoever made it."""

    outbound: tuple[SIPOutboundTrunkInfo, ...]
    inbound: tuple[SIPInboundTrunkInfo, ...]
    rules: tuple[SIPDispatchRuleInfo, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """IDs of all, outbound first."""
        outbound = (trunk.sip_trunk_id for trunk in self.outbound)
        inbound = (trunk.sip_trunk_id for trunk in self.inbound)
        return (*outbound, *inbound, *(rule.sip_dispatch_rule_id for rule in self.rules))

    @property
    def marks(self) -> tuple[dict[str, str], ...]:
        """The marks of the trunks, outbound first."""
        found = [trunk.metadata for trunk in self.outbound] + [trunk.metadata for trunk in self.inbound]
        return tuple(json.loads(metadata) for metadata in found)

    @property
    def counts(self) -> tuple[int, int, int]:
        """How many outbound trunks, inbound trunks and rules."""
        return len(self.outbound), len(self.inbound), len(self.rules)

    @property
    def bytes(self) -> tuple[bytes, ...]:
        """All objects with their update times, to detect any change: LiveKit records the time of each update."""
        found: tuple[Message, ...] = (*self.outbound, *self.inbound, *self.rules)
        return tuple(message.SerializeToString(deterministic=True) for message in found)


def plain(message: Message) -> dict[str, Any]:
    """A message as a dict without ID and times; fields at their default are left out."""
    found: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return {name: value for name, value in found.items() if name not in _BOOKKEEPING}


class Server(Protocol):
    """Where LiveKit is, and its API key."""

    @property
    def url(self) -> str: ...

    @property
    def key(self) -> str: ...

    @property
    def secret(self) -> str: ...


class Sip:
    """A client of LiveKit that bypasses the proxy, so that its calls are not counted."""

    def __init__(self, livekit: Server) -> None:
        self._livekit = livekit

    def outbound(self) -> list[SIPOutboundTrunkInfo]:
        """All outbound trunks."""
        return list(self._ask(lambda sip: sip.list_outbound_trunk(ListSIPOutboundTrunkRequest())).items)

    def inbound(self) -> list[SIPInboundTrunkInfo]:
        """All inbound trunks."""
        return list(self._ask(lambda sip: sip.list_inbound_trunk(ListSIPInboundTrunkRequest())).items)

    def rules(self) -> list[SIPDispatchRuleInfo]:
        """All dispatch rules."""
        return list(self._ask(lambda sip: sip.list_dispatch_rule(ListSIPDispatchRuleRequest())).items)

    def of(self, phone: str) -> Held:
        """All that has to do with one phone number."""
        inbound = tuple(trunk for trunk in self.inbound() if phone in trunk.numbers)
        return Held(
            outbound=tuple(trunk for trunk in self.outbound() if phone in trunk.numbers),
            inbound=inbound,
            rules=tuple(rule for rule in self.rules() if _is_about(rule, phone, {t.sip_trunk_id for t in inbound})),
        )

    def create_inbound(self, trunk: SIPInboundTrunkInfo) -> str:
        """Create an inbound trunk; its ID."""
        request = CreateSIPInboundTrunkRequest(trunk=trunk)
        return self._ask(lambda sip: sip.create_inbound_trunk(request)).sip_trunk_id

    def create_outbound(self, trunk: SIPOutboundTrunkInfo) -> str:
        """Create an outbound trunk; its ID."""
        request = CreateSIPOutboundTrunkRequest(trunk=trunk)
        return self._ask(lambda sip: sip.create_outbound_trunk(request)).sip_trunk_id

    def create_rule(self, rule: SIPDispatchRuleInfo) -> str:
        """Create a dispatch rule; its ID."""
        request = CreateSIPDispatchRuleRequest(dispatch_rule=rule, trunk_ids=rule.trunk_ids)
        return self._ask(lambda sip: sip.create_dispatch_rule(request)).sip_dispatch_rule_id

    def put_outbound(self, trunk: SIPOutboundTrunkInfo) -> None:
        """Replace an outbound trunk by its ID."""
        self._ask(lambda sip: sip.update_outbound_trunk(trunk.sip_trunk_id, trunk))

    def put_inbound(self, trunk: SIPInboundTrunkInfo) -> None:
        """Replace an inbound trunk by its ID."""
        self._ask(lambda sip: sip.update_inbound_trunk(trunk.sip_trunk_id, trunk))

    def put_rule(self, rule: SIPDispatchRuleInfo) -> None:
        """Replace a dispatch rule by its ID."""
        self._ask(lambda sip: sip.update_dispatch_rule(rule.sip_dispatch_rule_id, rule))

    def delete(self, *ids: str) -> None:
        """Delete trunks and rules; the operator may just be deleting the same."""

        async def each(sip: SipService) -> None:
            for id_ in ids:
                try:
                    if id_.startswith("SDR_"):
                        await sip.delete_dispatch_rule(DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=id_))
                    else:
                        await sip.delete_trunk(DeleteSIPTrunkRequest(sip_trunk_id=id_))
                except ServerError as exc:
                    if exc.status != HTTPStatus.NOT_FOUND:
                        raise

        self._ask(each)

    def clear(self) -> None:
        """Delete everything, rules first."""
        rules = (rule.sip_dispatch_rule_id for rule in self.rules())
        inbound = (trunk.sip_trunk_id for trunk in self.inbound())
        outbound = (trunk.sip_trunk_id for trunk in self.outbound())
        self.delete(*rules, *inbound, *outbound)

    def _ask(self, question: Callable[[SipService], Awaitable[_Result]]) -> _Result:
        async def ask() -> _Result:
            async with LiveKitAPI(self._livekit.url, self._livekit.key, self._livekit.secret) as client:
                return await question(client.sip)

        return asyncio.run(ask())


def _is_about(rule: SIPDispatchRuleInfo, phone: str, trunks: Iterable[str]) -> bool:
    told = any(phone in agent.metadata for agent in rule.room_config.agents)
    return told or not set(trunks).isdisjoint(rule.trunk_ids)
