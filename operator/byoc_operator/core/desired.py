"""The LiveKit objects that an object should have."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ..api.built_in_carriers import BUILT_IN, CREDENTIAL_HEADERS
from ..api.carriers import Catalogue, Preset
from ..api.grammar import REMEMBERED, codec_with_rate, is_address
from ..api.resource import Key
from ..api.schema import Authentication, DeletionPolicy, PhoneNumberSpec
from ..api.schema_media import IncludeHeaders
from ..api.secret_references import INBOUND_CREDENTIALS, SIP_PASSWORD
from .agent_job import as_metadata, inbound_job
from .credentials import Credentials, SecretRules
from .credentials_in_use import CredentialsInUse
from .ownership import Mark, Owner, rule_name
from .recording import recorded
from .trunk import DispatchRule, InboundTrunk, Kind, Mask, Masked, OutboundTrunk, SipObject


@dataclass(frozen=True, slots=True)
class Installation:
    """The settings of this installation of the operator that apply to every object.

    `ids`: installation IDs; marks are written with the first one, and marks with any of them are ours. `sip_uri`: the
    setting `BYOC_SIP_URI` with LiveKit's public SIP endpoints, empty if not set; see `origination`. `live_kit`: host of
    the LiveKit server. `agent_name`: the agent that gets every call, empty for `spec.inboundAgentId`.
    `termination_hosts`: suffixes of the allowed termination hosts, empty for any. `removes_refused`: whether an object
    with another host loses its outbound trunk. `secret_rules`: which Secrets may be used. `credentials_max_age_days`: 0
    for no limit. `reservation_s`: seconds for which a released number stays reserved for its last namespace, 0 for no
    reservation. `retained_at_most`: how many numbers of a namespace may stay in LiveKit by deletionPolicy Retain, None
    for any. `keeps_unknown_fields`: whether a replace carries over the settings that the API has no word for.
    `carriers`: the presets in force.
    """

    ids: tuple[str, ...]
    live_kit: str
    agent_name: str = ""
    room_prefix: str = "call-"
    sip_uri: str = ""
    termination_hosts: tuple[str, ...] = ()
    removes_refused: bool = False
    secret_rules: SecretRules = field(default_factory=SecretRules)
    credentials_max_age_days: int = 0
    adoption_allowed: bool = False
    reservation_s: float = 300.0
    retained_at_most: int | None = None
    keeps_unknown_fields: bool = False
    carriers: Catalogue = BUILT_IN

    @property
    def retain_setting(self) -> str:
        """`retained_at_most` in the words of the setting `BYOC_RETAIN`."""
        words = {None: "Allow", 0: "Deny"}
        return words.get(self.retained_at_most, str(self.retained_at_most))

    def owners(self, namespace: str, name: str) -> tuple[Owner, ...]:
        """Every owner whose mark belongs to this object; new marks name the first."""
        return tuple(Owner(installation, namespace, name) for installation in self.ids)


@dataclass(frozen=True, slots=True)
class Desired:
    """The LiveKit objects that an object should have; None: none of this kind. `plan` adds the trunk to the rule."""

    outbound: OutboundTrunk
    inbound: InboundTrunk | None
    rule: DispatchRule | None

    def of(self, kind: Kind) -> SipObject | None:
        """The wanted object of one kind, None for none."""
        by_kind: dict[Kind, SipObject | None] = {
            Kind.OUTBOUND_TRUNK: self.outbound,
            Kind.INBOUND_TRUNK: self.inbound,
            Kind.DISPATCH_RULE: self.rule,
        }
        return by_kind[kind]


@dataclass(frozen=True, slots=True)
class RecreateValues:
    """The value of the `recreate` annotation that each trunk's mark should carry."""

    outbound: str = ""
    inbound: str = ""


def desired(
    spec: PhoneNumberSpec,
    owner: Owner,
    installation: Installation,
    credentials: CredentialsInUse,
    recreate: RecreateValues,
    mask: Mask,
) -> Desired:
    """The LiveKit objects for a valid spec. `credentials`: those of the spec's Secrets."""
    # Where Retain is limited, only an allowed deletion writes Retain into the marks. Otherwise the trunks of an object
    # that lost its finalizer would count as retained and not as orphans.
    policy = spec.deletion_policy if installation.retained_at_most is None else DeletionPolicy.DELETE

    def mark(recreate: str) -> str:
        return Mark(owner, spec.outbound_agent_id, recreate, str(policy)).dump()

    preset = preset_of(spec, installation.carriers)
    outbound = _outbound(spec, preset, mark(recreate.outbound), credentials.at(SIP_PASSWORD), mask)
    if not spec.inbound_agent_id:
        return Desired(outbound, None, None)
    return Desired(
        outbound,
        _inbound(spec, preset, mark(recreate.inbound), credentials, mask),
        _rule(spec, owner, installation, credentials),
    )


def _outbound(
    spec: PhoneNumberSpec, preset: Preset, mark: str, credentials: Credentials | None, mask: Mask
) -> OutboundTrunk:
    return OutboundTrunk(
        name=spec.friendly_name or spec.phone_number,
        metadata=mark,
        address=spec.termination_uri,
        transport=str(spec.transport),
        numbers=(spec.phone_number,),
        username=credentials.username if credentials else None,
        password=credentials.password if credentials else None,
        headers=_headers(spec, preset, credentials, mask),
        headers_to_attributes=dict(spec.outbound.headers_to_attributes),
        attributes_to_headers=dict(spec.outbound.attributes_to_headers),
        include_headers=_included(spec.outbound.include_headers),
        media_encryption=str(spec.media_encryption),
        codecs=tuple(map(codec_with_rate, spec.media.codecs or ())),
        only_listed_codecs=spec.media.only_listed_codecs,
        media_timeout_s=spec.media.media_timeout_seconds or 0,
        from_host=_bracketed(spec.outbound.from_host),
        destination_country=spec.outbound.destination_country,
    )


