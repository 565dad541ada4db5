"""The spec of a `ByocPhoneNumber` as frozen models: the source of the CRD's schema and of its documentation.

Attributes are snake_case here and camelCase in JSON. The models have the types and the bounds, which belong to the
schema; `api.rules` has all other rules. A model does not check the rules, so `api.validation.parse_spec` must be used
for objects of the cluster.
"""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from .carriers import Carrier
from .schema_media import PLAIN_MEDIA, IncludeHeaders, MediaSpec
from .schema_recording import RecordingSpec
from .schema_room import ADDITIONAL_AGENTS, PLAIN_ROOM, RoomSpec
from .schema_types import ATOMIC, INT32, Address, AgentId, Model, Phone, SecretKeyRef, Value

MAX_CALL_DURATION_S = 86_400
"""24 hours: LiveKit SIP ends a call after that anyway (livekit/sip `pkg/sip/participant.go`, `maxCallDuration`)."""

MAX_ALIASES = 16
"""Aliases of one number. A carrier has a few spellings, and a switchboard a few extensions that lead to one agent."""

MAX_RING_TIMEOUT_S = 600
"""LiveKit rings for 180 s by default and has no upper bound.

A carrier's proxy gives up after its Timer C of more than three minutes unless it sees further provisional responses
(RFC 3261 section 16.6, step 11). More than ten minutes is therefore a typing mistake.
"""


MIN_RING_STATUS, MAX_RING_STATUS = 400, 699
"""The final answers of SIP that are failures (RFC 3261 section 7.2). Redirections would need a Contact."""


class Transport(StrEnum):
    """How SIP signalling travels between LiveKit and the carrier."""

    TLS = "TLS"
    TCP = "TCP"
    UDP = "UDP"


class MediaEncryption(StrEnum):
    """Whether audio is encrypted (SRTP)."""

    REQUIRED = "Required"
    ALLOWED = "Allowed"
    DISABLED = "Disabled"


class Authentication(StrEnum):
    """What LiveKit asks of the carrier's inbound calls."""

    NONE = "None"
    DIGEST = "Digest"


class ManagementPolicy(StrEnum):
    """Whether the operator writes to LiveKit or only lists what it would change."""

    MANAGE = "Manage"
    OBSERVE = "Observe"


class DeletionPolicy(StrEnum):
    """What happens to the LiveKit objects when the object is deleted."""

    DELETE = "Delete"
    RETAIN = "Retain"


