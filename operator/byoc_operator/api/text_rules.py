"""Rules for texts: names, references to credentials, SIP headers, agent metadata."""

import re
from typing import Final

from . import grammar
from .characters import HIDDEN, HIDDEN_IN_TEXT
from .grammar import matches
from .reference_rules import reference_rules
from .room_rules import LIVEKITS_ATTRIBUTE, LIVEKITS_NAMES, is_livekits_attribute
from .rule import Entries, Rule, TextForm, cel_text, fits_cel, not_empty_rule, pattern_rule, whole
from .rule_makers import (
    HEADER_NAMES,
    ONLY_WITHOUT_CONTROLS,
    VALUE_WITHOUT_CONTROLS_CEL,
    header_name_rule,
    identifier_rule,
    map_rule,
    not_header_name_cel,
    plain_map_rule,
    visible_map_rule,
    visible_rule,
    without_controls_rule,
)
from .secret_references import PATHS

TEXT_RULES: Final = (
    without_controls_rule("friendlyName"),
    visible_rule("friendlyName", HIDDEN_IN_TEXT),
    identifier_rule("inboundAgentId"),
    visible_rule("inboundAgentId", HIDDEN),
    identifier_rule("outboundAgentId"),
    visible_rule("outboundAgentId", HIDDEN),
    pattern_rule(
        "sipUsername",
        "must not have control characters, quotes, backslashes or colons and must not begin or end with a blank",
        grammar.USER_NAME,
    ),
    visible_rule("sipUsername", HIDDEN),
    *(rule for path in PATHS for rule in reference_rules(path)),
    not_empty_rule("media.codecs", "must have at least one codec; leave codecs out for LiveKit's own"),
    pattern_rule(
        "media.codecs[]",
        "must be a codec as SDP names it with its clock rate, such as AMR/8000; only PCMU, PCMA, G722, AMR-WB and "
        "opus, in exactly these letters, need no rate, and without one LiveKit would refuse every call",
        grammar.CODEC,
    ),
    pattern_rule(
        "inbound.authRealm",
        "must not have control characters, quotes, backslashes or colons and must not begin or end with a blank",
        grammar.USER_NAME,
    ),
    visible_rule("inbound.authRealm", HIDDEN),
    Rule(
        node="outbound.destinationCountry",
        message="must be a country as two letters of ISO 3166-1, such as US or GB (not UK)",
        cel=f'self == "" || {fits_cel(grammar.COUNTRY)} && self.lowerAscii() != "uk"',
        holds=lambda code: not code or (matches(grammar.COUNTRY, code) and code.lower() != "uk"),
        form=TextForm(all=(whole(f"(?:{grammar.COUNTRY})?"),), none=(whole("[Uu][Kk]"),)),
    ),
)

# --- headers and other maps ----------------------------------------------------------------------------------------

RESERVED_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "allow",
        "allow-events",
        "authorization",
        "call-id",
        "contact",
        "content-encoding",
        "content-length",
        "content-type",
        "cseq",
        "event",
        "expires",
        "from",
        "max-forwards",
        "proxy-authorization",
        "record-route",
        "refer-to",
        "reply-to",
        "route",
        "supported",
        "to",
        "via",
    }
) | frozenset("cefiklmortuv")
"""Headers of the INVITE that LiveKit writes itself: lower-case names and compact forms.

LiveKit refuses most of them (livekit/protocol `livekit/sip_validation.go`, `ForbiddenSipHeaderNames`). It accepts To,
Via, Route, Authorization, Proxy-Authorization and the compact forms of From and Call-ID, and then sends a broken
INVITE.
"""

RESERVED_METADATA: Final = ("agentId", "phoneNumber", "direction", "namespace", "name")
"""Keys of the agent's metadata that the operator sets."""

RESERVED_METADATA_KEY: Final = f"(?i)^(?:{'|'.join(RESERVED_METADATA)})$"
"""Matches those keys in upper and lower case, also with U+017F for an s.

Some JSON decoders (Go's `encoding/json`) treat such keys as equal. CEL's RE2 and Python's `re` ignore case in the same
way here.
"""

_RESERVED_HEADERS_CEL = "[" + ", ".join(f'"{name}"' for name in sorted(RESERVED_HEADERS)) + "]"


def is_reserved_metadata(key: str) -> bool:
    """Whether a key of the agent's metadata equals one that the operator sets, in upper or lower case."""
    return re.fullmatch(RESERVED_METADATA_KEY, key) is not None


