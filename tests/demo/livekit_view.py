"""LiveKit's own lists, read with LiveKit's own SDK: what really is there, whatever the operator says."""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from livekit import api
from livekit.protocol.sip import (
    DeleteSIPTrunkRequest,
    ListSIPDispatchRuleRequest,
    ListSIPInboundTrunkRequest,
    ListSIPOutboundTrunkRequest,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
    SIPTransport,
)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Lists:
    """The three lists of one moment. Holds passwords: use `lines` to show them."""

    outbound: tuple[SIPOutboundTrunkInfo, ...]
    inbound: tuple[SIPInboundTrunkInfo, ...]
    rules: tuple[SIPDispatchRuleInfo, ...]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(sorted(self.ids))})"

    @property
    def ids(self) -> frozenset[str]:
        """Every ID."""
        outbound = {trunk.sip_trunk_id for trunk in self.outbound}
        inbound = {trunk.sip_trunk_id for trunk in self.inbound}
        return frozenset(outbound | inbound | {rule.sip_dispatch_rule_id for rule in self.rules})

    def lines(self) -> list[str]:
        """One line per object; of a password only that there is one."""
        return [
            *(_outbound_line(trunk) for trunk in self.outbound),
            *(_inbound_line(trunk) for trunk in self.inbound),
            *(_rule_line(rule) for rule in self.rules),
        ] or ["(nothing)"]

    def outbound_of(self, phone_number: str) -> SIPOutboundTrunkInfo | None:
        """The outbound trunk of a number."""
        return next((trunk for trunk in self.outbound if phone_number in trunk.numbers), None)

    def inbound_of(self, phone_number: str) -> SIPInboundTrunkInfo | None:
        """The inbound trunk of a number."""
        return next((trunk for trunk in self.inbound if phone_number in trunk.numbers), None)

    def rule_of(self, trunk_id: str) -> SIPDispatchRuleInfo | None:
        """The rule that takes the calls of a trunk."""
        return next((rule for rule in self.rules if trunk_id in rule.trunk_ids), None)


class LiveKitView:
    """One LiveKit server. `environment`: LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment

    def lists(self) -> Lists:
        """Everything that LiveKit has of SIP."""
        return self._asked(_lists)

    def delete_trunk(self, trunk_id: str) -> None:
        """Delete a trunk, as a person in a hurry would."""
        self._asked(lambda livekit: livekit.sip.delete_trunk(DeleteSIPTrunkRequest(sip_trunk_id=trunk_id)))

    def _asked(self, question: Callable[[api.LiveKitAPI], Awaitable[_Result]]) -> _Result:
        variables = self._environment
        url, key, secret = variables["LIVEKIT_URL"], variables["LIVEKIT_API_KEY"], variables["LIVEKIT_API_SECRET"]

        async def ask() -> _Result:
            async with api.LiveKitAPI(url, key, secret) as livekit:
                return await question(livekit)

        return asyncio.run(ask())


def has_password(trunk: SIPOutboundTrunkInfo | None, password: str) -> bool:
    """Whether a trunk's password is this one, told without showing either."""
    return trunk is not None and hmac.compare_digest(trunk.auth_password, password)


async def _lists(livekit: api.LiveKitAPI) -> Lists:
    outbound = await livekit.sip.list_outbound_trunk(ListSIPOutboundTrunkRequest())
    inbound = await livekit.sip.list_inbound_trunk(ListSIPInboundTrunkRequest())
    rules = await livekit.sip.list_dispatch_rule(ListSIPDispatchRuleRequest())
    return Lists(
        tuple(sorted(outbound.items, key=lambda trunk: trunk.numbers[0])),
        tuple(sorted(inbound.items, key=lambda trunk: trunk.numbers[0])),
        tuple(sorted(rules.items, key=lambda rule: rule.name)),
    )


def _outbound_line(trunk: SIPOutboundTrunkInfo) -> str:
    transport = SIPTransport.Name(trunk.transport).removeprefix("SIP_TRANSPORT_")
    password = "password set" if trunk.auth_password else "no password"
    named = f"{trunk.name} {', '.join(trunk.numbers)}"
    return f"outbound trunk  {trunk.sip_trunk_id}   {named}: dials {trunk.address} by {transport}, {password}"


def _inbound_line(trunk: SIPInboundTrunkInfo) -> str:
    sources = len(trunk.allowed_addresses)
    named = f"{trunk.name} {', '.join(trunk.numbers)}"
    accepted = f"{sources} address ranges" if sources else "anywhere"
    return f"inbound trunk   {trunk.sip_trunk_id}   {named}: takes calls from {accepted}"


def _rule_line(rule: SIPDispatchRuleInfo) -> str:
    agents = ", ".join(agent.agent_name for agent in rule.room_config.agents)
    return f"dispatch rule   {rule.sip_dispatch_rule_id}  calls on {', '.join(rule.trunk_ids)} go to {agents}"
