r"""The written forms that fields accept: numbers, hosts, addresses, SIP names.

Patterns are read by two engines, Go's RE2 in the API server's CEL rules and Python's `re` here, so they use only
what both understand the same way: explicit classes, no `\d`, no `\w`, no lookaround, no anchors of their own.
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

REMEMBERED = 4096
"""Answers about addresses that are kept: thousands of numbers share the ranges of a few carriers."""

E164: Final = r"\+[1-9][0-9]{1,14}"
"""ITU-T E.164: a country code that does not begin with 0, 15 digits at most."""

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
HOST_NAME: Final = rf"(?:{_LABEL}\.)*[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])?\.?"
"""`hostname` of RFC 3261 section 25.1: the last label begins with a letter, so that a mistyped IPv4 address is none."""

PORT: Final = r"(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
HOST_AND_PORT: Final = rf"{HOST_NAME}(?::{PORT})?"
IPV4_AND_PORT: Final = rf"[0-9.]+(?::{PORT})?"
IPV6_AND_PORT: Final = rf"\[[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\](?::{PORT})?"

_PASTED: Final = r"[^\x00-\x20\x22,./:;<>?@\x5b\x5d]"
ENDPOINT_WITHIN: Final = rf"{_PASTED}+(?:\.{_PASTED}+)+(?::[0-9]+)?"
"""What looks like host[:port] in a pasted SIP URI or web address.

Wider than a host name, so that `my_host.example.com` is found whole and refused, not found as `host.example.com`.
"""

# The same in time that grows with the text: a label is begun at its beginning only, and what was taken is kept.
_ENDPOINT_WITHIN: Final = re.compile(rf"(?<!{_PASTED}){_PASTED}++(?:\.{_PASTED}++)++(?::[0-9]++)?")

MAX_HOST_LENGTH: Final = 253
MAX_LABEL_LENGTH: Final = 63
MAX_HEADER_NAME_LENGTH: Final = 255
MAX_HEADER_VALUE_BYTES: Final = 1024

HEADER_NAME: Final = r"[A-Za-z0-9.!%*_+`'~-]+"
"""`token` of RFC 3261 section 25.1: what the name of a SIP header is made of."""

WITHOUT_CONTROLS: Final = r"[^\x00-\x1f\x7f-\x9f]*"
WITHOUT_CONTROLS_AND_EDGE_BLANKS: Final = r"(?:[^\x00-\x20\x7f-\xa0](?:[^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?)?"
USER_NAME: Final = (
    r"(?:[^\x00-\x20\x7f-\xa0\x22\x5c:](?:[^\x00-\x1f\x7f-\x9f\x22\x5c:]*[^\x00-\x20\x7f-\xa0\x22\x5c:])?)?"
)
"""Goes into a quoted string and into `user:realm:password` (RFC 3261 section 22.4): no quote, backslash or colon."""

DNS_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
"""Name of a Kubernetes namespace (RFC 1123)."""

DNS_SUBDOMAIN: Final = rf"{DNS_LABEL}(?:\.{DNS_LABEL})*"
"""Name of a Kubernetes object (RFC 1123)."""

DATA_KEY: Final = r"[A-Za-z0-9._-]+"
"""Key of a Secret's `data`."""

COUNTRY: Final = r"[A-Za-z]{2}"

_WIDEST_PREFIX: Final = {4: 8, 6: 16}
_PREFIX_LENGTH: Final = r"0|[1-9][0-9]{0,2}"
_DECORATION: Final = str.maketrans("", "", " -().")


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text has the form of the pattern."""
    return re.fullmatch(pattern, text) is not None


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
    """Whether Kubernetes' `isCIDR` accepts the text; bits behind the prefix may be set, a netmask may not be given."""
    address, _, length = text.partition("/")
    if not is_address(address) or not matches(_PREFIX_LENGTH, length):
        return False
    return int(length) <= ipaddress.ip_address(address).max_prefixlen


@lru_cache(REMEMBERED)
def is_wide(text: str) -> bool:
    """Whether a CIDR holds more addresses than an IPv4 /8 or an IPv6 /16. False for whatever is not a CIDR."""
    if not is_cidr(text):
        return False
    network = ipaddress.ip_network(text, strict=False)
    return network.prefixlen < _WIDEST_PREFIX[network.version]


def is_host(text: str) -> bool:
    """Whether the text is a host name or an IP address without brackets."""
    return len(text) <= MAX_HOST_LENGTH and (matches(HOST_NAME, text) or is_address(text))


def is_endpoint(text: str) -> bool:
    """Whether the text is `host`, `host:port`, `[IPv6]` or `[IPv6]:port`."""
    if matches(IPV6_AND_PORT, text):
        return is_address(text[1 : text.index("]")])
    host = text.partition(":")[0]
    if matches(IPV4_AND_PORT, text):
        return is_address(host)
    return len(host) <= MAX_HOST_LENGTH and matches(HOST_AND_PORT, text)


def is_namespace(text: str) -> bool:
    """Whether a namespace can have this name."""
    return len(text) <= MAX_LABEL_LENGTH and matches(DNS_LABEL, text)


def is_object_name(text: str) -> bool:
    """Whether a Kubernetes object such as a Secret can have this name."""
    return len(text) <= MAX_HOST_LENGTH and matches(DNS_SUBDOMAIN, text)


def number_meant(text: str) -> str:
    """The E.164 number in a text with blanks, dashes, dots or brackets, else an empty string."""
    bare = text.translate(_DECORATION)
    return bare if matches(E164, bare) else ""


def endpoint_meant(text: str) -> str:
    """The `host[:port]` within a pasted URI, else an empty string."""
    found = _ENDPOINT_WITHIN.search(text.rpartition("@")[2])
    meant = found.group() if found else ""
    return meant if len(meant) <= MAX_HOST_LENGTH and matches(HOST_AND_PORT, meant) else ""


def transport_meant(text: str) -> str:
    """The transport that a pasted URI names (`;transport=tls`, `sips:`): TLS, TCP, UDP or an empty string."""
    lower = text.lower()
    named = [name for name in ("TLS", "TCP", "UDP") if f"transport={name.lower()}" in lower]
    if not named and lower.strip().startswith("sips:"):
        return "TLS"
    return named[0] if named else ""
