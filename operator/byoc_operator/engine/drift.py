"""Which fields of LiveKit's objects may drift: the values of the label of `byoc_drift_repaired_total`."""

from ..core.fields import FIELDS
from ..core.trunk import Kind

OTHER = "other"
"""Stands for fields that LiveKit has and `ByocPhoneNumber` has no name for: a newer LiveKit has more of them."""

FIELDS_THAT_DRIFT = (
    *(str(kind) for kind in Kind),
    *(f"{kind}.metadata" for kind in Kind),
    *(each.path for table in FIELDS.values() for each in table),
    OTHER,
)
"""A whole object by its kind, the mark, each field by its path."""

_KNOWN = frozenset(FIELDS_THAT_DRIFT)


def drift_label(path: str) -> str:
    """The value of the label for a field path."""
    return path if path in _KNOWN else OTHER
