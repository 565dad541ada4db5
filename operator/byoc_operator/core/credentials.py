"""Credentials of a Secret: which values are usable, and the verdict for those that are not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..api.conditions import Reason, Verdict
from ..api.names import WATCH_LABEL
from .credential_values import Field, field_of, problem_of, wrapped
from .trunk import Kind, Mask, Masked

SEALED_PREFIX = "fernet:"
"""The prefix of a sealed value; a Fernet token follows (`sealing`)."""

KEYS_SECRET = "byoc-sealing-keys"  # noqa: S105 - its name
"""The Secret of the operator's sealing keys. No object may use it: its content must never go to a carrier."""

MAX_KEYS = 64
"""Keys of a Secret that is read. A Secret with SIP credentials has few; tens of thousands would delay other work."""

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
"""Types whose content must not leave the cluster: whoever may create an object could send it to a carrier."""

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""The annotation in which kubectl and Argo CD keep a copy of the manifest, with the values of a Secret."""


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What is remembered of a Secret: no value, only a keyed digest or a verdict per key.

    `watched`: it carries the label, so changes arrive by themselves. `changed_at`: epoch seconds of the last change of
    its data as far as the API server tells, else of its creation. `too_large`: too many keys to be read. `sealed`: the
    keys whose value is sealed, whether it could be opened or not.
    """

    namespace: str
    name: str
    resource_version: str
    type: str
    watched: bool
    changed_at: float
    values: Mapping[str, Masked | Verdict]
    too_large: bool = False
    sealed: frozenset[str] = frozenset()

    @property
    def unopened(self) -> bool:
        """Whether a value is sealed with a key that is not known: another key ring may open it."""
        return any(
            isinstance(each, Verdict) and each.reason is Reason.SEALING_KEY_UNKNOWN for each in self.values.values()
        )


@dataclass(frozen=True, slots=True)
class Credentials:
    """Usable credentials and the Secret that has them.

    `values`: one for each field of the use, such as user name and password. `resource_version`, `watched`,
    `changed_at`: as in `SecretFacts`. `sealed`: whether every value that comes from the Secret is sealed there.
    """

    values: Mapping[Field, Masked]
    secret_name: str
    resource_version: str
    watched: bool
    changed_at: float
    sealed: bool = False

    @property
    def username(self) -> Masked:
        """The SIP user name. Raises KeyError for credentials of another kind."""
        return self.values[Field.USERNAME]

    @property
    def password(self) -> Masked:
        """The SIP password. Raises KeyError for credentials of another kind."""
        return self.values[Field.PASSWORD]

    @property
    def without_texts(self) -> "Credentials":
        """The credentials with their digests only: enough to judge a number, but not to write a trunk."""
        return replace(self, values={of: replace(value, text=None) for of, value in self.values.items()})


@dataclass(frozen=True, slots=True)
class SecretRules:
    """What this installation requires of Secrets: `labelled_only` the label, `sealed_only` sealed values."""

    labelled_only: bool = False
    sealed_only: bool = False


@dataclass(frozen=True, slots=True)
class UsedKey:
    """One key of a Secret whose value an object uses as `field`.

    `otherwise`: what helps if the key is missing, beside adding it, such as `set spec.sipUsername`; empty for nothing.
    """

    field: Field
    key: str
    otherwise: str = ""


@dataclass(frozen=True, slots=True)
class SecretUse:
    """How an object uses a Secret, for one reference of its spec.

    `path`: of the reference, such as `inbound.credentialsSecretRef`. `keys`: what is read of the Secret, at least one.
    `given`: values that the spec has itself. `kinds`: the kinds of LiveKit object that need the values; without them
    these objects are neither created nor changed.
    """

    path: str
    namespace: str
    name: str
    keys: tuple[UsedKey, ...]
    given: Mapping[Field, Masked]
    kinds: frozenset[Kind]


Open = Callable[[str, str, Field], str | Verdict]
"""Opens a sealed text for a namespace and field: the text, or a verdict whose message begins with `the value`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How values are read. `mask`: makes their digests. `open`: opens sealed ones."""

    mask: Mask
    open: Open


