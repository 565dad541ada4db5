"""SIP credentials out of a Secret: which values are usable, and what to say about those that are not."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .conditions import Reason, Verdict
from .trunk import Masked

WATCH_LABEL = "byoc.talkifai.dev/sip-credentials"
USERNAME_KEY = "username"
SEALED_PREFIX = "fernet:"
MAX_BYTES = 256
MAX_KEYS = 64
"""More keys than any Secret with SIP credentials has; reading tens of thousands would hold up everybody else."""

REFUSED_TYPES = frozenset(
    {
        "kubernetes.io/service-account-token",
        "kubernetes.io/dockercfg",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/tls",
        "bootstrap.kubernetes.io/token",
        "helm.sh/release.v1",
    }
)
"""Types whose content must not leave the cluster: whoever may create a number could else send it to a carrier."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# RFC 3261 §25: both are quoted strings; the digest is made of user:realm:password, so a user name has no colon.
_NOT_IN_USERNAME = re.compile(r'["\\:]')
_USERNAME_RULE = 'a user name must not contain `"`, `\\` or `:`'


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What is remembered of a Secret: no value, only a keyed digest or a verdict per key.

    `watched`: it carries the label, so changes arrive by themselves. `changed_at`: epoch seconds of the last change of
    its data as far as the API server tells, else of its creation. `too_large`: too many keys to be read.
    """

    namespace: str
    name: str
    resource_version: str
    type: str
    watched: bool
    changed_at: float
    values: Mapping[str, Masked | Verdict]
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """Usable credentials and where they are from. `resource_version` is that of the Secret."""

    username: Masked
    password: Masked
    secret_name: str
    resource_version: str
    watched: bool
    changed_at: float


@dataclass(frozen=True, slots=True)
class SecretUse:
    """How a number uses a Secret: the key of the password, and the user name if the spec gives one."""

    namespace: str
    name: str
    key: str
    username: Masked | None


def facts_of(
    namespace: str, name: str, type_: str, values: Mapping[str, bytes | None], mask: Callable[[str], Masked]
) -> Mapping[str, Masked | Verdict]:
    """Per key of a Secret its masked value, or why it cannot be used. None as value: it was not valid base64."""
    if type_ in REFUSED_TYPES:
        return {}
    where = f"Secret {namespace}/{name}"
    return {key: _usable(f"{where}, key `{key}`", key, value, mask) for key, value in values.items()}


def _usable(where: str, key: str, value: bytes | None, mask: Callable[[str], Masked]) -> Masked | Verdict:
    problem = _problem(value, username=key == USERNAME_KEY)
    if problem:
        return Verdict(Reason.SECRET_INVALID, f"{where}: {problem}.")
    text = (value or b"").decode()
    if text.startswith(SEALED_PREFIX):
        message = f"{where}: the value is sealed (`{SEALED_PREFIX}`), and no key opens it. Use the value in plain text."
        return Verdict(Reason.SEALING_KEY_UNKNOWN, message)
    return mask(text)


def _problem(value: bytes | None, *, username: bool) -> str:
    """What is wrong with a value, empty if nothing is. Never quotes the value."""
    if value is None:
        return "the value is not valid base64"
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "the value is not UTF-8 text"
    sealed = text.startswith(SEALED_PREFIX)
    checks = (
        (not text, "the value is empty; 1 to 256 bytes are allowed"),
        (len(value) > MAX_BYTES and not sealed, "the value is longer than 256 bytes"),
        # The classic: `echo password | base64`.
        (
            text.endswith(("\n", "\r")),
            "the value ends with a newline; `echo -n` and `kubectl create secret --from-literal` add none",
        ),
        (text != text.strip(), "the value starts or ends with a blank"),
        (bool(_CONTROL.search(text)), "the value contains control characters"),
        (username and not sealed and bool(_NOT_IN_USERNAME.search(text)), _USERNAME_RULE),
    )
    return next((problem for there, problem in checks if there), "")


def resolve(use: SecretUse, facts: SecretFacts | None, *, labelled_only: bool) -> Credentials | Verdict:
    """The credentials a number asks for, or why it cannot have them. `facts` None: there is no such Secret."""
    where = f"Secret {use.namespace}/{use.name}"
    if facts is None:
        message = f"{where} does not exist. Create it with the key `{use.key}`, or correct sipPasswordSecretRef.name."
        return Verdict(Reason.SECRET_NOT_FOUND, message)
    refused = _refused(where, facts, labelled_only=labelled_only)
    if refused:
        return refused
    password = facts.values.get(use.key) or _missing(where, use.key, "name the right key in sipPasswordSecretRef.key")
    username = use.username or facts.values.get(USERNAME_KEY) or _missing(where, USERNAME_KEY, "set spec.sipUsername")
    if isinstance(password, Verdict):
        return password
    if isinstance(username, Verdict):
        return username
    return Credentials(username, password, facts.name, facts.resource_version, facts.watched, facts.changed_at)


def _missing(where: str, key: str, otherwise: str) -> Verdict:
    return Verdict(Reason.SECRET_KEY_MISSING, f"{where} has no key `{key}`. Add it, or {otherwise}.")


def _refused(where: str, facts: SecretFacts, *, labelled_only: bool) -> Verdict | None:
    """A Secret that is never used, whatever it holds."""
    if facts.type in REFUSED_TYPES:
        message = f"{where} is of type {facts.type}, which is never sent to a carrier. Use a Secret of type Opaque."
        return Verdict(Reason.SECRET_INVALID, message)
    if facts.too_large:
        message = f"{where} has more than {MAX_KEYS} keys and is not read. Put the credentials into one of their own."
        return Verdict(Reason.SECRET_INVALID, message)
    if labelled_only and not facts.watched:
        message = f"{where} lacks the label {WATCH_LABEL}=true, without which this operator uses no Secret."
        return Verdict(Reason.SECRET_INVALID, message)
    return None
