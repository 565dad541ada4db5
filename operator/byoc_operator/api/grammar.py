r"""The written forms that fields accept: numbers, hosts, addresses, SIP names.

Two engines read the patterns: Go's RE2 in the API server's CEL rules, and Python's `re` here. The patterns therefore
use only what both read in the same way: explicit classes, no `\d`, no `\w`, no lookaround, and no anchors.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

from .characters import BLANKS, CONTROLS

REMEMBERED = 4096
"""How many answers about addresses a cache holds: thousands of numbers share the ranges of a few carriers."""

E164: Final = r"\+[1-9][0-9]{1,14}"
"""ITU-T E.164: a country code that does not begin with 0, 15 digits at most."""

DIGITS: Final = r"[0-9]{1,32}"
ALIAS: Final = rf"\+?{DIGITS}"
"""Another spelling of a number. LiveKit compares such texts by their digits; 32 leave room for a carrier's prefix."""

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME: Final = rf"(?:{_LABEL}\.)*[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?\.?"
"""`hostname` of RFC 3261 section 25.1: the last label begins with a letter, so a mistyped IPv4 address is refused."""

PORT: Final = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
HOST_AND_PORT: Final = rf"{HOST_NAME}(?::{PORT})?"
IPV4_AND_PORT: Final = rf"[0-9.]+(?::{PORT})?"
IPV6_AND_PORT: Final = rf"\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\](?::{PORT})?"

# Addresses as patterns, for the charts' templates and schemas, which cannot parse an address. Python uses `is_address`;
# a test checks that both accept the same texts.
_OCTET: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
IPV4: Final = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_GROUP: Final = r"[0-9A-Fa-f]{1,4}"
_LAST: Final = rf"(?:{_GROUP}:{_GROUP}|{IPV4})"
IPV6: Final = "|".join(
    (
        rf"(?:{_GROUP}:){{6}}{_LAST}",
        rf"::(?:{_GROUP}:){{5}}{_LAST}",
        *(rf"(?:(?:{_GROUP}:){{0,{n}}}{_GROUP})?::(?:{_GROUP}:){{{4 - n}}}{_LAST}" for n in range(5)),
        rf"(?:(?:{_GROUP}:){{0,5}}{_GROUP})?::{_GROUP}",
        rf"(?:(?:{_GROUP}:){{0,6}}{_GROUP})?::",
    )
)
"""`IPv6address` of RFC 3986 section 3.2.2."""

IPV4_MAPPED: Final = rf"[0:]*:[Ff]{{4}}:{_LAST}|(?:0{{1,4}}:){{5}}[Ff]{{4}}:[0-9A-Fa-f:.]*"
"""IPv6 addresses that stand for an IPv4 address, such as `::ffff:203.0.113.7`. Kubernetes refuses them.

Five groups of zeros, written out or shortened, come before the group ffff.
"""
CIDR: Final = rf"{IPV4}(?:/(?:[0-9]|[12][0-9]|3[0-2]))?|(?:{IPV6})(?:/(?:[0-9]|[1-9][0-9]|1[01][0-9]|12[0-8]))?"
"""A range of addresses, or a single address."""

WIDE: Final = rf"{IPV4}/[0-7]|(?:{IPV6})/(?:[0-9]|1[0-5])"
"""Ranges wider than /8 (IPv6: /16)."""

ENDPOINT: Final = rf"\[(?:{IPV6})\](?::{PORT})?|{IPV4}(?::{PORT})?|{HOST_AND_PORT}"
"""`host`, `host:port`, `[IPv6]` or `[IPv6]:port`."""

_PASTED: Final = r"[^\x00-\x20\x22,./:;<>?@\x5b\x5d]"
ENDPOINT_WITHIN: Final = rf"\[[0-9A-Fa-f:.]+\](?::[0-9]+)?|{_PASTED}+(?:\.{_PASTED}+)+(?::[0-9]+)?"
"""What looks like host[:port] in a pasted SIP URI or web address.

The pattern accepts more than host names: `my_host.example.com` is found whole and then refused, and is not mistaken for
`host.example.com`.
"""

# The same pattern for Python's engine, in linear time: a match starts only at the start of a label (lookbehind), and
# the possessive quantifiers never backtrack.
_ENDPOINT_WITHIN: Final = re.compile(
    rf"\[[0-9A-Fa-f:.]++\](?::[0-9]++)?|(?<!{_PASTED}){_PASTED}++(?:\.{_PASTED}++)++(?::[0-9]++)?"
)

MAX_HOST_LENGTH: Final = 253
MAX_HOST_AND_PORT_LENGTH: Final = MAX_HOST_LENGTH + len(":65535")
MAX_LABEL_LENGTH: Final = 63
CODEC_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,31}"
"""A codec as SDP names it (RFC 8866 section 6.6, `rtpmap`): the encoding name."""

CODEC_RATES: Final = {"PCMU": 8000, "PCMA": 8000, "G722": 8000, "AMR-WB": 16_000, "opus": 48_000}
"""The codecs of LiveKit's SIP service with their clock rates in SDP, in Hz. Each may stand without its rate.

LiveKit knows the rates of all but opus, by exactly these names; it refuses every call (500) if any other has no rate.
Sources: livekit/sip `pkg/sip/media_codecs.go`, `codecSet`; livekit/media-sdk (2026-11).
"""

