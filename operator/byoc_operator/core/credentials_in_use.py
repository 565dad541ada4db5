"""What the Secrets of one object give: its credentials by the references of its spec."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..api.conditions import Verdict
from .credentials import Credentials, SecretFacts, SecretRules, SecretUse, resolve
from .trunk import Masked

SecretsByName = Mapping[str, SecretFacts | Verdict | None]
"""The Secrets of an object by name. None: there is no such Secret; a verdict: why the Secret cannot be read."""


@dataclass(frozen=True, slots=True)
class CredentialsInUse:
    """For each reference of a spec, by its path: usable credentials, or the verdict why they cannot be used.

    The references are in the order of `api.secret_references.PATHS`. Empty if the spec uses no Secret.
    """

    by_path: Mapping[str, Credentials | Verdict] = field(default_factory=dict)

    def at(self, path: str) -> Credentials | None:
        """The usable credentials of one reference; None if the spec has no such reference or they cannot be used."""
        found = self.by_path.get(path)
        return found if isinstance(found, Credentials) else None

    @property
    def usable(self) -> Mapping[str, Credentials]:
        """The usable credentials by path."""
        return {path: each for path, each in self.by_path.items() if isinstance(each, Credentials)}

    @property
    def verdict(self) -> Verdict | None:
        """Why the first unusable credentials cannot be used; None if all can."""
        return next((each for each in self.by_path.values() if isinstance(each, Verdict)), None)

    @property
    def without_texts(self) -> "CredentialsInUse":
        """The same with the digests of the credentials only."""
        every = self.by_path.items()
        return CredentialsInUse(
            {path: each.without_texts if isinstance(each, Credentials) else each for path, each in every}
        )

    @property
    def masked(self) -> Mapping[str, Masked]:
        """Every value of usable credentials by its digest."""
        return {value.digest: value for each in self.usable.values() for value in each.values.values()}


def resolved(uses: Iterable[SecretUse], secrets: SecretsByName, rules: SecretRules) -> CredentialsInUse:
    """The credentials of the uses of one object. They have texts if the values of `secrets` have texts."""
    found: dict[str, Credentials | Verdict] = {}
    for use in uses:
        secret = secrets.get(use.name)
        found[use.path] = secret if isinstance(secret, Verdict) else resolve(use, secret, rules)
    return CredentialsInUse(found)
