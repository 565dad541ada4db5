"""Hypothesis strategies: valid specs, what LiveKit may hold for a number, and whatever JSON can express."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from byoc_operator.api.characters import has_hidden
from byoc_operator.api.recorded_status import RecordedIds
from byoc_operator.api.schema import PhoneNumberSpec
from byoc_operator.api.secret_references import RECORDING_STORAGES, SIP_PASSWORD
from byoc_operator.api.validation import parse_spec
from byoc_operator.core.credential_values import Field
from byoc_operator.core.credentials import Credentials
from byoc_operator.core.credentials_in_use import CredentialsInUse
from byoc_operator.core.desired import Desired, Installation, RecreateValues, desired
from byoc_operator.core.masking import make_mask
from byoc_operator.core.ownership import Mark, Owned, Owner, claim, owner_of, rule_name
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, SipObject

MASK = make_mask(b"a key for tests")
PHONE = "+19876543210"
OWNER = Owner("cluster-a", "voice", "main")
STRANGER = Owner("cluster-b", "voice", "main")
INSTALLATION = Installation(("cluster-a", "cluster-old"), "livekit.example.com", sip_uri="sip.example.org")

QUICK = settings(max_examples=30, deadline=None)
"""Examples for each property. A low number keeps the unit tests quick."""

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
"""Whatever may stand in a field that nobody checks."""

json_objects = st.dictionaries(st.text(), json_values, max_size=4)

# Some letters are refused because nobody can see them, such as U+3164.
_plain = st.text(st.characters(categories=("L", "N")).filter(lambda each: not has_hidden(each)), max_size=12)
_agents = st.sampled_from(["", "agent_support", "agent_sales"])
_addresses = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6, network="2001:db8::/32").map(str),
    st.builds(lambda address, bits: f"{address}/{bits}", st.ip_addresses(v=4), st.integers(8, 32)),
)
_KEYS = {"credentialsSecretRef": {"name": "recordings"}}
_STORAGES: list[dict[str, Any]] = [
    {},
    {"s3": {"bucket": "calls", **_KEYS}},
    {"s3": {"bucket": "calls", "region": "eu-central-1", "endpoint": "http://minio", "forcePathStyle": True, **_KEYS}},
    {"gcs": {"bucket": "calls", **_KEYS}},
    {"azure": {"accountName": "acme", "containerName": "calls", **_KEYS}},
]
_transports = st.sampled_from([("TLS", "Required"), ("TLS", "Allowed"), ("TCP", "Disabled"), ("UDP", "Allowed")])
_inbound = st.fixed_dictionaries(
    {},
    optional={
        "allowedAddresses": st.lists(_addresses, min_size=1, max_size=3),
        "allowedCallers": st.just(["+15551230000"]),
        "aliases": st.lists(st.sampled_from(["100", "+200", "0987654321"]), unique=True),
        "authentication": st.sampled_from(["None", "Digest"]),
        "ringTimeoutSeconds": st.integers(1, 600),
        "noiseCancellation": st.booleans(),
        "headersToAttributes": st.just({"X-Customer-Id": "customerId"}),
        "attributesToHeaders": st.just({"outcome": "X-Outcome"}),
        "includeHeaders": st.sampled_from(["None", "XHeaders", "All"]),
        "responseHeaders": st.just({"X-Answered-By": "agent"}),
        "ringStatus": st.integers(400, 699),
        "agentMetadata": st.dictionaries(st.sampled_from(["tier", "queue"]), _plain),
        "additionalAgentIds": st.lists(st.sampled_from(["agent_a", "agent_b"]), unique=True),
        "attributes": st.dictionaries(st.sampled_from(["tier", "queue"]), _plain),
        "hideCallerNumber": st.booleans(),
        "recording": st.fixed_dictionaries(
            {},
            optional={
                "audioOnly": st.booleans(),
                "path": st.sampled_from(["", "calls/", "out/{room_name}-{time}", "{utc}_{room_id}.mp4"]),
            },
        ).flatmap(lambda recording: st.sampled_from(_STORAGES).map(lambda storage: {**recording, **storage})),
        "room": st.fixed_dictionaries(
            {},
            optional={
                "prefix": _plain,
                "emptyTimeoutSeconds": st.integers(1, 86_400),
                "departureTimeoutSeconds": st.integers(1, 86_400),
                "maxParticipants": st.integers(1, 1_000),
                "metadata": _plain,
                "tags": st.dictionaries(st.sampled_from(["team", "queue"]), _plain),
            },
        ),
    },
)


_outbound_specs = st.fixed_dictionaries(
    {},
    optional={
        "headersToAttributes": st.just({"X-Call-Ref": "carrierCallId"}),
        "attributesToHeaders": st.just({"outcome": "X-Outcome"}),
        "includeHeaders": st.sampled_from(["None", "XHeaders", "All"]),
    },
)
_media = st.fixed_dictionaries(
    {},
    optional={
        "codecs": st.lists(st.sampled_from(["PCMU", "PCMA/8000", "opus", "opus/48000"]), min_size=1, max_size=3),
        "mediaTimeoutSeconds": st.integers(1, 600),
    },
)


@st.composite
def raw_specs(draw: st.DrawFn) -> dict[str, Any]:
    """A spec as in the cluster that breaks no rule."""
    transport, media = draw(_transports)
    spec: dict[str, Any] = {
        "phoneNumber": PHONE,
        "terminationUri": draw(st.sampled_from(["sip.example.com", "a.pstn.twilio.com", "sip.telnyx.com:5061"])),
        "friendlyName": draw(_plain),
        "inboundAgentId": draw(_agents),
        "outboundAgentId": draw(_agents),
        "transport": transport,
        "mediaEncryption": media,
        "inbound": draw(_inbound),
        "outbound": draw(_outbound_specs),
        "media": draw(_media),
        "deletionPolicy": draw(st.sampled_from(["Delete", "Retain"])),
    }
    if draw(st.booleans()):
        spec["sipPasswordSecretRef"] = {"name": "sip"}
    digest = spec["inbound"].get("authentication") == "Digest"
    if digest and ("twilio" in spec["terminationUri"] or "sipPasswordSecretRef" not in spec):
        del spec["inbound"]["authentication"]
    return spec


@st.composite
def specs(draw: st.DrawFn) -> PhoneNumberSpec:
    """A valid spec, parsed."""
    parsed = parse_spec(draw(raw_specs()))
    assert isinstance(parsed, PhoneNumberSpec), parsed
    return parsed


CREDENTIALS = Credentials(
    {Field.USERNAME: MASK("user"), Field.PASSWORD: MASK("password")}, "sip", "7", watched=True, changed_at=0.0
)
STORAGE_KEYS = {
    path: replace(
        CREDENTIALS, values={field: MASK(f"{field} of a storage") for field in fields}, secret_name="recordings"
    )
    for path, fields in (
        (RECORDING_STORAGES["s3"], (Field.ACCESS_KEY_ID, Field.SECRET_ACCESS_KEY)),
        (RECORDING_STORAGES["gcs"], (Field.SERVICE_ACCOUNT_KEY,)),
        (RECORDING_STORAGES["azure"], (Field.STORAGE_ACCOUNT_KEY,)),
    )
}
IN_USE = CredentialsInUse({SIP_PASSWORD: CREDENTIALS})
"""The credentials of a number with `sipPasswordSecretRef`."""


def wanted(spec: PhoneNumberSpec, recreate: RecreateValues | None = None) -> Desired:
    """The LiveKit objects that `OWNER` should have, with credentials where the spec names a Secret."""
    credentials = CredentialsInUse(
        {**(IN_USE.by_path if spec.sip_password_secret_ref else {}), **STORAGE_KEYS},
    )
    return desired(spec, OWNER, INSTALLATION, credentials, recreate or RecreateValues(), MASK)


@dataclass(frozen=True, slots=True)
class Server:
    """All objects of a LiveKit by ID, and the IDs that the number's status names."""

    by_id: Mapping[str, SipObject]
    recorded: RecordedIds

    @property
    def owned(self) -> Owned:
        """What belongs to `OWNER`."""
        marked = [each for each in self.by_id.values() if owner_of(each) == OWNER]
        return claim(PHONE, self.recorded, marked, self.by_id)


