"""Makes `SecretFacts` of the JSON of a Secret."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..api.encoding import from_base64
from ..api.names import WATCH_LABEL
from .credentials import MAX_KEYS, Reading, SecretFacts, facts_of, sealed_keys

MAX_TYPE = 253
"""Characters of a Secret's type that are kept. Any text may be a type; the refused types are shorter."""

MAX_KEY = 253
"""Characters of the longest key that the API server accepts."""


def secret_facts(raw: Mapping[str, Any], reading: Reading, *, labelled_only: bool = False) -> SecretFacts:
    """The facts of a Secret, with the texts of its values.

    Namespace, name and resourceVersion must be there; no other content of the Secret makes this fail.
    `labelled_only`: the facts of a Secret without our label have no values (see `SecretRules`).
    """
    metadata = raw["metadata"]
    namespace, name, type_ = metadata["namespace"], metadata["name"], str(raw.get("type") or "Opaque")[:MAX_TYPE]
    data = _mapping(raw.get("data"))
    watched = _mapping(metadata.get("labels")).get(WATCH_LABEL) == "true"
    too_large = len(data) > MAX_KEYS
    values = {} if too_large else {str(key)[:MAX_KEY]: from_base64(value) for key, value in data.items()}
    # `sealed` is filled for an unusable Secret too: the operator makes no new keys while something is sealed.
    usable = watched or not labelled_only
    return SecretFacts(
        namespace=namespace,
        name=name,
        resource_version=metadata["resourceVersion"],
        type=type_,
        watched=watched,
        changed_at=_changed_at(metadata),
        values=facts_of(namespace, name, type_, values, reading) if usable else {},
        too_large=too_large,
        sealed=sealed_keys(values),
    )


def _changed_at(metadata: Mapping[str, Any]) -> float:
    """Epoch seconds of the last write to the data that `managedFields` has, else of the creation, else 0."""
    entries = metadata.get("managedFields")
    times = [
        _text(entry.get("time"))
        for entry in map(_mapping, entries if isinstance(entries, list) else ())
        if "f:data" in _mapping(entry.get("fieldsV1"))
    ]
    latest = max(times, default="") or _text(metadata.get("creationTimestamp"))
    try:
        return datetime.fromisoformat(latest).timestamp()
    except ValueError:
        return 0.0


def _mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    """The value if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""
