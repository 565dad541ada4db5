"""Converts the recording in LiveKit's `RoomEgress`: one file in the storage of the egress service or of the rule.

Messages: livekit/protocol `protobufs/livekit_room.proto`, `livekit_egress.proto`. livekit-server lists the request as
it was sent, with the keys of the storage.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf.message import Message
from livekit.protocol.egress import (
    AzureBlobUpload,
    EncodedFileOutput,
    GCPUpload,
    RoomCompositeEgressRequest,
    S3Upload,
)
from livekit.protocol.room import RoomEgress

from ..core.recording import TRUE
from ..core.trunk import SOUND, VIDEO, DispatchRule, Mask, Masked
from .forms import digest

RECORDING: Final = (
    "recording",
    "recording_path",
    "recording_storage",
    "recording_access_key",
    "recording_secret",
)
"""The attributes of a rule that say what is recorded."""


def write_recording(egress: RoomEgress, rule: DispatchRule) -> None:
    """Set the recording of a rule that has one."""
    keys = _text(rule.recording_access_key), _text(rule.recording_secret)
    egress.room.CopyFrom(_request(rule.recording, rule.recording_path, rule.recording_storage, keys))


def read_recording(egress: RoomEgress, values: dict[str, Any], mask: Mask) -> bool:
    """Put the values of a recording into a dictionary. Returns whether a rule of ours can have all that is set."""
    ours = not egress.HasField("room") or _read_request(egress.room, values, mask)
    return ours and all(field.name == "room" for field, _ in egress.ListFields())


def inner_messages(egress: RoomEgress) -> Iterator[Message]:
    """The messages of a recording in which fields may be that our version of the protocol does not have."""
    yield from (egress, egress.room)
    for file in egress.room.file_outputs:
        output = file.WhichOneof("output")
        yield from (file, getattr(file, output)) if output else (file,)


def _read_request(request: RoomCompositeEgressRequest, values: dict[str, Any], mask: Mask) -> bool:
    recording = SOUND if request.audio_only else VIDEO
    file = request.file_outputs[0] if request.file_outputs else EncodedFileOutput()
    storage, keys = _storage(file)
    if request != _request(recording, file.filepath, storage, keys):
        return False
    access_key, secret = (digest(each, mask) for each in keys)
    values |= dict(zip(RECORDING, (recording, file.filepath, storage, access_key, secret), strict=True))
    return True


def _request(
    recording: str, path: str, storage: Mapping[str, str], keys: tuple[str, str]
) -> RoomCompositeEgressRequest:
    """The request of a recording. `keys`: access key ID and secret of the storage, empty if it has none."""
    file = EncodedFileOutput(filepath=path)
    access_key, secret = keys
    bucket = storage.get("bucket", "")
    match storage.get("type"):
        case "s3":
            s3 = S3Upload(
                access_key=access_key,
                secret=secret,
                bucket=bucket,
                region=storage.get("region", ""),
                endpoint=storage.get("endpoint", ""),
                force_path_style=storage.get("forcePathStyle") == TRUE,
            )
            file.s3.CopyFrom(s3)
        case "gcs":
            file.gcp.CopyFrom(GCPUpload(credentials=secret, bucket=bucket))
        case "azure":
            account, container = storage.get("accountName", ""), storage.get("containerName", "")
            file.azure.CopyFrom(AzureBlobUpload(account_name=account, account_key=secret, container_name=container))
    return RoomCompositeEgressRequest(audio_only=recording == SOUND, file_outputs=[file])


def _storage(file: EncodedFileOutput) -> tuple[dict[str, str], tuple[str, str]]:
    """The storage of a file and its keys, both empty for a storage that a spec has no word for."""
    match file.WhichOneof("output"):
        case "s3":
            s3 = file.s3
            told = {
                "type": "s3",
                "bucket": s3.bucket,
                "region": s3.region,
                "endpoint": s3.endpoint,
                "forcePathStyle": TRUE if s3.force_path_style else "",
            }
            keys = s3.access_key, s3.secret
        case "gcp":
            told, keys = {"type": "gcs", "bucket": file.gcp.bucket}, ("", file.gcp.credentials)
        case "azure":
            azure = file.azure
            told = {"type": "azure", "accountName": azure.account_name, "containerName": azure.container_name}
            keys = "", azure.account_key
        case _:
            return {}, ("", "")
    return {name: value for name, value in told.items() if value}, keys


def _text(credential: Masked | None) -> str:
    return credential.text.get_secret_value() if credential is not None and credential.text is not None else ""
