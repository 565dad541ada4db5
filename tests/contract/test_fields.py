"""Each optional field of a spec, on the fake and on the real server: stored, put right after a drift, cleared."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from byoc_operator.api.schema import PhoneNumberSpec
from byoc_operator.api.secret_references import INBOUND_CREDENTIALS, SIP_PASSWORD
from byoc_operator.api.validation import parse_spec
from byoc_operator.core.credential_values import Field
from byoc_operator.core.credentials import Credentials
from byoc_operator.core.credentials_in_use import CredentialsInUse
from byoc_operator.core.desired import Desired, Installation, RecreateValues, desired
from byoc_operator.core.ownership import Owned, Owner
from byoc_operator.core.plan import Create, Replace, Terms, plan
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Mask, OutboundTrunk
from byoc_operator.livekit_sip.gateway import SipGateway

OWNER, INSTALLATION = Owner("contract", "voice", "main"), Installation(("contract",), "livekit.example.com")
BOTH = ("outboundTrunk", "inboundTrunk")

FIELDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "friendlyName": ("Main Office", ("outboundTrunk.name", "inboundTrunk.name")),
    "outboundAgentId": ("agent_sales", ("outboundTrunk.metadata", "inboundTrunk.metadata")),
    "deletionPolicy": ("Retain", ("outboundTrunk.metadata", "inboundTrunk.metadata")),
    "transport": ("TCP", ("outboundTrunk.transport",)),
    "mediaEncryption": ("Allowed", tuple(f"{kind}.mediaEncryption" for kind in BOTH)),
    "media.codecs": (["PCMU", "opus"], tuple(f"{kind}.media.codecs" for kind in BOTH)),
    "media.onlyListedCodecs": (True, tuple(f"{kind}.media.onlyListedCodecs" for kind in BOTH)),
    "media.mediaTimeoutSeconds": (30, tuple(f"{kind}.media.mediaTimeout" for kind in BOTH)),
    "outbound.headers": ({"X-Account": "4711"}, ("outboundTrunk.headers",)),
    "outbound.headersToAttributes": ({"X-Call-Ref": "ref"}, ("outboundTrunk.headersToAttributes",)),
    "outbound.attributesToHeaders": ({"outcome": "X-Outcome"}, ("outboundTrunk.attributesToHeaders",)),
    "outbound.includeHeaders": ("All", ("outboundTrunk.includeHeaders",)),
    "outbound.fromHost": ("voice.example.com", ("outboundTrunk.fromHost",)),
    "outbound.destinationCountry": ("US", ("outboundTrunk.destinationCountry",)),
    "inbound.allowedAddresses": (["203.0.113.0/28"], ("inboundTrunk.allowedAddresses",)),
    "inbound.allowedCallers": (["+15551230000"], ("inboundTrunk.allowedNumbers",)),
    "inbound.aliases": (["02079460123", "100"], ("inboundTrunk.numbers",)),
    "inbound.authentication": ("Digest", ("inboundTrunk.username", "inboundTrunk.password")),
    "inbound.credentialsSecretRef": ({"name": "callers"}, ("inboundTrunk.username", "inboundTrunk.password")),
    "inbound.authRealm": ("sip.example.com", ("inboundTrunk.authRealm",)),
    "inbound.ringTimeoutSeconds": (60, ("inboundTrunk.ringingTimeout",)),
    "inbound.ringStatus": (480, ("inboundTrunk.ringingTimeoutStatus",)),
    "inbound.maxCallDurationSeconds": (3600, ("inboundTrunk.maxCallDuration",)),
    "inbound.noiseCancellation": (True, ("inboundTrunk.noiseCancellation",)),
    "inbound.headersToAttributes": ({"X-Customer-Id": "customerId"}, ("inboundTrunk.headersToAttributes",)),
    "inbound.attributesToHeaders": ({"outcome": "X-Outcome"}, ("inboundTrunk.attributesToHeaders",)),
    "inbound.includeHeaders": ("XHeaders", ("inboundTrunk.includeHeaders",)),
    "inbound.responseHeaders": ({"X-Answered-By": "agent"}, ("inboundTrunk.responseHeaders",)),
    "inbound.agentMetadata": ({"tenant": "acme"}, ("dispatchRule.agentMetadata",)),
    "inbound.additionalAgentIds": (["transcriber"], ("dispatchRule.additionalAgents",)),
    "inbound.attributes": ({"queue": "support"}, ("dispatchRule.attributes",)),
    "inbound.hideCallerNumber": (True, ("dispatchRule.hideCallerNumber",)),
    "inbound.room.prefix": ("support-", ("dispatchRule.roomPrefix",)),
    "inbound.room.emptyTimeoutSeconds": (30, ("dispatchRule.room.emptyTimeout",)),
    "inbound.room.departureTimeoutSeconds": (5, ("dispatchRule.room.departureTimeout",)),
    "inbound.room.maxParticipants": (3, ("dispatchRule.room.maxParticipants",)),
    "inbound.room.metadata": ('{"tenant":"acme"}', ("dispatchRule.room.metadata",)),
    "inbound.room.tags": ({"team": "support"}, ("dispatchRule.room.tags",)),
}
"""By path of the spec: a value, and the paths of what differs in LiveKit without it."""

NEEDED: dict[str, dict[str, Any]] = {
    "transport": {"mediaEncryption": "Disabled"},
    "media.onlyListedCodecs": {"media.codecs": ["PCMU"]},
    "inbound.credentialsSecretRef": {"inbound.authentication": "Digest"},
    "inbound.authRealm": {"inbound.authentication": "Digest"},
}
"""What has to stand beside a field, in both specs that are compared."""

ELSEWHERE = {
    "phoneNumber": "cannot be changed",
    "terminationUri": "is not optional",
    "inboundAgentId": "decides whether there is an inbound trunk: tests of the planner",
    "sipUsername": "is the user name of the Secret: tests of credentials",
    "sipPasswordSecretRef": "stands in every spec here",
    "carrier": "chooses other values of fields: tests of presets",
    "managementPolicy": "changes nothing in LiveKit",
    "inbound.allowAnyAddress": "chooses other values of allowedAddresses: tests of findings",
    "inbound.recording": "tests/contract/test_recordings.py",
}


def _leaves(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """The paths of a spec's fields; what has a row of its own is one field."""
    for name, field in model.model_fields.items():
        path = above + to_camel(name)
        below = field.annotation
        if isinstance(below, type) and issubclass(below, BaseModel) and path not in FIELDS:
            yield from _leaves(below, f"{path}.")
        else:
            yield path


