"""The rules for each reference of a spec to a Secret."""

import re
from typing import Final

from . import grammar, secret_keys
from .rule import Rule, TextForm, cel_text, naming, pattern_rule, whole
from .schema_types import SecretKeyRef
from .secret_references import TYPES

_OF_A_STORAGE: Final = tuple(key for key in secret_keys.FIXED if key != secret_keys.USERNAME)
_OF_A_STORAGE_CEL: Final = f"[{', '.join(map(cel_text, _OF_A_STORAGE))}]"


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
    not_of_a_storage = Rule(
        node=f"{path}.key",
        message=f"must not be {', '.join(_OF_A_STORAGE[:-1])} or {_OF_A_STORAGE[-1]}, which are read as keys of a "
        "recording's storage; put the password under another key, such as password",
        cel=f"!(self in {_OF_A_STORAGE_CEL})",
        holds=lambda key: key not in _OF_A_STORAGE,
        form=TextForm(none=(whole("|".join(map(re.escape, _OF_A_STORAGE))),)),
    )
    return naming(name), naming(key), not_the_user_name, not_of_a_storage
