"""Findings: what works and should be better. A finding never changes Ready."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache

import phonenumbers

from ..api.addresses import lets_everybody_in
from ..api.names import ADOPT, RECREATE, WATCH_LABEL
from ..api.recorded_status import MAX_HOST, MAX_ID, MAX_LEFT_HOSTS, MAX_LEFT_IDS, Finding, LeftBehind
from ..api.resource import PhoneNumber
from ..api.schema import MediaEncryption, PhoneNumberSpec, Transport
from ..api.schema_recording import RecordingSpec
from ..api.text_rules import is_reserved_metadata
from .call_findings import (
    PLAIN_INBOUND,
    codecs_in_vain,
    missing_encryption,
    rings_too_long,
    shown_callers,
    shown_digests,
    unknown_codecs,
)
from .credentials import Credentials
from .desired import Installation, allowed_addresses, preset_of
from .foreign_rules import Intrusion
from .origination import origination_uri, others_port
from .recording import storage_of

_DAY_S = 86_400
_NO_EFFECT = " Until then spec.inbound has no effect."
_SHOWN = 4
_PATHS_SHOWN = 8


class Code(StrEnum):
    """The closed list of findings."""

    NO_INBOUND_AGENT = "NoInboundAgent"
    MEDIA_NOT_ENCRYPTED = "MediaNotEncrypted"
    TRANSPORT_NOT_ENCRYPTED = "TransportNotEncrypted"
    INBOUND_OPEN = "InboundOpen"
    PORT_OF_ANOTHER_TRANSPORT = "PortOfAnotherTransport"
    INVITE_TOO_LARGE_FOR_UDP = "InviteTooLargeForUdp"
    NUMBER_NOT_IN_PLAN = "NumberNotInPlan"
    CREDENTIALS_NOT_WATCHED = "CredentialsNotWatched"
    CREDENTIALS_PLAIN_TEXT = "CredentialsPlainText"
    CREDENTIALS_OLD = "CredentialsOld"
    FOREIGN_WILDCARD_RULE = "ForeignWildcardRule"
    FOREIGN_RULE_ON_TRUNK = "ForeignRuleOnTrunk"
    FOREIGN_CATCH_ALL_TRUNK = "ForeignCatchAllTrunk"
    CONTRADICTING_RULES = "ContradictingRules"
    SIP_URI_NOT_CONFIGURED = "SipUriNotConfigured"
    LEFT_BEHIND = "LeftBehind"
    ANNOTATION_IGNORED = "AnnotationIgnored"
    METADATA_KEY_IGNORED = "MetadataKeyIgnored"
    CALLER_NUMBER_NOT_HIDDEN = "CallerNumberNotHidden"
    DIGEST_IN_ATTRIBUTES = "DigestInAttributes"
    CODEC_NOT_SUPPORTED = "CodecNotSupported"
    NO_CODEC_IN_COMMON = "NoCodecInCommon"
    CARRIER_LACKS_ENCRYPTION = "CarrierLacksEncryption"
    RING_STATUS_LATE = "RingStatusLate"
    RETAIN_NOT_ALLOWED = "RetainNotAllowed"
    ADOPTED_ID_ABSENT = "AdoptedIdAbsent"
    OTHER_INSTALLATION = "OtherInstallation"
    UNKNOWN_FIELDS_KEPT = "UnknownFieldsKept"
    RECORDING_ON = "RecordingOn"


MESSAGES: Mapping[Code, str] = {
    Code.NO_INBOUND_AGENT: "No agent answers calls to this number; set spec.inboundAgentId if it should take calls.",
    Code.MEDIA_NOT_ENCRYPTED: "Audio may travel unencrypted; set spec.mediaEncryption to Required if the carrier can "
    "do SRTP.",
    Code.TRANSPORT_NOT_ENCRYPTED: "Signalling travels unencrypted; set spec.transport to TLS if the carrier can.",
    Code.INBOUND_OPEN: "Calls are accepted from any address; list the carrier's signalling ranges in "
    "spec.inbound.allowedAddresses.",
    Code.PORT_OF_ANOTHER_TRANSPORT: "A port belongs to another transport than the one beside it: 5061 is for TLS, 5060 "
    "for TCP and UDP, and calls fail if the other side keeps to that. Leave the port out, or change the transport.",
    Code.INVITE_TOO_LARGE_FOR_UDP: "With spec.mediaEncryption Allowed LiveKit offers SRTP, and with spec.transport UDP "
    "calls out then fail: the INVITE is larger than a packet may be, with credentials always. Set spec.transport to "
    "TLS or TCP, spec.mediaEncryption to Disabled, or udp_max_payload: 1800 in the settings of livekit-sip.",
    Code.NUMBER_NOT_IN_PLAN: "The number is in no numbering plan that the operator knows; check it for a typing error.",
    Code.CREDENTIALS_NOT_WATCHED: "Changes of the Secret are only noticed at the next sweep; label it "
    f"{WATCH_LABEL}=true and they take effect at once.",
    Code.CREDENTIALS_PLAIN_TEXT: "The Secret holds credentials in plain text; seal them with `kubectl byoc seal`, and "
    "the manifest may be kept in Git.",
    Code.CREDENTIALS_OLD: "Credentials have not been changed for longer than the operator's limit; change them at the "
    "carrier, or in the storage of the recordings, and in the Secret.",
    Code.FOREIGN_WILDCARD_RULE: "A dispatch rule in LiveKit that is not ours names no trunk, so it also takes calls "
    "that allowed addresses, callers and digest should keep out; delete it or give it trunk_ids.",
    Code.FOREIGN_RULE_ON_TRUNK: "LiveKit prefers a dispatch rule that is not ours and names the inbound trunk of this "
    "number; delete it or take the trunk out of its trunk_ids.",
    Code.FOREIGN_CATCH_ALL_TRUNK: "An inbound trunk in LiveKit that is not ours has no numbers, so it also takes calls "
    "to this number that allowed addresses, callers and digest should keep out; give it numbers or delete it.",
    Code.CONTRADICTING_RULES: "Dispatch rules in LiveKit are for the same calls, so LiveKit refuses all calls to this "
    "number (503); delete one of them.",
    Code.SIP_URI_NOT_CONFIGURED: "The operator does not know its public SIP endpoint, so there is no "
    "status.originationUri; set BYOC_SIP_URI.",
    Code.LEFT_BEHIND: "Objects of this number may still be on a LiveKit that the operator no longer talks to; delete "
    "them there.",
    Code.ANNOTATION_IGNORED: "An annotation is ignored, as its value is neither true nor false; correct it or "
    "take it away.",
    Code.METADATA_KEY_IGNORED: "The agent does not get a key of spec.inbound.agentMetadata that the operator sets "
    "itself (agentId, phoneNumber, direction, namespace or name, in upper or lower case); give it another name.",
    Code.CALLER_NUMBER_NOT_HIDDEN: "spec.inbound.hideCallerNumber is true, but headers that name the caller become "
    "attributes in the room; take them out of spec.inbound.headersToAttributes, and set spec.inbound.includeHeaders to "
    "XHeaders or None.",
    Code.DIGEST_IN_ATTRIBUTES: "The header with which a calling trunk answers the digest challenge becomes an "
    "attribute in the room, and everybody there can try passwords on it; take it out of "
    "spec.inbound.headersToAttributes, and set spec.inbound.includeHeaders to XHeaders or None.",
    Code.CODEC_NOT_SUPPORTED: "LiveKit is not known to have a codec of spec.media.codecs, and leaves it out; it has "
    "PCMU/8000, PCMA/8000, G722/8000, AMR-WB/16000 and opus/48000.",
    Code.NO_CODEC_IN_COMMON: "Calls fail: spec.media.onlyListedCodecs is true, and spec.media.codecs has no codec "
    "that both LiveKit and the carrier have. Add one, such as PCMU.",
    Code.CARRIER_LACKS_ENCRYPTION: "Calls fail: the spec asks for encryption that the carrier does not have.",
    Code.RING_STATUS_LATE: "spec.inbound.ringStatus is sent after LiveKit's default of 180 seconds, when most callers "
    "and carriers have given up; set spec.inbound.ringTimeoutSeconds too.",
    Code.RETAIN_NOT_ALLOWED: "A deletion of this object deletes its LiveKit objects too, although deletionPolicy is "
    "Retain: the operator allows no (more) retained numbers in this namespace. Set deletionPolicy to Delete, or ask "
    "whoever runs the operator to allow it.",
    Code.ADOPTED_ID_ABSENT: f"The annotation {ADOPT} names IDs that LiveKit does not have; the object "
    "has all that it needs. Take them out of the annotation, or correct them.",
    Code.OTHER_INSTALLATION: "Another installation of the operator has trunks with this number in LiveKit too, for an "
    "object of this namespace and name; let only one of the two manage it, or delete the other's.",
    Code.UNKNOWN_FIELDS_KEPT: "LiveKit has settings of this number that a ByocPhoneNumber has no field for; the "
    "operator keeps them (BYOC_UNKNOWN_FIELDS=Keep). `unknown` is a field that is newer than the operator. The "
    f"annotation {RECREATE} takes them away.",
    Code.RECORDING_ON: "Each call to this number is recorded (spec.inbound.recording). Whether the caller must be told "
    "or asked is a matter of the law of the caller's country. Without LiveKit's egress service nothing is recorded.",
}
"""The message of each finding. `findings` appends a few IDs at most, and `KEYS_IN_LIVEKIT`.

