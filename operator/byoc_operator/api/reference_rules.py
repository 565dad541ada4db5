"""The rules for each reference of a spec to a Secret."""

from . import grammar
from .rule import Rule, TextForm, naming, pattern_rule, whole
from .schema_types import SecretKeyRef
from .secret_references import TYPES


def reference_rules(path: str) -> tuple[Rule, ...]:
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
