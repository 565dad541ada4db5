"""Rules for texts: names, credentials' references, SIP headers, metadata."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from . import grammar
from .characters import HIDDEN, HIDDEN_IN_TEXT, has_hidden
from .grammar import matches
from .rule import Rule, cel_text, form, has_any, offenders, offenders_cel, text_rule

_UNSEEN: Final = "such as a zero width space, a soft hyphen, a direction mark or a byte order mark"


def _without_controls(node: str) -> Rule:
    return Rule(
        node=node,
        message="must not have control characters such as line breaks or tabs",
        cel=form(grammar.WITHOUT_CONTROLS),
        holds=lambda text: matches(grammar.WITHOUT_CONTROLS, text),
    )


def _identifier_rule(node: str) -> Rule:
    return Rule(
        node=node,
        message="must not have control characters and must not begin or end with a blank",
        cel=form(grammar.WITHOUT_CONTROLS_AND_EDGE_BLANKS),
        holds=lambda text: matches(grammar.WITHOUT_CONTROLS_AND_EDGE_BLANKS, text),
    )


def _visible_rule(node: str, hidden: str) -> Rule:
    one = re.compile(f"[{hidden}]")
    return text_rule(
        node,
        f"must not have characters that cannot be seen, {_UNSEEN}",
        f"!{has_any(hidden)}",
        lambda text: not one.search(text),
    )


TEXT_RULES: Final = (
    _without_controls("friendlyName"),
    _visible_rule("friendlyName", HIDDEN_IN_TEXT),
    _identifier_rule("inboundAgentId"),
    _visible_rule("inboundAgentId", HIDDEN),
    _identifier_rule("outboundAgentId"),
    _visible_rule("outboundAgentId", HIDDEN),
    Rule(
        node="sipUsername",
        message="must not have control characters, quotes, backslashes or colons and must not begin or end with a "
        "blank",
        cel=form(grammar.USER_NAME),
        holds=lambda name: matches(grammar.USER_NAME, name),
    ),
    _visible_rule("sipUsername", HIDDEN),
    text_rule(
        "sipPasswordSecretRef.name",
        "must be the name of a Secret: lower-case letters, digits, dashes and dots, such as twilio-sip",
        form(grammar.DNS_SUBDOMAIN),
        lambda name: matches(grammar.DNS_SUBDOMAIN, name),
    ),
    text_rule(
        "sipPasswordSecretRef.key",
        "must be a key of a Secret: letters, digits, dashes, underscores and dots, such as password",
        form(grammar.DATA_KEY),
        lambda key: matches(grammar.DATA_KEY, key),
    ),
    Rule(
        node="sipPasswordSecretRef.key",
        message="must not be username, the key that is read as SIP user name; put the password under another key, "
        "such as password",
        cel='self != "username"',
        holds=lambda key: key != "username",
    ),
    Rule(
        node="outbound.destinationCountry",
        message="must be a country as two letters of ISO 3166-1, such as US or GB (not UK)",
        cel=f'self == "" || {form(grammar.COUNTRY)} && self.lowerAscii() != "uk"',
        holds=lambda code: not code or (matches(grammar.COUNTRY, code) and code.lower() != "uk"),
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
"""Headers of the INVITE that LiveKit writes itself, lower-case, compact forms too.

LiveKit refuses most of them (livekit/protocol `livekit/sip_validation.go`, `ForbiddenSipHeaderNames`); To, Via, From's
and Call-ID's compact forms, Route and the two with credentials it takes, and then sends a broken INVITE.
"""

MAX_METADATA_KEY_LENGTH: Final = 253

RESERVED_METADATA: Final = ("agentId", "phoneNumber", "direction", "namespace", "name")
"""Keys of the agent's metadata that the operator sets."""

RESERVED_METADATA_KEY: Final = f"(?i)^(?:{'|'.join(RESERVED_METADATA)})$"
"""Those keys in any case, also with U+017F for an s: some JSON decoders (Go's `encoding/json`) take these for the same.

CEL's RE2 and Python's `re` fold case in the same way here.
"""

_RESERVED_HEADERS_CEL = "[" + ", ".join(f'"{name}"' for name in sorted(RESERVED_HEADERS)) + "]"


def is_reserved_metadata(key: str) -> bool:
    """Whether a key of the agent's metadata is one that the operator sets, or is taken for one."""
    return re.fullmatch(RESERVED_METADATA_KEY, key) is not None