class InboundSpec(Model):
    """Which calls LiveKit accepts for the number, and how."""

    allowed_addresses: tuple[Address, ...] | None = Field(
        default=None,
        max_length=64,
        json_schema_extra=ATOMIC,
        description="Addresses the carrier calls from: CIDRs or single addresses, IPv4 or IPv6, at least one. Absent: "
        "the known ranges of the carrier (the reference lists them); where there are none, anyone. A list of yours "
        "replaces those ranges. An allow-list is hygiene, not authentication. Example: [54.172.60.0/30]",
    )
    allow_any_address: bool = Field(
        default=False,
        description="Permits ranges wider than /8 (IPv6: /16) in `allowedAddresses`; without `allowedAddresses`, calls "
        "are accepted from everywhere.",
    )
    allowed_callers: tuple[Phone, ...] | None = Field(
        default=None,
        max_length=100,
        json_schema_extra=ATOMIC,
        description="Numbers that may call, in E.164, at least one. Absent: anyone. Example: ['+15551230000']",
    )
    aliases: tuple[Phone, ...] | None = Field(
        default=None,
        max_length=MAX_ALIASES,
        json_schema_extra=ATOMIC,
        description="Other spellings under which calls for this number arrive: national format, an extension, a short "
        "code. Digits, with or without a plus. With and without plus is the same to LiveKit, so the number without its "
        "plus needs no alias. An alias is claimed like a number: no other object gets it. Example: ['02079460123', "
        "'100']",
    )
    authentication: Authentication = Field(
        default=Authentication.NONE,
        description="What a calling trunk must prove. None: nothing. Digest: it must answer a challenge with the "
        "credentials of `credentialsSecretRef`, else of this number (`sipPasswordSecretRef`); Twilio's SIP trunks "
        "cannot.",
    )
    credentials_secret_ref: SecretKeyRef | None = Field(
        default=None,
        description="Secret with the user name (key `username`) and the password that a calling trunk must prove, in "
        "the same namespace; needs authentication Digest. Absent: the credentials of `sipPasswordSecretRef`.",
    )
    auth_realm: str = Field(
        default="",
        max_length=255,
        description="Realm of the digest challenge, if the carrier wants one of its own; needs authentication Digest. "
        "Absent: LiveKit's. Example: sip.example.com",
    )
    ring_timeout_seconds: int | None = Field(
        default=None,
        ge=1,
        le=MAX_RING_TIMEOUT_S,
        json_schema_extra=INT32,
        description="How long a caller hears ringing until an agent answers, in seconds. Absent: LiveKit's default "
        "(180). Example: 60",
    )
    ring_status: int | None = Field(
        default=None,
        ge=MIN_RING_STATUS,
        le=MAX_RING_STATUS,
        json_schema_extra=INT32,
        description="SIP status that a caller gets if no agent answers in time: a final answer that is a failure, from "
        "400 to 699. Many carriers go on to a second destination after 480 or 503, and not after 486 or 603. Needs a "
        "livekit-server newer than 1.13.5, which stores it only. Absent: LiveKit's default. Example: 480",
    )
    max_call_duration_seconds: int | None = Field(
        default=None,
        ge=1,
        le=MAX_CALL_DURATION_S,
        json_schema_extra=INT32,
        description="After how many seconds a call is ended. Absent: LiveKit's default (24 hours). Example: 3600",
    )
    noise_cancellation: bool = Field(
        default=False,
        description="Krisp noise cancellation of the caller's audio; LiveKit Cloud only.",
    )
    headers_to_attributes: Mapping[str, Value] = Field(
        default_factory=dict,
        max_length=16,
        description="SIP headers of the call that become attributes of the caller in the room: header name to "
        "attribute name, which must not begin with `sip.` or `lk.`. Example: {X-Customer-Id: customerId}",
    )
    attributes_to_headers: Mapping[str, Value] = Field(
        default_factory=dict,
        max_length=16,
        description="Attributes of the caller in the room that become SIP headers of the BYE or REFER with which "
        "LiveKit ends or transfers the call: attribute name to header name. Example: {outcome: X-Outcome}",
    )
    include_headers: IncludeHeaders | None = Field(
        default=None,
        description="Which SIP headers of the call become attributes `sip.h.NAME` of the caller. Absent, None: those "
        "of `headersToAttributes` only. XHeaders: every header whose name begins with X-. All: every header.",
    )
    response_headers: Mapping[str, Value] = Field(
        default_factory=dict,
        max_length=16,
        description="SIP headers on the 200 OK with which LiveKit answers a call; the same rules as for "
        "`outbound.headers`. Not for secrets. Example: {X-Answered-By: agent}",
    )
    agent_metadata: Mapping[str, Value] = Field(
        default_factory=dict,
        max_length=16,
        description="More keys for the JSON metadata that the agent receives. `agentId`, `phoneNumber`, `direction`, "
        "`namespace` and `name` are set by the operator. Visible to participants, so nothing secret.",
    )
    additional_agent_ids: tuple[AgentId, ...] = Field(
        default=(),
        max_length=ADDITIONAL_AGENTS,
        json_schema_extra=ATOMIC,
        description="More agents that join each call, by the names under which they are registered at LiveKit, at most "
        "8. Each gets the same metadata as the agent of `inboundAgentId`; all copies of it count for the bound of "
        "98304 bytes that metadata, attributes and tags have together. Example: [transcriber]",
    )
    attributes: Mapping[str, Value] = Field(
        default_factory=dict,
        max_length=16,
        description="Attributes that the caller has in the room from the start, at most 16. Names that begin with "
        "`sip.` or `lk.` belong to LiveKit. Visible to participants, so nothing secret. Example: {queue: support}",
    )
    hide_caller_number: bool = Field(
        default=False,
        description="Keeps the caller's number out of the room: LiveKit sets no attributes with the numbers of the "
        "call and the caller's host, and a hash takes the place of the number in the caller's identity. The last four "
        "digits stay in the caller's name and in the name of the room. Anyone can compute the hash of a number, so "
        "the hash tells whether a known number called. `headersToAttributes` shows the number again if it names From "
        "or a like header, and so does `includeHeaders` All.",
    )
    room: RoomSpec = Field(default_factory=lambda: PLAIN_ROOM, description="The room that LiveKit opens for each call.")
    recording: RecordingSpec | None = Field(default=None, description="Records each call. Absent: no recording.")


