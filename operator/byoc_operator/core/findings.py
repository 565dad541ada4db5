"""What works but should be better. A finding never keeps a number from being Ready."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import phonenumbers

from .credentials import WATCH_LABEL, Credentials
from .desired import Installation, allowed_addresses
from .schema import MediaEncryption, PhoneNumberSpec, Transport

_DAY_S = 86_400


class Code(StrEnum):
    """The closed list of findings."""

    NO_INBOUND_AGENT = "NoInboundAgent"
    MEDIA_NOT_ENCRYPTED = "MediaNotEncrypted"
    TRANSPORT_NOT_ENCRYPTED = "TransportNotEncrypted"
    INBOUND_OPEN = "InboundOpen"
    NUMBER_NOT_IN_PLAN = "NumberNotInPlan"
    CREDENTIALS_NOT_WATCHED = "CredentialsNotWatched"
    CREDENTIALS_OLD = "CredentialsOld"
    FOREIGN_WILDCARD_RULE = "ForeignWildcardRule"
    SIP_URI_NOT_CONFIGURED = "SipUriNotConfigured"


MESSAGES: Mapping[Code, str] = {
    Code.NO_INBOUND_AGENT: "No agent answers calls to this number; set spec.inboundAgentId if it should take calls.",
    Code.MEDIA_NOT_ENCRYPTED: "Audio may travel unencrypted; set spec.mediaEncryption to Required if the carrier can "
    "do SRTP.",
    Code.TRANSPORT_NOT_ENCRYPTED: "Signalling travels unencrypted; set spec.transport to TLS if the carrier can.",
    Code.INBOUND_OPEN: "Calls are accepted from any address; list the carrier's signalling ranges in "
    "spec.inbound.allowedAddresses.",
    Code.NUMBER_NOT_IN_PLAN: "The number is in no numbering plan that the operator knows; check it for a typing error.",
    Code.CREDENTIALS_NOT_WATCHED: "Changes of the Secret are only noticed at the next sweep; label it "
    f"{WATCH_LABEL}=true and they take effect at once.",
    Code.CREDENTIALS_OLD: "The SIP password has not been changed for longer than the operator's limit; change it at "
    "the carrier and in the Secret.",
    Code.FOREIGN_WILDCARD_RULE: "A dispatch rule in LiveKit that is not ours names no trunk, so it also takes calls "
    "that allowed addresses and digest should keep out; delete it or give it trunk_ids.",
    Code.SIP_URI_NOT_CONFIGURED: "The operator does not know its public SIP endpoint, so there is no "
    "status.originationUri; set BYOC_SIP_URI.",
}
"""What is said for each finding: fixed texts, so that what others do in LiveKit rewrites no status again and again."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding as it stands in the status."""

    code: Code
    message: str


def findings(
    spec: PhoneNumberSpec,
    installation: Installation,
    credentials: Credentials | None,
    foreign_wildcard_rules: tuple[str, ...],
    now_s: float,
) -> tuple[Finding, ...]:
    """All findings for a valid spec. `foreign_wildcard_rules`: their LiveKit IDs; `now_s`: epoch seconds."""
    inbound = bool(spec.inbound_agent_id)
    limit_s = installation.credentials_max_age_days * _DAY_S
    found = {
        Code.NO_INBOUND_AGENT: not inbound,
        Code.MEDIA_NOT_ENCRYPTED: spec.media_encryption is not MediaEncryption.REQUIRED,
        Code.TRANSPORT_NOT_ENCRYPTED: spec.transport is not Transport.TLS,
        Code.INBOUND_OPEN: inbound and not allowed_addresses(spec),
        Code.NUMBER_NOT_IN_PLAN: not _in_a_plan(spec.phone_number),
        Code.CREDENTIALS_NOT_WATCHED: credentials is not None and not credentials.watched,
        Code.CREDENTIALS_OLD: credentials is not None and 0 < limit_s < now_s - credentials.changed_at,
        Code.FOREIGN_WILDCARD_RULE: inbound and bool(foreign_wildcard_rules),
        Code.SIP_URI_NOT_CONFIGURED: inbound and not installation.sip_uri,
    }
    return tuple(Finding(code, MESSAGES[code]) for code, there in found.items() if there)


@lru_cache(maxsize=16_384)
def _in_a_plan(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