def _bracketed(host: str) -> str:
    """The host with brackets if it is an IPv6 address: LiveKit writes the host into the From header unchanged."""
    return f"[{host}]" if is_address(host) and ":" in host else host


def _headers(
    spec: PhoneNumberSpec, preset: Preset, credentials: Credentials | None, mask: Mask
) -> dict[str, str | Masked]:
    """The headers of the spec, and the carrier's header for the user name unless the spec has that header."""
    headers = _masked(spec.outbound.headers, credentials, mask)
    given = {name.lower() for name in headers}
    if preset.username_header and credentials and preset.username_header.lower() not in given:
        headers[preset.username_header] = credentials.username
    return headers


def _masked(headers: Mapping[str, str], credentials: Credentials | None, mask: Mask) -> dict[str, str | Masked]:
    """SIP headers of a spec; one that names the user has a masked value. `credentials`: those of the trunk.

    A value that is the user name is a credential in any header, as `livekit_sip` reads it.
    """
    username = credentials.username if credentials else None

    def is_credential(name: str, value: str) -> bool:
        return name.lower() in CREDENTIAL_HEADERS or (username is not None and mask.bare(value) == username)

    return {name: mask(value) if is_credential(name, value) else value for name, value in headers.items()}


def _included(headers: IncludeHeaders | None) -> str:
    return "" if headers in (None, IncludeHeaders.NONE) else str(headers)


def asks_with(spec: PhoneNumberSpec) -> str:
    """The path of the reference whose credentials a calling trunk must prove; empty if LiveKit asks for none."""
    if not spec.inbound_agent_id or spec.inbound.authentication is not Authentication.DIGEST:
        return ""
    return SIP_PASSWORD if spec.inbound.credentials_secret_ref is None else INBOUND_CREDENTIALS


def _inbound(
    spec: PhoneNumberSpec, preset: Preset, mark: str, credentials: CredentialsInUse, mask: Mask
) -> InboundTrunk:
    inbound = spec.inbound
    challenged = credentials.at(asks_with(spec))
    return InboundTrunk(
        name=spec.friendly_name or spec.phone_number,
        metadata=mark,
        numbers=(spec.phone_number, *(inbound.aliases or ())),
        allowed_addresses=allowed_addresses(spec, preset),
        allowed_numbers=tuple(inbound.allowed_callers or ()),
        username=challenged.username if challenged else None,
        password=challenged.password if challenged else None,
        headers_to_attributes=dict(inbound.headers_to_attributes),
        attributes_to_headers=dict(inbound.attributes_to_headers),
        include_headers=_included(inbound.include_headers),
        response_headers=_masked(inbound.response_headers, challenged, mask),
        realm=inbound.auth_realm,
        ringing_status=inbound.ring_status or 0,
        ringing_timeout_s=inbound.ring_timeout_seconds or 0,
        max_call_duration_s=inbound.max_call_duration_seconds or 0,
        noise_cancellation=inbound.noise_cancellation,
        media_encryption=str(spec.media_encryption),
        codecs=tuple(map(codec_with_rate, spec.media.codecs or ())),
        only_listed_codecs=spec.media.only_listed_codecs,
        media_timeout_s=spec.media.media_timeout_seconds or 0,
    )


def allowed_addresses(spec: PhoneNumberSpec, preset: Preset) -> tuple[str, ...]:
    """The addresses from which calls are accepted, always as CIDRs; empty: every address. `preset`: of the carrier.

    LiveKit would compare a bare address with the host of the caller's From header too (livekit/protocol `sip/sip.go`).
    """
    given = spec.inbound.allowed_addresses
    if given is not None:
        return tuple(dict.fromkeys(map(_network, given)))
    if spec.inbound.allow_any_address:
        return ()
    return preset.signalling_ranges


@lru_cache(REMEMBERED)
def _network(entry: str) -> str:
    return str(ipaddress.ip_network(entry, strict=False))


def _rule(
    spec: PhoneNumberSpec, owner: Owner, installation: Installation, credentials: CredentialsInUse
) -> DispatchRule:
    inbound, room = spec.inbound, spec.inbound.room
    agent, *more = agent_names(spec, installation.agent_name)
    rule = DispatchRule(
        name=rule_name(owner),
        trunk_ids=(),
        room_prefix=installation.room_prefix if room.prefix is None else room.prefix,
        agent_name=agent,
        agent_metadata=as_metadata(inbound_job(spec, Key(owner.namespace, owner.name))),
        additional_agents=tuple(more),
        attributes=dict(inbound.attributes),
        hide_caller_number=inbound.hide_caller_number,
        empty_timeout_s=room.empty_timeout_seconds or 0,
        departure_timeout_s=room.departure_timeout_seconds or 0,
        max_participants=room.max_participants or 0,
        room_metadata=room.metadata,
        room_tags=dict(room.tags),
    )
    return rule if inbound.recording is None else recorded(rule, inbound.recording, credentials)


def agent_names(spec: PhoneNumberSpec, agent_name: str) -> tuple[str, ...]:
    """The names in LiveKit of the agents of a call that comes in, each once; the agent of the number is the first.

    `agent_name`: as in `Installation`.
    """
    return tuple(dict.fromkeys((agent_name or spec.inbound_agent_id, *spec.inbound.additional_agent_ids)))


def preset_of(spec: PhoneNumberSpec, carriers: Catalogue) -> Preset:
    """The carrier preset in force for a spec."""
    return carriers.preset_for(spec.carrier, spec.termination_uri)
