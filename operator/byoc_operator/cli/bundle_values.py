"""What a support bundle says about objects that may hold credentials: of each only what is no secret. Pure."""

from collections.abc import Mapping
from typing import Any

from ..api.authorization import MASKED
from ..api.encoding import from_base64
from ..core.credentials import LAST_APPLIED, SEALED_PREFIX
from ..core.fields import FIELDS, SECRET, Shape
from ..core.ownership import owner_of
from ..core.trunk import SipObject

_TELLING = ("KEY", "SECRET", "PASSWORD", "TOKEN", "CREDENTIAL")
_OURS = ("BYOC_", "LIVEKIT_", "POD_")

_SHOWN_OF_OTHERS = frozenset(
    {
        "name",
        "numbers",
        "trunk_ids",
        "room_prefix",
        "agent_name",
        "additional_agents",
        "address",
        "from_host",
        "allowed_addresses",
        "allowed_numbers",
        "transport",
        "media_encryption",
        "codecs",
        "include_headers",
    }
)
"""The texts, lists and maps of an object without an owner that are shown; of all others only the size."""

_COUNTED: Mapping[Shape, str] = {Shape.TEXT: "characters", Shape.TEXTS: "entries", Shape.PAIRS: "entries"}


def bare(raw: Mapping[str, Any]) -> dict[str, Any]:
    """An object without the copies of itself that its metadata may hold."""
    metadata = {key: each for key, each in _mapping(raw.get("metadata")).items() if key != "managedFields"}
    annotations = {key: each for key, each in _mapping(metadata.get("annotations")).items() if key != LAST_APPLIED}
    return {**raw, "metadata": {**metadata, "annotations": annotations}}


def of_number(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A number, with the values of its SIP headers masked."""
    return {**bare(raw), "spec": _without_headers(raw.get("spec"))}


def _without_headers(value: object) -> object:
    if isinstance(value, Mapping):
        return {
            key: dict.fromkeys(each, MASKED)
            if str(key).lower().endswith("headers") and isinstance(each, Mapping)
            else _without_headers(each)
            for key, each in value.items()
        }
    return value


def of_secret(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A Secret: name, type, labels, and of each key only whether its value is sealed."""
    metadata = _mapping(raw.get("metadata"))
    sealed = {
        key: (from_base64(str(value)) or "").startswith(SEALED_PREFIX)
        for key, value in _mapping(raw.get("data")).items()
    }
    return {
        "metadata": {each: metadata.get(each) for each in ("namespace", "name", "labels", "resourceVersion")},
        "type": raw.get("type", ""),
        "keys": {key: "sealed" if is_sealed else "not sealed" for key, is_sealed in sealed.items()},
    }


def of_deployment(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A Deployment. Of its variables only those of the operator that cannot hold a secret keep their value."""
    found = _without_variables(bare(raw))
    return found if isinstance(found, dict) else {}


def _without_variables(value: object) -> object:
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and isinstance(value.get("value"), str):
            return {**value, "value": setting(value["name"], value["value"])}
        return {key: _without_variables(each) for key, each in value.items()}
    return [_without_variables(each) for each in value] if isinstance(value, list) else value


def setting(name: str, value: str) -> str:
    """The value of a variable or setting, masked where it may be a secret."""
    path_only = name.endswith(("_FILE", "_NAME"))
    safe = name.startswith(_OURS) and (path_only or not any(each in name for each in _TELLING))
    return value if safe else MASKED


def of_config_map(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A ConfigMap with the operator's settings."""
    data = {key: setting(str(key), str(value)) for key, value in _mapping(raw.get("data")).items()}
    return {**bare(raw), "data": data, "binaryData": sorted(_mapping(raw.get("binaryData")))}


def of_pod(raw: Mapping[str, Any]) -> dict[str, Any]:
    """A pod: where it runs, how it is, and how its containers ended before. What it runs stands in its Deployment."""
    return {**bare(raw), "spec": {"nodeName": _mapping(raw.get("spec")).get("nodeName", "")}}


def of_livekit(found: SipObject) -> dict[str, Any]:
    """An object of LiveKit, by the table of its fields; `core.fields` says which of them hold credentials.

    Free texts and maps of objects that are not the operator's stay out: nobody knows what is in there.
    """
    told: dict[str, Any] = {"kind": str(found.kind), "id": found.id}
    owner = owner_of(found)
    told["owner"] = f"{owner.namespace}/{owner.name}" if owner else ""
    for each in FIELDS[found.kind]:
        value = getattr(found, each.attribute)
        if each.shape in SECRET:
            value = _masked(value)
        elif owner is None and each.shape in _COUNTED and each.attribute not in _SHOWN_OF_OTHERS:
            value = f"({len(value)} {_COUNTED[each.shape]})"
        elif each.shape is Shape.PAIRS:
            value = dict(value)
        elif each.shape is Shape.TEXTS:
            value = list(value)
        told[each.path.partition(".")[2]] = value
    return {**told, "fieldsThatTheOperatorNeverSets": list(found.extra)}


def _masked(value: object) -> object:
    if isinstance(value, Mapping):
        return dict.fromkeys(value, MASKED)
    return MASKED if value else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
