"""Says in a spec what a set of LiveKit's objects has. `import_proof` then proves that it says the same."""

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..api.carriers import Carrier, Catalogue, Preset
from ..api.text_rules import is_reserved_metadata
from ..core.desired import Installation
from ..core.trunk import SOUND, DispatchRule, InboundTrunk, Masked, OutboundTrunk
from .import_credentials import NotSaid, StatedCredentials, credentials_in
from .import_sets import ImportSet

WIDE = {4: 8, 6: 16}
"""The shortest prefix of an address range that needs no `allowAnyAddress`, by IP version."""


@dataclass(frozen=True, slots=True)
class Stated:
    """A spec without its references to Secrets. `credentials`: what stands in each, by the path of the reference."""

    spec: dict[str, Any]
    credentials: Mapping[str, StatedCredentials] = field(default_factory=dict)


def stated(found: ImportSet, installation: Installation) -> Stated:
    """The spec of a set. Raises `NotSaid`."""
    outbound, inbound = found.outbound, found.inbound
    if outbound.transport == "AUTO":
        raise NotSaid("the transport of its outbound trunk is AUTO; spec.transport has TLS, TCP and UDP")
    credentials = credentials_in(found)
    carrier = _carrier(outbound, inbound, installation.carriers)
    preset = installation.carriers.preset_for(carrier, outbound.address)
    spec: dict[str, Any] = {
        "phoneNumber": found.phone_number,
        "terminationUri": outbound.address,
        "transport": outbound.transport,
        "mediaEncryption": outbound.media_encryption,
    }
    if carrier is not None:
        spec["carrier"] = str(carrier)
    name = outbound.name or (inbound.name if inbound else "")
    if name and name != found.phone_number:
        spec["friendlyName"] = name
    media = _media(outbound)
    if media:
        spec["media"] = media
    calls_out = _outbound(outbound, preset)
    if calls_out:
        spec["outbound"] = calls_out
    if inbound is not None and found.rule is not None:
        agent, metadata = _agent(found.rule, installation)
        spec["inboundAgentId"] = agent
        calls_in = _inbound(inbound, preset, metadata) | _call(found.rule, installation)
        if calls_in:
            spec["inbound"] = calls_in
    return Stated(spec, credentials)


def _carrier(outbound: OutboundTrunk, inbound: InboundTrunk | None, carriers: Catalogue) -> Carrier | None:
    """`Generic` where the preset of the host would change something, None where it need not be named."""
    preset = carriers.preset_for(None, outbound.address)
    header = preset.username_header
    adds_header = header and outbound.username is not None and outbound.headers.get(header) != outbound.username
    asks = inbound is not None and inbound.username is not None
    return Carrier.GENERIC if adds_header or (asks and not preset.answers_challenge) else None


def _outbound(outbound: OutboundTrunk, preset: Preset) -> dict[str, Any]:
    headers = dict(outbound.headers)
    if preset.username_header and outbound.username is not None:
        headers.pop(preset.username_header, None)  # the preset adds it
    told = {
        "headers": _shown(headers, "outbound"),
        "headersToAttributes": dict(outbound.headers_to_attributes),
        "attributesToHeaders": dict(outbound.attributes_to_headers),
        "includeHeaders": outbound.include_headers,
        "fromHost": outbound.from_host,
        "destinationCountry": outbound.destination_country,
    }
    return {name: value for name, value in told.items() if value}


def _shown(headers: Mapping[str, str | Masked], direction: str) -> dict[str, str]:
    """Headers without credentials. Raises `NotSaid` for a header with one."""
    shown = {name: value for name, value in headers.items() if isinstance(value, str)}
    secret = [name for name in headers if name not in shown]
    if secret:
        raise NotSaid(f"the header {secret[0]} of its {direction} trunk holds a credential, which a spec would show")
    return shown


