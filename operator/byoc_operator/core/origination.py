"""Makes the origination URI, which the user enters at the carrier, from the setting `BYOC_SIP_URI`.

The setting is a comma list of endpoints. An endpoint that names a transport (`;transport=tcp`) is for that transport.
An endpoint without a transport is for all transports if its port is absent, 5060 or 5061; each transport then uses its
own port. An endpoint without a transport and with another port is for TLS, the default transport of the spec.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ..api.grammar import is_endpoint

TRANSPORTS: Final = ("tls", "tcp", "udp")
OWN_PORT: Final = {"TLS": "5061", "TCP": "5060", "UDP": "5060"}
"""The default port of each transport (RFC 3261 section 19.1.2)."""

_OTHERS_PORT: Final = {"TLS": "5060", "TCP": "5061", "UDP": "5061"}


@dataclass(frozen=True, slots=True)
class SipEndpoint:
    """One SIP endpoint of LiveKit. `transport`: TLS, TCP, UDP or empty. `port`: empty if the setting names none."""

    host: str
    port: str
    transport: str


def parse_endpoint(text: str) -> SipEndpoint | None:
    """The endpoint in `[sip:]host[:port][;transport=tls|tcp|udp]`, None for any other text."""
    address, given, transport = text.removeprefix("sip:").partition(";transport=")
    if not is_endpoint(address) or (given and transport not in TRANSPORTS):
        return None
    host, port = split_port(address)
    return SipEndpoint(host, port, transport.upper())


def split_port(endpoint: str) -> tuple[str, str]:
    """Host and port of `host`, `host:port`, `[IPv6]` or `[IPv6]:port`; an absent port is empty."""
    host, colon, port = endpoint.rpartition(":")
    return (host, port) if colon and not endpoint.endswith("]") else (endpoint, "")


def others_port(termination_uri: str, transport: str) -> bool:
    """Whether an endpoint names the port that belongs to another transport: 5060 with TLS, 5061 with TCP or UDP."""
    return split_port(termination_uri)[1] == _OTHERS_PORT[transport]


def origination_uri(sip_uri: str, transport: str) -> str:
    """The origination URI for the transport of a spec; empty if the setting has no endpoint for it.

    An endpoint that names the transport comes first, then an endpoint that names none. If every endpoint names another
    transport, the first endpoint is used: inbound calls may use another transport than outbound ones.
    """
    endpoints = _endpoints(sip_uri)
    for each in endpoints:
        if each.transport == transport:
            return _uri(each.host, each.port, transport)
    for each in endpoints:
        if not each.transport and each.port in ("", *OWN_PORT.values()):
            own = each.port == OWN_PORT[transport]
            return _uri(each.host, each.port if own else "", transport)
        if not each.transport and transport == "TLS":
            return _uri(each.host, each.port, transport)
    if endpoints and all(each.transport for each in endpoints):
        return _uri(endpoints[0].host, endpoints[0].port, endpoints[0].transport)
    return ""


@lru_cache(maxsize=16)
def _endpoints(sip_uri: str) -> Sequence[SipEndpoint]:
    parsed = (parse_endpoint(part.strip()) for part in sip_uri.split(","))
    return tuple(each for each in parsed if each is not None)


def _uri(host: str, port: str, transport: str) -> str:
    return f"sip:{host}{':' if port else ''}{port};transport={transport.lower()}"