_RESERVED_HEADERS: Final = rf"(?i)^(?:{'|'.join(sorted(RESERVED_HEADERS))})$"
_RESERVED_MESSAGE: Final = (
    "From, To, Via, Contact, Call-ID, CSeq or another header that LiveKit writes itself, nor their one-letter forms; "
    "names such as X-Account are allowed"
)


def _sent_headers_rules(node: str) -> tuple[Rule, ...]:
    """The rules for headers that LiveKit sends: header name to value."""
    return (
        header_name_rule(node),
        map_rule(
            node,
            f"must not have {_RESERVED_MESSAGE}",
            (f"k.lowerAscii() in {_RESERVED_HEADERS_CEL}", lambda name, _: name.lower() in RESERVED_HEADERS),
            Entries(keys=TextForm(none=(_RESERVED_HEADERS,))),
        ),
        map_rule(
            node,
            "must have values of at most 1024 bytes without control characters",
            (
                f"bytes(self[k]).size() > {grammar.MAX_HEADER_VALUE_BYTES} || !{VALUE_WITHOUT_CONTROLS_CEL}",
                lambda _, value: (
                    len(value.encode(errors="surrogatepass")) > grammar.MAX_HEADER_VALUE_BYTES
                    or not matches(grammar.WITHOUT_CONTROLS, value)
                ),
            ),
            Entries(values=TextForm(all=ONLY_WITHOUT_CONTROLS, max_bytes=grammar.MAX_HEADER_VALUE_BYTES)),
        ),
        visible_map_rule(node, HIDDEN),
    )


def _headers_to_attributes_rules(node: str) -> tuple[Rule, ...]:
    """The rules for headers that become attributes: header name to attribute name."""
    return (
        header_name_rule(node),
        map_rule(
            node,
            "must have attribute names that are not empty and have no control characters",
            (
                f'self[k] == "" || !{VALUE_WITHOUT_CONTROLS_CEL}',
                lambda _, attribute: not attribute or not matches(grammar.WITHOUT_CONTROLS, attribute),
            ),
            Entries(values=TextForm(all=ONLY_WITHOUT_CONTROLS, none=("^$",))),
        ),
        map_rule(
            node,
            f"must not have attribute names {LIVEKITS_NAMES}",
            (
                f"self[k].matches({cel_text(LIVEKITS_ATTRIBUTE)})",
                lambda _, attribute: is_livekits_attribute(attribute),
            ),
            Entries(values=TextForm(none=(LIVEKITS_ATTRIBUTE,))),
            kept=True,  # 0.1.0 accepted such names for calls in
        ),
        visible_map_rule(node, HIDDEN),
    )


def _attributes_to_headers_rules(node: str) -> tuple[Rule, ...]:
    """The rules for attributes that become headers: attribute name to header name."""
    return (
        plain_map_rule(node),
        map_rule(
            node,
            "must map to header names of 1 to 255 letters, digits and -.!%*_+`'~ only, such as X-Outcome",
            (not_header_name_cel("self[k]"), lambda _, name: not grammar.is_header_name(name)),
            Entries(values=HEADER_NAMES),
        ),
        map_rule(
            node,
            f"must not map to {_RESERVED_MESSAGE}",
            (f"self[k].lowerAscii() in {_RESERVED_HEADERS_CEL}", lambda _, name: name.lower() in RESERVED_HEADERS),
            Entries(values=TextForm(none=(_RESERVED_HEADERS,))),
        ),
        visible_map_rule(node, HIDDEN, keys=True),
    )


HEADER_RULES: Final = (
    *_sent_headers_rules("outbound.headers"),
    *_headers_to_attributes_rules("outbound.headersToAttributes"),
    *_attributes_to_headers_rules("outbound.attributesToHeaders"),
    *_sent_headers_rules("inbound.responseHeaders"),
    *_headers_to_attributes_rules("inbound.headersToAttributes"),
    *_attributes_to_headers_rules("inbound.attributesToHeaders"),
    map_rule(
        "inbound.agentMetadata",
        "must not have the keys agentId, phoneNumber, direction, namespace and name, which the operator sets, in upper "
        "or lower case; other keys are allowed",
        (f"k.matches({cel_text(RESERVED_METADATA_KEY)})", lambda key, _: is_reserved_metadata(key)),
        Entries(keys=TextForm(none=(RESERVED_METADATA_KEY,))),
        kept=True,  # the operator leaves such keys out of the agent's metadata, and a finding names them
    ),
    plain_map_rule("inbound.agentMetadata"),
    visible_map_rule("inbound.agentMetadata", HIDDEN_IN_TEXT, keys=True),
)