The texts are fixed, so that changes of foreign objects in LiveKit do not rewrite the status of every object.
"""


KEYS_IN_LIVEKIT = (
    " LiveKit keeps the keys of the recording's storage in the dispatch rule, readable to whoever has sip.admin, and "
    "puts them into the token with which its SIP service brings each caller into the room: a livekit-server that "
    "refuses such tokens would refuse all calls to this number."
)
"""Is appended to the finding of a recording with a storage of its own."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the findings are made of, beside the spec.

    `credentials`: those in use. `intrusion`: what foreign rules do. `left_behind`: see `left_behind`.
    `unclear`: as in `AnnotationRequests`. `retain_refused`: whether deletionPolicy is Retain and is not allowed.
    `absent`: as in `Adoption`. `other_installations`: the trunks that other installations have for the same object.
    `kept`: the paths of the settings that the operator keeps in LiveKit and the API has no word for.
    """

    credentials: tuple[Credentials, ...] = ()
    intrusion: Intrusion = field(default_factory=Intrusion)
    left_behind: tuple[LeftBehind, ...] = ()
    unclear: tuple[str, ...] = ()
    retain_refused: bool = False
    absent: tuple[str, ...] = ()
    other_installations: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def findings(
    spec: PhoneNumberSpec, installation: Installation, evidence: Evidence, now_s: float
) -> tuple[Finding, ...]:
    """All findings for a valid spec, in the order of `Code`. `now_s`: epoch seconds."""
    found = {
        **_in_spec(spec, installation),
        **_in_credentials(evidence.credentials, installation.credentials_max_age_days * _DAY_S, now_s),
        **_in_livekit(evidence),
        Code.ANNOTATION_IGNORED: _listed(evidence.unclear),
        Code.RETAIN_NOT_ALLOWED: _if(evidence.retain_refused, f" (BYOC_RETAIN={installation.retain_setting})"),
    }
    details = ((code, found[code]) for code in Code)
    return tuple(Finding(str(code), MESSAGES[code] + detail) for code, detail in details if detail is not None)


_Found = dict[Code, str | None]
"""By code what the message ends with; None: nothing is found."""


def _if(there: bool, detail: str = "") -> str | None:  # noqa: FBT001 - reads like a sentence
    return detail if there else None


def _listed(texts: Collection[str], between: str = ", ") -> str | None:
    """The texts in brackets, None if there are none."""
    return _if(bool(texts), f" ({between.join(texts)})")


def _sentences(texts: Iterable[str]) -> str | None:
    """The texts behind the message, None if there are none."""
    return "".join(f" {text}" for text in texts) or None


def _in_spec(spec: PhoneNumberSpec, installation: Installation) -> _Found:
    inbound = bool(spec.inbound_agent_id)
    uri = origination_uri(installation.sip_uri, str(spec.transport)) if inbound else ""
    preset = preset_of(spec, installation.carriers)
    addresses = allowed_addresses(spec, preset)
    reserved = sorted(key for key in spec.inbound.agent_metadata if is_reserved_metadata(key))
    too_large = spec.transport is Transport.UDP and spec.media_encryption is MediaEncryption.ALLOWED
    return {
        Code.NO_INBOUND_AGENT: _if(not inbound, "" if spec.inbound == PLAIN_INBOUND else _NO_EFFECT),
        Code.MEDIA_NOT_ENCRYPTED: _if(spec.media_encryption is not MediaEncryption.REQUIRED),
        Code.TRANSPORT_NOT_ENCRYPTED: _if(spec.transport is not Transport.TLS),
        Code.INBOUND_OPEN: _if(inbound and lets_everybody_in(addresses)),
        Code.PORT_OF_ANOTHER_TRANSPORT: _listed(_misplaced_ports(spec, uri)),
        Code.INVITE_TOO_LARGE_FOR_UDP: _if(too_large),
        Code.NUMBER_NOT_IN_PLAN: _if(not _in_a_plan(spec.phone_number)),
        Code.SIP_URI_NOT_CONFIGURED: _if(
            inbound and not uri, _no_uri_for(spec.transport) if installation.sip_uri else ""
        ),
        Code.METADATA_KEY_IGNORED: _listed(reserved) if inbound else None,
        Code.CALLER_NUMBER_NOT_HIDDEN: _listed(shown_callers(spec)) if inbound else None,
        Code.DIGEST_IN_ATTRIBUTES: _listed(shown_digests(spec)) if inbound else None,
        Code.CODEC_NOT_SUPPORTED: _listed(unknown_codecs(spec)),
        Code.NO_CODEC_IN_COMMON: codecs_in_vain(spec, preset),
        Code.CARRIER_LACKS_ENCRYPTION: _sentences(missing_encryption(spec, preset)),
        Code.RING_STATUS_LATE: _if(inbound and rings_too_long(spec)),
        Code.RECORDING_ON: _recording(spec.inbound.recording) if inbound else None,
    }


def _recording(recording: RecordingSpec | None) -> str | None:
    """What the finding of a recording ends with; None without a recording."""
    return None if recording is None else KEYS_IN_LIVEKIT if storage_of(recording) else ""


def _in_credentials(credentials: Collection[Credentials], limit_s: float, now_s: float) -> _Found:
    """`limit_s`: the age from which credentials are old; 0: none. Of several Secrets, the message names those meant."""
    names = {each.secret_name for each in credentials}

    def of(meant: Collection[Credentials]) -> str | None:
        return _listed(sorted({each.secret_name for each in meant})) if len(names) > 1 else _if(bool(meant))

    return {
        Code.CREDENTIALS_NOT_WATCHED: of([each for each in credentials if not each.watched]),
        Code.CREDENTIALS_PLAIN_TEXT: of([each for each in credentials if not each.sealed]),
        Code.CREDENTIALS_OLD: of([each for each in credentials if 0 < limit_s < now_s - each.changed_at]),
    }


def _in_livekit(evidence: Evidence) -> _Found:
    intrusion = evidence.intrusion
    return {
        Code.FOREIGN_WILDCARD_RULE: _if(bool(intrusion.wildcard), f" ({intrusion.wildcard})"),
        Code.FOREIGN_RULE_ON_TRUNK: _listed(intrusion.takers, "; "),
        Code.FOREIGN_CATCH_ALL_TRUNK: _if(bool(intrusion.catch_all), f" ({intrusion.catch_all})"),
        Code.CONTRADICTING_RULES: _listed(intrusion.contradicting),
        Code.LEFT_BEHIND: _listed([str(each) for each in evidence.left_behind], "; "),
        Code.ADOPTED_ID_ABSENT: _listed(evidence.absent),
        Code.OTHER_INSTALLATION: _listed(evidence.other_installations[:_SHOWN], "; "),
        Code.UNKNOWN_FIELDS_KEPT: _listed(_first(evidence.kept)),
    }


def _first(paths: tuple[str, ...]) -> tuple[str, ...]:
    """The first paths, and how many more there are."""
    more = len(paths) - _PATHS_SHOWN
    return (*paths[:_PATHS_SHOWN], f"and {more} more") if more > 0 else paths


def _misplaced_ports(spec: PhoneNumberSpec, uri: str) -> list[str]:
    """The fields whose port belongs to another transport."""
    address, _, transport = uri.removeprefix("sip:").partition(";transport=")
    fields = {
        "spec.terminationUri": others_port(spec.termination_uri, str(spec.transport)),
        "status.originationUri, from BYOC_SIP_URI": bool(uri) and others_port(address, transport.upper()),
    }
    return [field for field, there in fields.items() if there]


def _no_uri_for(transport: Transport) -> str:
    return f" It names only the port of another transport; add an endpoint with ;transport={transport.lower()} to it."


def left_behind(number: PhoneNumber, owned_ids: Collection[str], installation: Installation) -> tuple[LeftBehind, ...]:
    """LiveKit objects on servers that the operator used before: one entry for each server, the newest if too many.

    The status has host and IDs of the former server until the first run after a move. From then on only
    `status.leftBehind` has them. If the same server only has a new name, it has the same IDs, and nothing is left
    behind. `owned_ids`: IDs of the objects on the present server.
    """
    status = number.status
    entries = [*(status.left_behind or _left_behind_of_before(status.finding(Code.LEFT_BEHIND)))]
    entries.append(LeftBehind(status.live_kit, tuple(each for each in status.ids.all if each not in owned_ids)))
    by_host: dict[str, list[str]] = {}
    for entry in entries:
        if entry.live_kit and entry.ids and entry.live_kit != installation.live_kit:
            by_host.setdefault(entry.live_kit, []).extend(entry.ids)
    found = [LeftBehind(host, tuple(dict.fromkeys(ids))[-MAX_LEFT_IDS:]) for host, ids in by_host.items()]
    return tuple(found[-MAX_LEFT_HOSTS:])


def _left_behind_of_before(message: str) -> tuple[LeftBehind, ...]:
    """The entries in the message of the finding `LeftBehind`: `… (host: ID, ID; host: ID)`.

    Version 0.1 had no `status.leftBehind`, so its statuses have only the message. This function can be deleted when
    upgrades from that version are no longer supported.
    """
    _, said, text = message.rpartition(" (")
    parts = (part.partition(": ") for part in text.removesuffix(")").split("; ") if said)
    return tuple(
        LeftBehind(host, tuple(each for each in ids.split(", ") if 0 < len(each) <= MAX_ID))
        for host, _, ids in parts
        if len(host) <= MAX_HOST
    )


@lru_cache(maxsize=16_384)
def _in_a_plan(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
