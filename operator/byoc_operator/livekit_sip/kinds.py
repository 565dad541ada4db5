"""The API of LiveKit's three kinds of SIP object: conversion, requests, names of calls.

`core.trunk.Kind` has the order, the dependents and the label of a kind.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from google.protobuf.message import Message
from livekit.api.sip_service import SipService
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
    SIPTrunkInfo,
)

from ..core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk, SipObject
from .convert import INBOUND, OUTBOUND, RULE, Conversion

_Object = TypeVar("_Object", bound=SipObject)


@dataclass(frozen=True, slots=True)
class LiveKitKind(Generic[_Object]):
    """One kind. `name`: the kind in the names of LiveKit's calls, such as `CreateSIPOutboundTrunk`.

    `list_request`: makes a request for a page. `list_one`: makes a request for an ID. `create`: sends a message.
    `update`: sends a message for an ID. `delete`: deletes an ID by the call `delete_name`. `mark`: changes only the
    metadata of an ID; None for rules, whose mark is their name.
    """

    name: str
    conversion: Conversion[Any, Any]
    list_request: Callable[..., Message]
    list_one: Callable[[str], Message]
    create: Callable[[SipService, Any], Awaitable[Message]]
    update: Callable[[SipService, str, Any], Awaitable[Message]]
    delete_name: str
    delete: Callable[[SipService, str], Awaitable[Message]]
    mark: Callable[[SipService, str, str], Awaitable[Message]] | None


async def _create_outbound(sip: SipService, info: SIPOutboundTrunkInfo) -> SIPOutboundTrunkInfo:
    return await sip.create_outbound_trunk(CreateSIPOutboundTrunkRequest(trunk=info))


async def _create_inbound(sip: SipService, info: SIPInboundTrunkInfo) -> SIPInboundTrunkInfo:
    return await sip.create_inbound_trunk(CreateSIPInboundTrunkRequest(trunk=info))


async def _create_rule(sip: SipService, info: SIPDispatchRuleInfo) -> SIPDispatchRuleInfo:
    # With the deprecated `trunk_ids` the server checks the rules of these trunks only. Without it, one pair of
    # conflicting foreign rules makes the server refuse every create (livekit/livekit `pkg/service/sip.go`, 1.13.5).
    return await sip.create_dispatch_rule(CreateSIPDispatchRuleRequest(dispatch_rule=info, trunk_ids=info.trunk_ids))


async def _delete_trunk(sip: SipService, id: str) -> SIPTrunkInfo:
    return await sip.delete_trunk(DeleteSIPTrunkRequest(sip_trunk_id=id))


async def _delete_rule(sip: SipService, id: str) -> SIPDispatchRuleInfo:
    return await sip.delete_dispatch_rule(DeleteSIPDispatchRuleRequest(sip_dispatch_rule_id=id))


async def _mark_outbound(sip: SipService, id: str, metadata: str) -> SIPOutboundTrunkInfo:
    return await sip.update_outbound_trunk_fields(id, metadata=metadata)


async def _mark_inbound(sip: SipService, id: str, metadata: str) -> SIPInboundTrunkInfo:
    return await sip.update_inbound_trunk_fields(id, metadata=metadata)


_OUTBOUND: LiveKitKind[OutboundTrunk] = LiveKitKind(
    "SIPOutboundTrunk",
    OUTBOUND,
    ListSIPOutboundTrunkRequest,
    lambda each: ListSIPOutboundTrunkRequest(trunk_ids=[each]),
    _create_outbound,
    SipService.update_outbound_trunk,
    "DeleteSIPTrunk",
    _delete_trunk,
    _mark_outbound,
)
_INBOUND: LiveKitKind[InboundTrunk] = LiveKitKind(
    "SIPInboundTrunk",
    INBOUND,
    ListSIPInboundTrunkRequest,
    lambda each: ListSIPInboundTrunkRequest(trunk_ids=[each]),
    _create_inbound,
    SipService.update_inbound_trunk,
    "DeleteSIPTrunk",
    _delete_trunk,
    _mark_inbound,
)
_RULE: LiveKitKind[DispatchRule] = LiveKitKind(
    "SIPDispatchRule",
    RULE,
    ListSIPDispatchRuleRequest,
    lambda each: ListSIPDispatchRuleRequest(dispatch_rule_ids=[each]),
    _create_rule,
    SipService.update_dispatch_rule,
    "DeleteSIPDispatchRule",
    _delete_rule,
    None,  # a rule is marked by its name
)

KINDS: Mapping[Kind, LiveKitKind[Any]] = {
    Kind.OUTBOUND_TRUNK: _OUTBOUND,
    Kind.INBOUND_TRUNK: _INBOUND,
    Kind.DISPATCH_RULE: _RULE,
}


def in_livekit(of: type[_Object]) -> LiveKitKind[_Object]:
    """The kind of a class of objects."""
    return cast("LiveKitKind[_Object]", KINDS[of.kind])
