"""Validates settings that are names, hosts or addresses, by the same rules as in a `ByocPhoneNumber`."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from .api.characters import unseen
from .api.grammar import (
    WITHOUT_CONTROLS_AND_EDGE_BLANKS,
    is_address,
    is_cidr,
    is_host,
    is_namespace,
    is_object_name,
    is_termination_host,
    matches,
)
from .core.origination import parse_endpoint
from .core.ownership import MAX_INSTALLATION, is_installation

_NAMESPACE_MESSAGE = "must be names of namespaces: lower-case letters, digits and dashes, at most 63, like voice,sales"
_OBJECT_MESSAGE = "must be the name of an object: lower-case letters, digits, dashes and dots, like byoc-operator"
_HOSTS_MESSAGE = (
    "must be domains or IP addresses without sip:, port or path, like pstn.twilio.com,sip.telnyx.eu; a domain also "
    "stands for all below it, and *.pstn.twilio.com is the same"
)
_ENDPOINTS_MESSAGE = (
    "must be a host, perhaps with a port and a transport, like sip.example.com, sip.example.com:5061 or "
    "sip.example.com;transport=tcp, or several of them with commas between"
)


def are_sip_endpoints(text: str) -> bool:
    """Whether the text is one SIP endpoint of ours, or several with commas between."""
    return all(parse_endpoint(part.strip()) for part in text.split(","))


def cannot_be_seen(text: str) -> str:
    """What is wrong with the characters of a text; empty if nothing is.

    No setting needs an invisible character: such a character comes along when a value is copied.
    """
    if unseen(text):
        return f"contains {unseen(text)}, a character that cannot be seen"
    if not matches(WITHOUT_CONTROLS_AND_EDGE_BLANKS, text):
        return "must not have control characters and must not begin or end with a blank"
    return ""


FORMS: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "sip_addresses": (
        lambda part: is_cidr(part) or is_address(part),
        "must be IP addresses or CIDR ranges, like 203.0.113.10,198.51.100.0/28",
    ),
    "installation_id": (is_installation, f"must have visible characters and no slash, {MAX_INSTALLATION} at most"),
    "namespaces": (is_namespace, _NAMESPACE_MESSAGE),
    "operator_namespace": (is_namespace, _NAMESPACE_MESSAGE),
    "termination_hosts": (is_termination_host, _HOSTS_MESSAGE),
    "admission_service": (is_host, "must be DNS names or IP addresses, like byoc-operator-admission.byoc-system.svc"),
    "admission_webhook": (is_object_name, _OBJECT_MESSAGE),
    "lease_name": (is_object_name, _OBJECT_MESSAGE),
    "sip_uri": (are_sip_endpoints, _ENDPOINTS_MESSAGE),
}
"""By field: the check of each of its texts, and the message if the check fails.

Without the check, a wrong value would match nothing, or would fail only when it is used.
"""


LISTS: Final = ("installation_id", "namespaces", "termination_hosts", "sip_addresses", "admission_service")
"""Fields that are a comma-separated list."""


def texts(value: object) -> Iterator[str]:
    """The texts in the value of a setting."""
    match value:
        case SecretStr():
            yield value.get_secret_value()
        case StrEnum():
            return
        case str():
            yield value
        case Path():
            yield str(value)
        case tuple():
            for part in value:
                yield from texts(part)
