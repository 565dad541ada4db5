"""Says in a spec what a dispatch rule records and where to, and what the Secret of the storage must have."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..api import secret_keys
from ..api.secret_references import RECORDING_STORAGES
from ..core.credential_values import field_of, problem_of
from ..core.recording import TRUE
from ..core.trunk import SOUND, DispatchRule, Masked


class NotSaid(Exception):
    """A set has something that no spec can say. The text is for the user and holds no credential."""


@dataclass(frozen=True, slots=True)
class StatedSecret:
    """What a Secret of a spec must have. `values`: by key; None for one that LiveKit does not list.

    `reference`: path of the reference to it, such as `sipPasswordSecretRef`.
    """

    reference: str
    values: Mapping[str, Masked | None] = field(repr=False)

    @property
    def unknown(self) -> bool:
        """Whether LiveKit does not list a value."""
        return None in self.values.values()


def stated_recording(rule: DispatchRule) -> dict[str, Any]:
    """The recording of a rule, without the name of a Secret."""
    told: dict[str, Any] = {"audioOnly": rule.recording == SOUND, "path": rule.recording_path}
    storage: dict[str, Any] = dict(rule.recording_storage)
    if storage:
        name = storage.pop("type")
        told[name] = {
            key: True if key == "forcePathStyle" and value == TRUE else value for key, value in storage.items()
        }
    return told


def storage_secret(rule: DispatchRule) -> tuple[StatedSecret, ...]:
    """The Secret of the storage; none for that of the egress service. Raises `NotSaid`."""
    if not rule.recording_storage:
        return ()
    name, secret = rule.recording_storage["type"], rule.recording_secret
    by_key: Mapping[str, Mapping[str, Masked | None]] = {
        "s3": {
            secret_keys.S3_ACCESS_KEY_ID: rule.recording_access_key,
            secret_keys.S3_SECRET_ACCESS_KEY: secret,
        },
        "gcs": {secret_keys.GCS_SERVICE_ACCOUNT: secret},
        "azure": {secret_keys.AZURE_ACCOUNT_KEY: secret},
    }
    stated = StatedSecret(RECORDING_STORAGES[name], by_key[name])
    if stated.unknown and rule.password_listed:
        raise NotSaid(
            f"its dispatch rule {rule.id} records into {name} without keys; spec.inbound.recording needs them"
        )
    for key, value in stated.values.items():
        problem = problem_of(value.text.get_secret_value(), field_of(key)) if value is not None and value.text else ""
        if problem:
            raise NotSaid(f"the key of the recording's storage cannot stand in a Secret: {problem}")
    return (stated,)
