"""The recording of calls, as the dispatch rule has it: what is recorded, and in which storage."""

from collections.abc import Mapping
from dataclasses import replace

from ..api.schema_recording import RecordingSpec
from ..api.secret_references import RECORDING_STORAGES
from .credential_values import Field
from .credentials_in_use import CredentialsInUse
from .trunk import SOUND, VIDEO, DispatchRule

TRUE = "true"
"""A flag of a storage that is set; one that is not set is left out."""

_SECRETS = (Field.SECRET_ACCESS_KEY, Field.SERVICE_ACCOUNT_KEY, Field.STORAGE_ACCOUNT_KEY)
"""A storage has one of these."""


def recorded(rule: DispatchRule, recording: RecordingSpec, credentials: CredentialsInUse) -> DispatchRule:
    """The rule with the recording of a spec.

    Without usable keys of its storage the rule has none, and the run does not write it.
    """
    storage = storage_of(recording)
    keys = credentials.at(RECORDING_STORAGES[storage["type"]]) if storage else None
    values = keys.values if keys else {}
    return replace(
        rule,
        recording=SOUND if recording.audio_only else VIDEO,
        recording_path=recording.path,
        recording_storage=storage,
        recording_access_key=values.get(Field.ACCESS_KEY_ID),
        recording_secret=next((values[each] for each in _SECRETS if each in values), None),
    )


def storage_of(recording: RecordingSpec) -> Mapping[str, str]:
    """The storage as `DispatchRule.recording_storage` has it."""
    if recording.s3 is not None:
        told = {
            "type": "s3",
            "bucket": recording.s3.bucket,
            "region": recording.s3.region,
            "endpoint": recording.s3.endpoint,
            "forcePathStyle": TRUE if recording.s3.force_path_style else "",
        }
    elif recording.gcs is not None:
        told = {"type": "gcs", "bucket": recording.gcs.bucket}
    elif recording.azure is not None:
        azure = recording.azure
        told = {"type": "azure", "accountName": azure.account_name, "containerName": azure.container_name}
    else:
        return {}
    return {name: value for name, value in told.items() if value}
