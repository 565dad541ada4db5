"""The credentials of a set of LiveKit's objects, sorted by the reference of a spec that has to name them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..api import secret_keys
from ..api.secret_references import INBOUND_CREDENTIALS, RECORDING_STORAGES, SIP_PASSWORD
from ..core.credential_values import field_of, problem_of
from ..core.trunk import DispatchRule, Masked, Trunk
from .import_sets import ImportSet


class NotSaid(Exception):
    """A set has something that no spec can say. The text is for the user and holds no credential."""


@dataclass(frozen=True, slots=True)
class StatedCredentials:
    """What one Secret must have. `values`: by the key of the Secret; None for one that LiveKit does not list."""

    values: Mapping[str, Masked | None] = field(repr=False)

    @property
    def listed(self) -> Mapping[str, Masked]:
        """The values; empty if LiveKit does not list one of them."""
        listed = {key: each for key, each in self.values.items() if each is not None}
        return listed if len(listed) == len(self.values) else {}


def credentials_in(found: ImportSet) -> Mapping[str, StatedCredentials]:
    """The credentials of a set by the path of the reference; empty if it has none. Raises `NotSaid`.

    Callers that must prove what the outbound trunk proves need no reference of their own. Where LiveKit lists no
    passwords, equal user names count as equal credentials.
    """
    ours = _login(found.outbound)
    theirs = None if found.inbound is None else _login(found.inbound)
    by_path = {SIP_PASSWORD: ours, INBOUND_CREDENTIALS: None if theirs == ours else theirs}
    stored = {} if found.rule is None else _of_storage(found.rule)
    return {path: each for path, each in by_path.items() if each is not None} | stored


def _login(trunk: Trunk) -> StatedCredentials | None:
    what = f"its {trunk.kind.label}"
    username, password = trunk.username, trunk.password
    if username is None and password is None:
        return None
    if username is None:
        raise NotSaid(f"{what} has a password without a user name")
    if password is None and trunk.password_listed:
        raise NotSaid(f"{what} has a user name without a password")
    return _checked(what, {secret_keys.USERNAME: username, secret_keys.PASSWORD: password})


def _of_storage(rule: DispatchRule) -> dict[str, StatedCredentials]:
    """The keys of a storage of recordings; none for that of the egress service."""
    if not rule.recording_storage:
        return {}
    name, secret = rule.recording_storage["type"], rule.recording_secret
    by_storage: Mapping[str, Mapping[str, Masked | None]] = {
        "s3": {
            secret_keys.S3_ACCESS_KEY_ID: rule.recording_access_key,
            secret_keys.S3_SECRET_ACCESS_KEY: secret,
        },
        "gcs": {secret_keys.GCS_SERVICE_ACCOUNT: secret},
        "azure": {secret_keys.AZURE_ACCOUNT_KEY: secret},
    }
    values = by_storage[name]
    if rule.password_listed and None in values.values():
        raise NotSaid(
            f"its dispatch rule {rule.id} records into {name} without keys; spec.inbound.recording needs them"
        )
    return {RECORDING_STORAGES[name]: _checked(f"its dispatch rule {rule.id}", values)}


def _checked(what: str, values: Mapping[str, Masked | None]) -> StatedCredentials:
    """The values, if a Secret may have them. Raises `NotSaid`."""
    for key, value in values.items():
        of = field_of(key)
        problem = problem_of(value.text.get_secret_value(), of) if value is not None and value.text else ""
        if problem:
            raise NotSaid(f"the {of.label} of {what} cannot stand in a Secret: {problem}")
    return StatedCredentials(values)
