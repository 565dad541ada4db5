"""Rules for the recording of a call and its storage."""

import re
from collections.abc import Mapping
from typing import Any, Final

from . import grammar
from .characters import HIDDEN
from .rule import Rule, TextForm, Together, cel_text, fits_cel, pattern_rule, whole
from .rule_makers import visible_rule
from .secret_references import RECORDING_STORAGES

_STORAGES: Final = tuple(RECORDING_STORAGES)

_NAMES_THE_ROOM_CEL: Final = (
    'self.size() == 0 || self.endsWith("/") || self.contains("{room_name}") || self.contains("{room_id}")'
)


def _names_the_room(path: str) -> bool:
    return not path or path.endswith("/") or "{room_name}" in path or "{room_id}" in path


_LEADS_ELSEWHERE: Final = r"[.][.]|[/{}\\]"
_IN_PATH: Final = re.compile(_LEADS_ELSEWHERE)


def _prefix_is_one_part_of_a_path(inbound: Mapping[str, Any]) -> bool:
    prefix = (inbound.get("room") or {}).get("prefix") or ""
    return inbound.get("recording") is None or _IN_PATH.search(prefix) is None


def _no_parent_rule(node: str) -> Rule:
    return Rule(
        node=node,
        message="must not have two dots in a row, which lead out of a directory",
        cel='!self.contains("..")',
        holds=lambda path: ".." not in path,
        form=TextForm(none=("[.][.]",)),
    )


_LOCAL: Final = re.compile(grammar.LOCAL_STORAGE)
_ADDRESS_CEL: Final = 'self.substring(self.indexOf("[") + 1, self.indexOf("]"))'


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
        "support/{room_id}",
        cel=_NAMES_THE_ROOM_CEL,
        holds=_names_the_room,
        form=TextForm(all=("^$|/$|[{]room_name[}]|[{]room_id[}]",)),
    ),
    _no_parent_rule("inbound.recording.path"),
    Rule(
        node="inbound.recording.path",
        message="must not begin with a /; a path begins in the storage, such as support/{room_id}",
        cel='!self.startsWith("/")',
        holds=lambda path: not path.startswith("/"),
        form=TextForm(none=("^/",)),
    ),
    visible_rule("inbound.recording.path", HIDDEN),
    Rule(
        node="inbound",
        field="room.prefix",
        message="must not have /, a backslash, braces or two dots in a row when inbound.recording is set: the name of "
        "the room becomes a part of the recording's path",
        cel="!has(self.recording) || !has(self.room) || !has(self.room.prefix) || "
        f"!self.room.prefix.matches({cel_text(_LEADS_ELSEWHERE)})",
        holds=_prefix_is_one_part_of_a_path,
        form=Together("prefixLeadsElsewhere", patterns={"elsewhere": _LEADS_ELSEWHERE}),
    ),
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
    Rule(
        node="inbound.recording.s3.endpoint",
        message="must be the URL of a storage: http:// or https://, a host name or an IP address, perhaps a port and a "
        "path, without user, query and fragment, such as https://minio.example.com:9000",
        cel=f"{fits_cel(grammar.STORAGE_URL)} && !self.matches({cel_text(grammar.LONG_STORAGE_HOST)}) && "
        f'(!self.contains("[") || isIP({_ADDRESS_CEL}))',
        holds=grammar.is_storage_url,
        form=TextForm(
            all=(whole(grammar.STORAGE_URL), rf"^(?:$|https?://(?:[^\[]|\[(?:{grammar.IPV6})\]))"),
            none=(grammar.LONG_STORAGE_HOST, rf"^https?://\[(?:{grammar.IPV4_MAPPED})\]"),
        ),
    ),
    Rule(
        node="inbound.recording.s3.endpoint",
        message="must not lead to the machine on which egress runs or to its link: localhost, addresses such as "
        "127.0.0.1, 0.0.0.0, 169.254.169.254, ::1 and fe80::1 are not allowed",
        cel=f"!self.matches({cel_text(grammar.LOCAL_STORAGE)})",
        holds=lambda url: not _LOCAL.search(url),
        form=TextForm(none=(grammar.LOCAL_STORAGE,)),
    ),
    _no_parent_rule("inbound.recording.s3.endpoint"),
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