def _map_rule(
    node: str, message: str, wrong_cel: str, is_wrong: Callable[[str, str], bool], *, kept: bool = False
) -> Rule:
    """A rule for each entry of a map; `wrong_cel` is over the key `k` and over `self[k]`. The hint names the keys."""

    def wrong(entries: Mapping[str, str]) -> list[str]:
        return sorted(key for key, value in entries.items() if is_wrong(key, value))

    return Rule(
        node=node,
        message=message,
        cel=f"!self.exists(k, {wrong_cel})",
        holds=lambda entries: not wrong(entries),
        message_cel=offenders_cel(message, f"self.filter(k, {wrong_cel})"),
        hint=lambda entries: offenders(wrong(entries)),
        kept=kept,
    )


def _visible_map_rule(node: str, values: str, *, keys: bool = False) -> Rule:
    """Texts of a map without hidden characters: `values` says which; keys are identifiers, header names are ASCII."""
    one = re.compile(f"[{values}]")
    parts = (["keys"] if keys else []) + ["values"]
    wrong_cel = has_any(values, "self[k]")
    return _map_rule(
        node,
        f"must not have {' or '.join(parts)} with characters that cannot be seen, {_UNSEEN} "
        "(U+00AD, U+200B to U+200F, U+2028 to U+202E, U+2060 to U+206F, U+FEFF and others)",
        f"{has_any(HIDDEN, 'k')} || {wrong_cel}" if keys else wrong_cel,
        lambda key, value: (keys and has_hidden(key)) or one.search(value) is not None,
    )


def _header_name_rule(node: str) -> Rule:
    return _map_rule(
        node,
        "must have header names of 1 to 255 letters, digits and -.!%*_+`'~ only, such as X-Customer-Id",
        f"k.size() > {grammar.MAX_HEADER_NAME_LENGTH} || !{form(grammar.HEADER_NAME, 'k')}",
        lambda name, _: len(name) > grammar.MAX_HEADER_NAME_LENGTH or not matches(grammar.HEADER_NAME, name),
    )


HEADER_RULES: Final = (
    _header_name_rule("outbound.headers"),
    _map_rule(
        "outbound.headers",
        "must not have From, To, Via, Contact, Call-ID, CSeq or another header that LiveKit writes itself, nor their "
        "one-letter forms; names such as X-Account are allowed",
        f"k.lowerAscii() in {_RESERVED_HEADERS_CEL}",
        lambda name, _: name.lower() in RESERVED_HEADERS,
    ),
    _map_rule(
        "outbound.headers",
        "must have values of at most 1024 bytes without control characters",
        f"bytes(self[k]).size() > {grammar.MAX_HEADER_VALUE_BYTES} || !{form(grammar.WITHOUT_CONTROLS, 'self[k]')}",
        lambda _, value: (
            len(value.encode(errors="surrogatepass")) > grammar.MAX_HEADER_VALUE_BYTES
            or not matches(grammar.WITHOUT_CONTROLS, value)
        ),
    ),
    _visible_map_rule("outbound.headers", HIDDEN),
    _header_name_rule("inbound.headersToAttributes"),
    _map_rule(
        "inbound.headersToAttributes",
        "must have attribute names that are not empty and have no control characters",
        f'self[k] == "" || !{form(grammar.WITHOUT_CONTROLS, "self[k]")}',
        lambda _, attribute: not attribute or not matches(grammar.WITHOUT_CONTROLS, attribute),
    ),
    _visible_map_rule("inbound.headersToAttributes", HIDDEN),
    _map_rule(
        "inbound.agentMetadata",
        "must not have the keys agentId, phoneNumber, direction, namespace and name, which the operator sets, in upper "
        "or lower case; other keys are allowed",
        f"k.matches({cel_text(RESERVED_METADATA_KEY)})",
        lambda key, _: is_reserved_metadata(key),
        kept=True,  # such keys are left out of what the agent gets, and a finding names them
    ),
    _map_rule(
        "inbound.agentMetadata",
        "must have keys of 1 to 253 characters, and neither keys nor values with control characters",
        f"k.size() < 1 || k.size() > {MAX_METADATA_KEY_LENGTH} || !{form(grammar.WITHOUT_CONTROLS, 'k')} || "
        f"!{form(grammar.WITHOUT_CONTROLS, 'self[k]')}",
        lambda key, value: (
            not 1 <= len(key) <= MAX_METADATA_KEY_LENGTH
            or not matches(grammar.WITHOUT_CONTROLS, key)
            or not matches(grammar.WITHOUT_CONTROLS, value)
        ),
    ),
    _visible_map_rule("inbound.agentMetadata", HIDDEN_IN_TEXT, keys=True),
)