CODEC: Final = rf"{'|'.join(CODEC_RATES)}|{CODEC_NAME}/[1-9][0-9]{{3,5}}"
"""A codec with its clock rate in Hz, if the rate does not follow from the name."""


def codec_with_rate(codec: str) -> str:
    """The codec as LiveKit needs it. Opus has no other clock rate than 48000 Hz (RFC 7587 section 7)."""
    return f"{codec}/{CODEC_RATES[codec]}" if codec == "opus" else codec


MAX_HEADER_NAME_LENGTH: Final = 255
MAX_HEADER_VALUE_BYTES: Final = 1024

HEADER_NAME: Final = r"[A-Za-z0-9.!%*_+`'~-]+"
"""`token` of RFC 3261 section 25.1: the name of a SIP header."""

WITHOUT_CONTROLS: Final = rf"[^{CONTROLS}]*"
_EDGE: Final = rf"[^{CONTROLS}{BLANKS}]"
NAME: Final = rf"{_EDGE}(?:[^{CONTROLS}]*{_EDGE})?"
"""A text that is not empty, without control characters, and without blanks at its ends."""

WITHOUT_CONTROLS_AND_EDGE_BLANKS: Final = rf"(?:{NAME})?"
RECORDING_PATH: Final = rf"(?:[^{CONTROLS}{{}}]|\{{(?:room_name|room_id|time|utc)\}})*"
"""The path of a recording: braces stand only around a placeholder that the egress service replaces.

Source: livekit/egress `pkg/config/output_file.go`, `getFilenameInfo`.
"""

S3_BUCKET: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]"
"""A bucket of S3. Old buckets, and those of other storages, may have capitals and underscores."""

GCS_BUCKET: Final = r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]"
AZURE_ACCOUNT: Final = r"[a-z0-9]{3,24}"
AZURE_CONTAINER: Final = r"[a-z0-9](?:-[a-z0-9]|[a-z0-9]-?[a-z0-9])(?:-?[a-z0-9])*"
"""A container of Azure. The schema bounds its length."""

REGION: Final = r"[a-z0-9-]*"
STORAGE_URL: Final = (
    rf"(?:https?://(?:{HOST_NAME}|{IPV4}|\[[0-9A-Fa-f]*:[0-9A-Fa-f:]*\])(?::{PORT})?(?:/[A-Za-z0-9._~/-]*)?)?"
)
"""The URL of a storage, perhaps with a path; `is_storage_url` looks closer at its host.

It has no user, because a URL is shown. An IPv6 address is written without dots, so it shows what it stands for.
"""

LONG_STORAGE_HOST: Final = rf"^https?://[^:/\[]{{{MAX_HOST_LENGTH + 1}}}"
"""Matches URLs whose host name is too long."""

LOCAL_STORAGE: Final = (
    r"^https?://(?:(?:[A-Za-z0-9-]+\.)*[Ll][Oo][Cc][Aa][Ll][Hh][Oo][Ss][Tt]\.?|"
    r"(?:0|127)(?:\.[0-9]+){3}|169\.254(?:\.[0-9]+){2}|"
    r"\[(?:(?:(?:0+:)*|:)(?::(?:0+:)*)?0*1?|[Ff][Ee][89ABab][0-9A-Fa-f]:[0-9A-Fa-f:]+)\])(?:[:/]|$)"
)
"""Matches URLs of storages that lead to the machine itself or to its link.

Such hosts are localhost and the names below it, and the addresses that are unspecified (0.0.0.0/8, ::), loopback
(127.0.0.0/8, ::1) or link-local (169.254.0.0/16, fe80::/10).
"""

_NOT_QUOTED: Final = r"\x22\x5c:"
_USER_EDGE: Final = rf"[^{CONTROLS}{BLANKS}{_NOT_QUOTED}]"
USER_NAME: Final = rf"(?:{_USER_EDGE}(?:[^{CONTROLS}{_NOT_QUOTED}]*{_USER_EDGE})?)?"
"""A SIP user name stands in a quoted string and in `user:realm:password` (RFC 3261 section 22.4).

It therefore has no quote, backslash or colon.
"""

DNS_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
"""Name of a Kubernetes namespace (RFC 1123)."""

DNS_SUBDOMAIN: Final = rf"{DNS_LABEL}(?:\.{DNS_LABEL})*"
"""Name of a Kubernetes object (RFC 1123)."""

DATA_KEY: Final = r"[A-Za-z0-9._-]+"
"""Key of a Secret's `data`."""

COUNTRY: Final = r"[A-Za-z]{2}"

_WIDEST_PREFIX: Final = {4: 8, 6: 16}
_PREFIX_LENGTH: Final = r"0|[1-9][0-9]{0,2}"
DECORATION: Final = " -().\xa0\u2011\u202a\u202c"
"""Characters that people write into phone numbers. Contact lists put the last two around a number."""