def test_every_field_of_the_spec_is_tried_or_has_a_reason_why_not() -> None:
    assert set(_leaves(PhoneNumberSpec)) == set(FIELDS) | set(ELSEWHERE)


def spec_with(number: str, settings: dict[str, Any]) -> PhoneNumberSpec:
    spec: dict[str, Any] = {
        "phoneNumber": number,
        "terminationUri": "sip.example.com",
        "inboundAgentId": "agent_support",
        "sipPasswordSecretRef": {"name": "sip"},
    }
    for path, value in settings.items():
        *above, last = path.split(".")
        part = spec
        for each in above:
            part = part.setdefault(each, {})
        part[last] = value
    parsed = parse_spec(spec)
    assert isinstance(parsed, PhoneNumberSpec), parsed
    return parsed


def wanted(number: str, settings: dict[str, Any], mask: Mask) -> Desired:
    def login(name: str) -> Credentials:
        values = {Field.USERNAME: mask(f"{name}-user"), Field.PASSWORD: mask(f"{name}-password")}
        return Credentials(values, name, resource_version="1", watched=True, changed_at=0.0)

    credentials = CredentialsInUse({SIP_PASSWORD: login("sip"), INBOUND_CREDENTIALS: login("callers")})
    return desired(spec_with(number, settings), OWNER, INSTALLATION, credentials, RecreateValues(), mask)


async def listed(gateway: SipGateway, number: str) -> Owned:
    """The objects of a number in LiveKit."""
    inbound = tuple(each for each in await gateway.list_all(InboundTrunk) if number in each.numbers)
    trunks = {each.id for each in inbound}
    return Owned(
        tuple(each for each in await gateway.list_all(OutboundTrunk) if number in each.numbers),
        inbound,
        tuple(each for each in await gateway.list_all(DispatchRule) if trunks & set(each.trunk_ids)),
    )


async def brought_to(gateway: SipGateway, number: str, want: Desired) -> set[str]:
    """Carry out the plan; the paths of the fields that it puts right. Afterwards a plan is empty."""
    told: set[str] = set()
    trunk = ""
    for change in plan(want, await listed(gateway, number), Terms()):
        assert isinstance(change, Create | Replace), change
        sip_object = change.wanted
        if isinstance(change, Replace):
            told.update(change.fields)
            await gateway.replace(sip_object)
            continue
        if isinstance(sip_object, DispatchRule):
            sip_object = replace(sip_object, trunk_ids=(trunk,))
        trunk = (await gateway.create(sip_object)).id
    assert plan(want, await listed(gateway, number), Terms()) == ()
    return told


@pytest.mark.parametrize("path", FIELDS)
async def test_a_field_is_stored_seen_when_it_drifts_and_cleared(
    gateway: SipGateway, mask: Mask, number: str, path: str
) -> None:
    value, paths = FIELDS[path]
    beside = NEEDED.get(path, {})
    without, having = wanted(number, beside, mask), wanted(number, {**beside, path: value}, mask)
    assert await brought_to(gateway, number, having) == set(), "created with the field"
    ids = (await listed(gateway, number)).all
    for drifted in (without.outbound, without.inbound, without.rule):  # somebody takes the field away in LiveKit
        assert drifted is not None
        (there,) = (await listed(gateway, number)).of(drifted.kind)
        changes: dict[str, Any] = {"trunk_ids": there.trunk_ids} if isinstance(drifted, DispatchRule) else {}
        await gateway.replace(replace(drifted, id=there.id, **changes))
    assert await brought_to(gateway, number, having) == set(paths), "the drift is named and put right"
    assert await brought_to(gateway, number, without) == set(paths), "the field goes with the spec"
    assert [each.id for each in (await listed(gateway, number)).all] == [each.id for each in ids]