def facts_of(
    namespace: str, name: str, type_: str, values: Mapping[str, str | None], reading: Reading
) -> Mapping[str, Masked | Verdict]:
    """For each key of a Secret the masked value, or the verdict why it is unusable.

    `values`: the decoded values, None for one that is not UTF-8 text. The result is empty for a refused Secret.
    """
    if type_ in REFUSED_TYPES or name == KEYS_SECRET:
        return {}
    found: dict[str, Masked | Verdict] = {}
    for key, value in values.items():
        where = f"Secret {namespace}/{name}, key `{key}`"
        text = _opened(value, namespace, field_of(key), reading.open)
        if isinstance(text, Verdict):
            found[key] = Verdict(text.reason, f"{where}: {text.message}")
        else:
            found[key] = reading.mask(text)
    return found


def sealed_keys(values: Mapping[str, str | None]) -> frozenset[str]:
    """The keys whose value has the prefix of a sealed value."""
    return frozenset(key for key, value in values.items() if value and value.startswith(SEALED_PREFIX))


def _opened(text: str | None, namespace: str, field: Field, open_sealed: Open) -> str | Verdict:
    """The text to send, opened if it is sealed; or the verdict why it is unusable. No message quotes the value."""
    if text is None:
        return Verdict(Reason.SECRET_INVALID, "the value is not UTF-8 text.")
    if text.startswith(SEALED_PREFIX):
        spoiled = wrapped(text)
        if spoiled:
            return Verdict(Reason.SECRET_INVALID, f"{spoiled}.")
        opened = open_sealed(text, namespace, field)
        if isinstance(opened, Verdict):
            return opened
        text = opened
    problem = problem_of(text, field)
    return Verdict(Reason.SECRET_INVALID, f"{problem}.") if problem else text


def resolve(use: SecretUse, facts: SecretFacts | None, rules: SecretRules) -> Credentials | Verdict:
    """The credentials that an object uses, or the verdict why it cannot. `facts`: None if there is no such Secret."""
    where = f"Secret {use.namespace}/{use.name}"
    if facts is None:
        message = f"{where} does not exist. Create it with {_named_keys(use)}, or correct {use.path}.name."
        return Verdict(Reason.SECRET_NOT_FOUND, message)
    refused = _refused(where, facts, rules)
    if refused:
        return refused
    plain = [each.key for each in use.keys if each.key in facts.values and each.key not in facts.sealed]
    if plain and rules.sealed_only:
        message = f"{where}, key `{plain[0]}`: the value is not sealed, and this operator uses no plain text. "
        return Verdict(Reason.PLAIN_TEXT_REFUSED, message + "Seal it with `kubectl byoc seal`.")
    values = dict(use.given)
    for each in use.keys:
        value = facts.values.get(each.key) or _missing(where, each)
        if isinstance(value, Verdict):
            return value
        values[each.field] = value
    return Credentials(values, facts.name, facts.resource_version, facts.watched, facts.changed_at, sealed=not plain)


def _named_keys(use: SecretUse) -> str:
    """The keys that the Secret must have; the user name may stand in the spec."""
    keys = [f"`{each.key}`" for each in use.keys if each.field is not Field.USERNAME]
    return f"the key{'s' if len(keys) > 1 else ''} {' and '.join(keys)}"


def _missing(where: str, used: UsedKey) -> Verdict:
    remedy = f"Add it, or {used.otherwise}." if used.otherwise else "Add it."
    return Verdict(Reason.SECRET_KEY_MISSING, f"{where} has no key `{used.key}`. {remedy}")


def _refused(where: str, facts: SecretFacts, rules: SecretRules) -> Verdict | None:
    """The verdict for a Secret that must not be used, whatever its values are; None if it may be used."""
    if facts.type in REFUSED_TYPES:
        message = f"{where} is of type {facts.type}, which is never sent to a carrier. Use a Secret of type Opaque."
        return Verdict(Reason.SECRET_INVALID, message)
    if facts.name == KEYS_SECRET:
        message = f"{where} has the name of the operator's sealing keys, which are never sent to a carrier."
        return Verdict(Reason.SECRET_INVALID, f"{message} Put the credentials into another Secret.")
    if facts.too_large:
        message = f"{where} has more than {MAX_KEYS} keys and is not read. Put the credentials into one of their own."
        return Verdict(Reason.SECRET_INVALID, message)
    if rules.labelled_only and not facts.watched:
        message = f"{where} lacks the label {WATCH_LABEL}=true, without which this operator uses no Secret."
        return Verdict(Reason.SECRET_INVALID, message)
    return None
