"""Rules for texts: names, references to credentials, SIP headers, agent metadata."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from . import grammar
from .characters import HIDDEN, HIDDEN_IN_TEXT, has_hidden
from .grammar import matches
from .rule import (
    Entries,
    Rule,
    TextForm,
    cel_text,
    fits_cel,
    has_any,
    naming,
    offenders,
    offenders_cel,
    pattern_rule,
    whole,
)
from .schema import SecretKeyRef
from .secret_references import PATHS, TYPES

_UNSEEN: Final = "such as a zero width space, a soft hyphen, a direction mark or a byte order mark"


def _without_controls(node: str) -> Rule:
    message = "must not have control characters such as line breaks or tabs"
    return pattern_rule(node, message, grammar.WITHOUT_CONTROLS)


def _identifier_rule(node: str) -> Rule:
    message = "must not have control characters and must not begin or end with a blank"
    return pattern_rule(node, message, grammar.WITHOUT_CONTROLS_AND_EDGE_BLANKS)


def _visible_rule(node: str, hidden: str) -> Rule:
    one = re.compile(f"[{hidden}]")
    rule = Rule(
        node=node,
        message=f"must not have characters that cannot be seen, {_UNSEEN}",
        cel=f"!{has_any(hidden)}",
        holds=lambda text: not one.search(text),
        form=TextForm(none=(f"[{hidden}]",)),
    )
    return naming(rule)


def _reference_rules(path: str) -> tuple[Rule, ...]:
    """The rules for a reference to a Secret; those for its key, if the reference names the key of a password."""
    name = pattern_rule(
        f"{path}.name",
        "must be the name of a Secret: lower-case letters, digits, dashes and dots, such as twilio-sip",
        grammar.DNS_SUBDOMAIN,
    )
    if not issubclass(TYPES[path], SecretKeyRef):
        return (naming(name),)
    key = pattern_rule(
        f"{path}.key",
        "must be a key of a Secret: letters, digits, dashes, underscores and dots, such as password",
        grammar.DATA_KEY,
    )
    not_the_user_name = Rule(
        node=f"{path}.key",
        message="must not be username, the key that is read as SIP user name; put the password under another key, "
        "such as password",
        cel='self != "username"',
        holds=lambda key: key != "username",
        form=TextForm(none=(whole("username"),)),
    )
    return naming(name), naming(key), not_the_user_name


TEXT_RULES: Final = (
    _without_controls("friendlyName"),
    _visible_rule("friendlyName", HIDDEN_IN_TEXT),
    _identifier_rule("inboundAgentId"),
    _visible_rule("inboundAgentId", HIDDEN),
    _identifier_rule("outboundAgentId"),
    _visible_rule("outboundAgentId", HIDDEN),
    pattern_rule(
        "sipUsername",
        "must not have control characters, quotes, backslashes or colons and must not begin or end with a blank",
        grammar.USER_NAME,
    ),
    _visible_rule("sipUsername", HIDDEN),
    *(rule for path in PATHS for rule in _reference_rules(path)),
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

MAX_METADATA_KEY_LENGTH: Final = 253

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


_NAMES: Final = TextForm(
    all=(whole(grammar.HEADER_NAME), rf"^.{{1,{grammar.MAX_HEADER_NAME_LENGTH}}}$"),
)
_WITHOUT_CONTROLS: Final = (whole(grammar.WITHOUT_CONTROLS),)
_VALUE_WITHOUT_CONTROLS_CEL: Final = fits_cel(grammar.WITHOUT_CONTROLS, "self[k]")
_METADATA_WRONG_CEL: Final = (
    f"k.size() < 1 || k.size() > {MAX_METADATA_KEY_LENGTH} || "
    f"!{fits_cel(grammar.WITHOUT_CONTROLS, 'k')} || !{_VALUE_WITHOUT_CONTROLS_CEL}"
)


def _map_rule(
    node: str, message: str, wrong: tuple[str, Callable[[str, str], bool]], form: Entries, *, kept: bool = False
) -> Rule:
    """A rule for each entry of a map. The hint names the keys of the wrong entries.

    `wrong`: the condition for a wrong entry, as CEL over `k` and `self[k]` and as a predicate over key and value.
    """
    wrong_cel, is_wrong = wrong

    def wrong_keys(entries: Mapping[str, str]) -> list[str]:
        return sorted(key for key, value in entries.items() if is_wrong(key, value))

    return Rule(
        node=node,
        message=message,
        cel=f"!self.exists(k, {wrong_cel})",
        holds=lambda entries: not wrong_keys(entries),
        form=form,
        message_cel=offenders_cel(message, f"self.filter(k, {wrong_cel})"),
        hint=lambda entries: offenders(wrong_keys(entries)),
        kept=kept,
    )


def _visible_map_rule(node: str, values: str, *, keys: bool = False) -> Rule:
    """A rule against hidden characters in a map.

    `values`: the set of characters that values must not have. `keys`: whether the keys must have none of `HIDDEN`
    either; names of headers are ASCII in any case.
    """
    one = re.compile(f"[{values}]")
    parts = (["keys"] if keys else []) + ["values"]
    wrong_cel = has_any(values, "self[k]")
    return _map_rule(
        node,
        f"must not have {' or '.join(parts)} with characters that cannot be seen, {_UNSEEN} "
        "(U+00AD, U+200B to U+200F, U+2028 to U+202E, U+2060 to U+206F, U+FEFF and others)",
        (
            f"{has_any(HIDDEN, 'k')} || {wrong_cel}" if keys else wrong_cel,
            lambda key, value: (keys and has_hidden(key)) or one.search(value) is not None,
        ),
        Entries(
            keys=TextForm(none=(f"[{HIDDEN}]",)) if keys else None,
            values=TextForm(none=(f"[{values}]",)),
        ),
    )


def _header_name_rule(node: str) -> Rule:
    return _map_rule(
        node,
        "must have header names of 1 to 255 letters, digits and -.!%*_+`'~ only, such as X-Customer-Id",
        (
            f"k.size() > {grammar.MAX_HEADER_NAME_LENGTH} || !{fits_cel(grammar.HEADER_NAME, 'k')}",
            lambda name, _: len(name) > grammar.MAX_HEADER_NAME_LENGTH or not matches(grammar.HEADER_NAME, name),
        ),
        Entries(keys=_NAMES),
    )


HEADER_RULES: Final = (
    _header_name_rule("outbound.headers"),
    _map_rule(
        "outbound.headers",
        "must not have From, To, Via, Contact, Call-ID, CSeq or another header that LiveKit writes itself, nor their "
        "one-letter forms; names such as X-Account are allowed",
        (f"k.lowerAscii() in {_RESERVED_HEADERS_CEL}", lambda name, _: name.lower() in RESERVED_HEADERS),
        Entries(keys=TextForm(none=(rf"(?i)^(?:{'|'.join(sorted(RESERVED_HEADERS))})$",))),
    ),
    _map_rule(
        "outbound.headers",
        "must have values of at most 1024 bytes without control characters",
        (
            f"bytes(self[k]).size() > {grammar.MAX_HEADER_VALUE_BYTES} || !{_VALUE_WITHOUT_CONTROLS_CEL}",
            lambda _, value: (
                len(value.encode(errors="surrogatepass")) > grammar.MAX_HEADER_VALUE_BYTES
                or not matches(grammar.WITHOUT_CONTROLS, value)
            ),
        ),
        Entries(values=TextForm(all=_WITHOUT_CONTROLS, max_bytes=grammar.MAX_HEADER_VALUE_BYTES)),
    ),
    _visible_map_rule("outbound.headers", HIDDEN),
    _header_name_rule("inbound.headersToAttributes"),
    _map_rule(
        "inbound.headersToAttributes",
        "must have attribute names that are not empty and have no control characters",
        (
            f'self[k] == "" || !{_VALUE_WITHOUT_CONTROLS_CEL}',
            lambda _, attribute: not attribute or not matches(grammar.WITHOUT_CONTROLS, attribute),
        ),
        Entries(values=TextForm(all=_WITHOUT_CONTROLS, none=("^$",))),
    ),
    _visible_map_rule("inbound.headersToAttributes", HIDDEN),
    _map_rule(
        "inbound.agentMetadata",
        "must not have the keys agentId, phoneNumber, direction, namespace and name, which the operator sets, in upper "
        "or lower case; other keys are allowed",
        (f"k.matches({cel_text(RESERVED_METADATA_KEY)})", lambda key, _: is_reserved_metadata(key)),
        Entries(keys=TextForm(none=(RESERVED_METADATA_KEY,))),
        kept=True,  # the operator leaves such keys out of the agent's metadata, and a finding names them
    ),
    _map_rule(
        "inbound.agentMetadata",
        "must have keys of 1 to 253 characters, and neither keys nor values with control characters",
        (
            _METADATA_WRONG_CEL,
            lambda key, value: (
                not 1 <= len(key) <= MAX_METADATA_KEY_LENGTH
                or not matches(grammar.WITHOUT_CONTROLS, key)
                or not matches(grammar.WITHOUT_CONTROLS, value)
            ),
        ),
        Entries(
            keys=TextForm(all=(*_WITHOUT_CONTROLS, rf"^(?s:.){{1,{MAX_METADATA_KEY_LENGTH}}}$")),
            values=TextForm(all=_WITHOUT_CONTROLS),
        ),
    ),
    _visible_map_rule("inbound.agentMetadata", HIDDEN_IN_TEXT, keys=True),
)