def _media(outbound: OutboundTrunk) -> dict[str, Any]:
    """What the outbound trunk says of media; `import_proof` refuses a set whose inbound trunk says something else."""
    told = {
        "codecs": list(outbound.codecs),
        "onlyListedCodecs": outbound.only_listed_codecs,
        "mediaTimeoutSeconds": outbound.media_timeout_s,
    }
    return {name: value for name, value in told.items() if value}


def _inbound(inbound: InboundTrunk, preset: Preset, metadata: Mapping[str, str]) -> dict[str, Any]:
    addresses = list(inbound.allowed_addresses)
    told = {
        "allowedAddresses": addresses if tuple(addresses) != preset.signalling_ranges else [],
        "allowAnyAddress": any(map(_is_wide, addresses)) or (not addresses and bool(preset.signalling_ranges)),
        "allowedCallers": list(inbound.allowed_numbers),
        "aliases": list(inbound.numbers[1:]),
        "authentication": "Digest" if inbound.username or inbound.password else "",
        "authRealm": inbound.realm,
        "ringTimeoutSeconds": inbound.ringing_timeout_s,
        "ringStatus": inbound.ringing_status,
        "maxCallDurationSeconds": inbound.max_call_duration_s,
        "noiseCancellation": inbound.noise_cancellation,
        "headersToAttributes": dict(inbound.headers_to_attributes),
        "attributesToHeaders": dict(inbound.attributes_to_headers),
        "includeHeaders": inbound.include_headers,
        "responseHeaders": _shown(inbound.response_headers, "inbound"),
        "agentMetadata": dict(metadata),
    }
    return {name: value for name, value in told.items() if value}


def _call(rule: DispatchRule, installation: Installation) -> dict[str, Any]:
    """What a rule says of the caller and of the room."""
    told = {
        "additionalAgentIds": list(rule.additional_agents),
        "attributes": dict(rule.attributes),
        "hideCallerNumber": rule.hide_caller_number,
        "room": _room(rule, installation),
    }
    stated = {name: value for name, value in told.items() if value}
    if rule.recording:
        stated["recording"] = _recording(rule)
    return stated


def _recording(rule: DispatchRule) -> dict[str, Any]:
    told: dict[str, Any] = {"audioOnly": rule.recording == SOUND, "path": rule.recording_path}
    storage: dict[str, Any] = dict(rule.recording_storage)
    if storage:
        name, path_style = storage.pop("type"), storage.pop("forcePathStyle", "")
        told[name] = storage | ({"forcePathStyle": True} if path_style else {})
    return told


def _room(rule: DispatchRule, installation: Installation) -> dict[str, Any]:
    told = {
        "emptyTimeoutSeconds": rule.empty_timeout_s,
        "departureTimeoutSeconds": rule.departure_timeout_s,
        "maxParticipants": rule.max_participants,
        "metadata": rule.room_metadata,
        "tags": dict(rule.room_tags),
    }
    room: dict[str, Any] = {name: value for name, value in told.items() if value}
    if rule.room_prefix != installation.room_prefix:
        room["prefix"] = rule.room_prefix  # an empty one too
    return room


def _is_wide(entry: str) -> bool:
    try:
        network = ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False
    return network.prefixlen < WIDE[network.version]


def _agent(rule: DispatchRule, installation: Installation) -> tuple[str, dict[str, str]]:
    """The agent of a rule, and what its metadata has beside the keys that the operator sets."""
    if not rule.agent_name:
        raise NotSaid(f"its dispatch rule {rule.id} names no agent")
    metadata = agent_metadata(rule.agent_metadata)
    if metadata is None:
        raise NotSaid(f"the agent metadata of its dispatch rule {rule.id} is no JSON object of texts")
    agent = metadata.get("agentId") if installation.agent_name else None
    return agent or rule.agent_name, {key: text for key, text in metadata.items() if not is_reserved_metadata(key)}


def agent_metadata(text: str) -> dict[str, str] | None:
    """The agent's metadata as names and texts; None if it is anything else."""
    if not text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
        return None
    return found
