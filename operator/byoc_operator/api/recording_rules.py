"""Rules for the recording of a call and its storage."""

from collections.abc import Mapping
from typing import Any, Final

from . import grammar
from .characters import HIDDEN
from .rule import Rule, TextForm, Together, pattern_rule
from .rule_makers import visible_rule
from .secret_references import RECORDING_STORAGES

_STORAGES: Final = tuple(RECORDING_STORAGES)

_NAMES_THE_ROOM_CEL: Final = (
    'self.size() == 0 || self.endsWith("/") || self.contains("{room_name}") || self.contains("{room_id}")'
)


def _names_the_room(path: str) -> bool:
    return not path or path.endswith("/") or "{room_name}" in path or "{room_id}" in path


def _has_one_storage(recording: Mapping[str, Any]) -> bool:
    return sum(recording.get(each) is not None for each in _STORAGES) <= 1


RECORDING_RULES: Final = (
    pattern_rule(
        "inbound.recording.path",
        "must have braces only in {room_name}, {room_id}, {time} and {utc}, and no control characters",
        grammar.RECORDING_PATH,
    ),
    Rule(
        node="inbound.recording.path",
        message="must end with a / or have {room_name} or {room_id}, or a recording overwrites the one before; such as "
        "support/{room_name}",
        cel=_NAMES_THE_ROOM_CEL,
        holds=_names_the_room,
        form=TextForm(all=("^$|/$|[{]room_name[}]|[{]room_id[}]",)),
    ),
    Rule(
        node="inbound.recording.path",
        message="must not have two dots in a row, which lead out of a directory",
        cel='!self.contains("..")',
        holds=lambda path: ".." not in path,
        form=TextForm(none=("[.][.]",)),
    ),
    visible_rule("inbound.recording.path", HIDDEN),
    Rule(
        node="inbound.recording",
        message="must have at most one of s3, gcs and azure; without one, recordings go into the storage of the egress "
        "service",
        cel=f"[{', '.join(f'has(self.{each})' for each in _STORAGES)}].filter(there, there).size() <= 1",
        holds=_has_one_storage,
        form=Together("severalStorages", names={"storages": _STORAGES}),
    ),
    pattern_rule(
        "inbound.recording.s3.bucket",
        "must be the name of a bucket: 3 to 63 letters, digits, dashes, dots and underscores, with a letter or a "
        "digit at both ends, such as acme-calls",
        grammar.S3_BUCKET,
    ),
    pattern_rule(
        "inbound.recording.s3.region",
        "must be a region: lower-case letters, digits and dashes, such as eu-central-1",
        grammar.REGION,
    ),
    pattern_rule(
        "inbound.recording.s3.endpoint",
        "must be the URL of a storage, without user, query and fragment, such as https://minio.example.com:9000",
        grammar.STORAGE_URL,
    ),
    pattern_rule(
        "inbound.recording.gcs.bucket",
        "must be the name of a bucket: 3 to 222 lower-case letters, digits, dashes, dots and underscores, with a "
        "letter or a digit at both ends, such as acme-calls",
        grammar.GCS_BUCKET,
    ),
    pattern_rule(
        "inbound.recording.azure.accountName",
        "must be the name of a storage account: 3 to 24 lower-case letters and digits, such as acmecalls",
        grammar.AZURE_ACCOUNT,
    ),
    pattern_rule(
        "inbound.recording.azure.containerName",
        "must be the name of a container: 3 to 63 lower-case letters, digits and single dashes, with a letter or a "
        "digit at both ends, such as calls",
        grammar.AZURE_CONTAINER,
    ),
)
