"""Where a look goes: the carrier's termination host, or our own SIP endpoint."""

import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from ..api.grammar import is_address, is_endpoint
from ..core.origination import OWN_PORT, origination_uri, parse_endpoint, split_port


class Role(StrEnum):
    """Whose host it is; the value is what a message calls it. `setting`: where host and port are changed."""

    setting: str

    TERMINATION = "the termination host", "spec.terminationUri"
    OWN = "our SIP endpoint", "the operator's setting BYOC_SIP_URI"

    def __new__(cls, label: str, setting: str) -> Self:
        """A member that is a plain text, and the setting beside the text."""
        role = str.__new__(cls, label)
        role._value_, role.setting = label, setting
        return role


@dataclass(frozen=True, slots=True)
class Target:
    """One host to look at. `host`: a name, or an address without brackets. `transport`: TLS, TCP or UDP."""

    role: Role
    host: str
    port: int
    transport: str

    @property
    def is_address(self) -> bool:
        """Whether the host is an IP address, which needs no DNS."""
        return is_address(self.host)

    @property
    def is_loopback(self) -> bool:
        """Whether the host is an address of the machine itself."""
        return self.is_address and ipaddress.ip_address(self.host).is_loopback

    @property
    def uri_host(self) -> str:
        """The host as it stands in a SIP URI: IPv6 in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        return f"{self.uri_host}:{self.port}"


def termination_target(termination_uri: str, transport: str) -> Target | None:
    """The target of a number's calls out, None if `termination_uri` is not host, host:port or [IPv6]:port."""
    return _target(Role.TERMINATION, termination_uri, transport) if is_endpoint(termination_uri) else None


def own_target(sip_uri: str, transport: str) -> Target | None:
    """The target of the carrier's calls to us over a transport, None if the setting BYOC_SIP_URI does not tell it."""
    endpoint = parse_endpoint(origination_uri(sip_uri, transport))
    if endpoint is None:
        return None
    address = f"{endpoint.host}:{endpoint.port}" if endpoint.port else endpoint.host
    return _target(Role.OWN, address, endpoint.transport)


def _target(role: Role, endpoint: str, transport: str) -> Target:
    host, port = split_port(endpoint)
    bare = host.removeprefix("[").removesuffix("]").removesuffix(".")
    return Target(role, bare, int(port or OWN_PORT[transport]), transport)