_DECORATION: Final = str.maketrans("", "", DECORATION)
WITHOUT_PLUS: Final = r"[1-9][0-9]{6,14}"
"""A phone number that may have a country code and only lacks the plus."""


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text has the form of the pattern."""
    return re.fullmatch(pattern, text) is not None


def is_header_name(text: str) -> bool:
    """Whether the text may be the name of a SIP header."""
    return len(text) <= MAX_HEADER_NAME_LENGTH and matches(HEADER_NAME, text)


@lru_cache(REMEMBERED)
def is_address(text: str) -> bool:
    """Whether Kubernetes' `isIP` accepts the text: IPv4 or IPv6, without a zone, not an IPv4-mapped IPv6 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text and getattr(address, "ipv4_mapped", None) is None


@lru_cache(REMEMBERED)
def is_cidr(text: str) -> bool:
    """Whether Kubernetes' `isCIDR` accepts the text. Bits behind the prefix may be set; a netmask is refused."""
    address, _, length = text.partition("/")
    if not is_address(address) or not matches(_PREFIX_LENGTH, length):
        return False
    return int(length) <= ipaddress.ip_address(address).max_prefixlen


@lru_cache(REMEMBERED)
def is_wide(text: str) -> bool:
    """Whether a CIDR holds more addresses than an IPv4 /8 or an IPv6 /16. False for a text that is not a CIDR."""
    if not is_cidr(text):
        return False
    network = ipaddress.ip_network(text, strict=False)
    return network.prefixlen < _WIDEST_PREFIX[network.version]


def is_host(text: str) -> bool:
    """Whether the text is a host name or an IP address without brackets."""
    return len(text) <= MAX_HOST_LENGTH and (matches(HOST_NAME, text) or is_address(text))


def is_from_host(text: str) -> bool:
    """Whether the text is a host name or an IP address; IPv6 with or without brackets."""
    if text.startswith("[") and text.endswith("]"):
        return ":" in text and is_address(text[1:-1])
    return is_host(text)


def is_termination_host(text: str) -> bool:
    """Whether the text is a host name, a host name after `*.` or `.`, or an IP address."""
    host = text.removeprefix("*.") if text.startswith("*") else text.removeprefix(".")
    return is_address(text) or (len(text) <= MAX_HOST_LENGTH and matches(HOST_NAME, host))


def canonical_host(host: str) -> str:
    """The one spelling of a host: lower-case, no final dot, no brackets; an address in its shortest form."""
    bare = host.lower().removesuffix(".").removeprefix("[").removesuffix("]")
    return str(ipaddress.ip_address(bare)) if is_address(bare) else bare


def is_endpoint(text: str) -> bool:
    """Whether the text is `host`, `host:port`, `[IPv6]` or `[IPv6]:port`."""
    if matches(IPV6_AND_PORT, text):
        return is_address(text[1 : text.index("]")])
    host = text.partition(":")[0]
    if matches(IPV4_AND_PORT, text):
        return is_address(host)
    return len(host) <= MAX_HOST_LENGTH and matches(HOST_AND_PORT, text)


def is_storage_url(text: str) -> bool:
    """Whether the text is empty or the URL of a storage, wherever that is."""
    if not matches(STORAGE_URL, text) or re.match(LONG_STORAGE_HOST, text):
        return False
    address = text.partition("[")[2].partition("]")[0]
    return not address or is_address(address)


def is_namespace(text: str) -> bool:
    """Whether a namespace can have this name."""
    return len(text) <= MAX_LABEL_LENGTH and matches(DNS_LABEL, text)


def is_object_name(text: str) -> bool:
    """Whether a Kubernetes object such as a Secret can have this name."""
    return len(text) <= MAX_HOST_LENGTH and matches(DNS_SUBDOMAIN, text)


def number_meant(text: str) -> str:
    """The E.164 number that a text means, which writes it with blanks, dashes, dots or brackets, or without the plus.

    Empty if the text is not such a number.
    """
    bare = text.translate(_DECORATION)
    if matches(E164, bare):
        return bare
    return f"+{bare}" if matches(WITHOUT_PLUS, bare) else ""


def endpoint_meant(text: str) -> str:
    """The `host[:port]` within a pasted URI; empty if there is none."""
    if ":" in text and is_address(text):
        return f"[{text}]"
    found = _ENDPOINT_WITHIN.search(text.rpartition("@")[2])
    meant = found.group() if found else ""
    return meant if len(meant) <= MAX_HOST_AND_PORT_LENGTH and is_endpoint(meant) else ""


def transport_meant(text: str) -> str:
    """The transport that a pasted URI names (`;transport=tls`, `sips:`): TLS, TCP or UDP; empty if it names none."""
    lower = text.lower()
    named = [name for name in ("TLS", "TCP", "UDP") if f"transport={name.lower()}" in lower]
    if not named and lower.strip().startswith("sips:"):
        return "TLS"
    return named[0] if named else ""


def alias_number(alias: str) -> str:
    """The digits of an alias with one plus in front: LiveKit takes `100` and `+100` for the same number.

    `core.trunk.normalised` gives the same for every text that fits `ALIAS`.
    """
    return "+" + alias.removeprefix("+")
