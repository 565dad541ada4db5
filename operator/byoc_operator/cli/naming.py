"""Checks the names in the arguments of a command, because they become parts of paths and of the output."""

from dataclasses import dataclass

from ..api import grammar
from .exit_codes import ExitCode, Refused


@dataclass(frozen=True, slots=True)
class Naming:
    """How Kubernetes names something: the rule in words, a pattern, the most characters."""

    rule: str
    pattern: str
    most: int

    def allows(self, text: str) -> bool:
        """Whether the text is an allowed name."""
        return len(text) <= self.most and grammar.matches(self.pattern, text)


def _of_subdomain(what: str) -> Naming:
    return Naming(f"the name of a {what} is made of lower case letters, digits, - and .", grammar.DNS_SUBDOMAIN, 253)


NAMESPACE = Naming("the name of a namespace is made of lower case letters, digits and -", grammar.DNS_LABEL, 63)
SECRET = _of_subdomain("Secret")
LEASE = _of_subdomain("Lease")
NUMBER = _of_subdomain("ByocPhoneNumber")
KEY = Naming("a key of a Secret is made of letters, digits, -, _ and .", grammar.DATA_KEY, 253)
PHONE = Naming("a phone number is + and up to 15 digits, such as +19876543210", grammar.E164, 16)

CALLED = Naming("a phone number or an alias is + and digits, such as +19876543210", rf"\+{grammar.DIGITS}", 33)


def named(where: str, text: str, naming: Naming) -> str:
    """The text, if it is such a name. Raises `Refused` that names the rule."""
    if not naming.allows(text):
        raise Refused(f"{where}: {naming.rule}, {naming.most} at most", ExitCode.USAGE)
    return text