class OutboundSpec(Model):
    """How LiveKit places calls from the number."""

    headers: Mapping[str, Value] = Field(
        default_factory=dict,
        max_length=16,
        description="More SIP headers on the INVITE, at most 16: names up to 255, values up to 1024 characters; not "
        "From, To, Via, Contact, Call-ID or CSeq. Not for secrets. Example: {X-Account: '4711'}",
    )
    headers_to_attributes: Mapping[str, Value] = Field(
        default_factory=dict,
        max_length=16,
        description="SIP headers of the 200 OK that become attributes of the called side in the room: header name to "
        "attribute name, which must not begin with `sip.` or `lk.`. Example: {X-Call-Ref: carrierCallId}",
    )
    attributes_to_headers: Mapping[str, Value] = Field(
        default_factory=dict,
        max_length=16,
        description="Attributes of the called side in the room that become SIP headers of the BYE or REFER with which "
        "LiveKit ends or transfers the call: attribute name to header name. Example: {outcome: X-Outcome}",
    )
    include_headers: IncludeHeaders | None = Field(
        default=None,
        description="Which SIP headers of the 200 OK become attributes `sip.h.NAME` of the called side. Absent, "
        "None: those of `headersToAttributes` only. XHeaders: every header whose name begins with X-. All: every "
        "header.",
    )
    from_host: str = Field(
        default="",
        max_length=253,
        description="Host of the From address, if the carrier wants its own there: a host name or an IP address, "
        "IPv6 with or without brackets. Absent: LiveKit's. Example: voice.example.com",
    )
    destination_country: str = Field(
        default="",
        max_length=64,
        description="Country that is mostly called, two letters (ISO 3166-1); LiveKit Cloud then dials from nearby. "
        "Example: US",
    )


class PhoneNumberSpec(Model):
    """The number, its carrier and its agents, as wanted."""

    phone_number: Phone = Field(
        description="The number in E.164: a plus sign, country code, at most 15 digits; in quotes. Cannot be "
        "changed later. Example: '+19876543210'"
    )
    termination_uri: str = Field(
        max_length=320,
        description="Where the carrier takes our calls: host, host:port or [IPv6]:port, without `sip:` and without "
        "parameters. Example: your-trunk.pstn.twilio.com",
    )
    friendly_name: str = Field(
        default="", max_length=128, description="Name shown in LiveKit. Absent: the number. Example: Main Support Line"
    )
    inbound_agent_id: str = Field(
        default="",
        max_length=128,
        description="Agent that answers calls to the number. Absent: the number takes no calls. Example: agent_support",
    )
    outbound_agent_id: str = Field(
        default="",
        max_length=128,
        description="Agent that calls from the number; recorded on the outbound trunk. Example: agent_sales",
    )
    sip_username: str = Field(
        default="",
        max_length=256,
        description="SIP user name at the carrier; needs `sipPasswordSecretRef`. Absent: key `username` of that "
        "Secret.",
    )
    sip_password_secret_ref: SecretKeyRef | None = Field(
        default=None,
        description="Secret with the SIP password, in the same namespace. Absent: the carrier asks for no credentials.",
    )
    carrier: Carrier | None = Field(
        default=None,
        description="Carrier whose particulars apply. Absent: told by the host of `terminationUri` (docs/carriers.md "
        "has the hosts), else Generic.",
    )
    transport: Transport = Field(
        default=Transport.TLS,
        description="How SIP signalling travels. TLS: encrypted. TCP, UDP: in clear, credentials as a digest. A port "
        "other than the transport's own (TLS 5061, else 5060) goes into `terminationUri`.",
    )
    media_encryption: MediaEncryption = Field(
        default=MediaEncryption.REQUIRED,
        description="SRTP, the encryption of audio. Required: calls without it fail (needs transport TLS, which "
        "carries its keys). Allowed: calls in work with it and without; calls out offer it, and a carrier that has it "
        "switched off refuses them (488). Disabled: calls out do without, and a caller that insists on it hears "
        "silence.",
    )
    media: MediaSpec = Field(default_factory=lambda: PLAIN_MEDIA, description="How audio travels, in both directions.")
    inbound: InboundSpec = Field(
        default_factory=InboundSpec, description="Which calls are accepted, and how. Needs `inboundAgentId`."
    )
    outbound: OutboundSpec = Field(default_factory=OutboundSpec, description="How calls are placed.")
    management_policy: ManagementPolicy = Field(
        default=ManagementPolicy.MANAGE,
        description="Manage: LiveKit is kept in step. Observe: nothing is ever written to LiveKit, not even at "
        "deletion; `status.pendingChanges` says what would change.",
    )
    deletion_policy: DeletionPolicy = Field(
        default=DeletionPolicy.DELETE,
        description="What happens in LiveKit when this object is deleted. Delete: trunks and rule go. Retain: they "
        "stay and keep working.",
    )