_texts = st.sampled_from(["", "drifted", "sip.example.net"])
_marks = st.sampled_from(
    [
        Mark(OWNER).dump(),
        Mark(OWNER, recreate="1").dump(),
        Mark(OWNER, deletion_policy="Retain").dump(),
        Mark(STRANGER).dump(),
        "",
        "{}",
    ]
)
_extra = st.sampled_from([(), ("authRealm",)])
_numbers = st.sampled_from([(PHONE,), (PHONE, "+15550100000"), ("1 (987) 654-3210",)])
_outbound = st.builds(
    lambda name, mark, numbers, extra, listed, signed: OutboundTrunk(
        name=name,
        metadata=mark,
        address="sip.example.com",
        transport="TLS",
        numbers=numbers,
        username=MASK("user") if signed else None,
        password=MASK("password") if signed and listed else None,
        password_listed=listed or not signed,
        extra=extra,
    ),
    _texts,
    _marks,
    _numbers,
    _extra,
    st.booleans(),
    st.booleans(),
)
_inbound_trunks = st.builds(
    lambda name, mark, numbers, extra: InboundTrunk(name=name, metadata=mark, numbers=numbers, extra=extra),
    _texts,
    _marks,
    _numbers,
    _extra,
)
_rules = st.builds(
    lambda name, trunk: DispatchRule(name=name, trunk_ids=trunk, room_prefix="call-", agent_name="", agent_metadata=""),
    st.sampled_from([rule_name(OWNER), rule_name(STRANGER), "", "theirs"]),
    st.sampled_from([(), ("ST_in0",), ("ST_in1",), ("ST_in0", "ST_gone")]),
)


@st.composite
def servers(draw: st.DrawFn) -> Server:
    """Up to three objects of each kind: ours, foreign or without a mark, drifted or not, recorded or not."""
    by_id: dict[str, SipObject] = {}
    recorded = []
    kinds: tuple[tuple[str, st.SearchStrategy[Any]], ...] = (
        ("ST_out", _outbound),
        ("ST_in", _inbound_trunks),
        ("SDR_", _rules),
    )
    for prefix, strategy in kinds:
        found = draw(st.lists(strategy, max_size=3))
        ids = [f"{prefix}{position}" for position in range(len(found))]
        by_id |= {id_: replace(each, id=id_) for id_, each in zip(ids, found, strict=True)}
        recorded.append(draw(st.sampled_from(["", "ST_gone", *ids])))
    return Server(by_id, RecordedIds(*recorded))
