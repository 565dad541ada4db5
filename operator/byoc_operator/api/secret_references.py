"""The references of a spec to Secrets.

A field of the schema whose type is a `SecretRef` is a reference; its path is its name in every message. Everything that
reads, watches, counts or shows the Secrets of an object goes through this module, so a new reference needs no code
there. The values that are read of a Secret are those of `core.situation.secret_uses`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, get_args

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from . import secret_keys
from .schema import PhoneNumberSpec
from .schema_types import SecretRef

SIP_PASSWORD: Final = "sipPasswordSecretRef"  # noqa: S105 - a path
INBOUND_CREDENTIALS: Final = "inbound.credentialsSecretRef"

RECORDING_STORAGES: Final = {
    storage: f"inbound.recording.{storage}.credentialsSecretRef" for storage in ("s3", "gcs", "azure")
}
"""By the name of a storage of recordings, the path of the reference to its keys."""

_INBOUND: Final = "inbound"


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference of a spec. `path`: its place under `spec`, such as `inbound.credentialsSecretRef`."""

    path: str
    to: SecretRef


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """The models of an annotation: itself, or the members of a union such as `SecretKeyRef | None`."""
    for each in get_args(annotation) or (annotation,):
        if isinstance(each, type) and issubclass(each, BaseModel):
            yield each


def _below(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], type[SecretRef]]]:
    """The attributes that lead to each reference below a model, and its type, in the order of the fields."""
    for name, field in model.model_fields.items():
        for each in _models_in(field.annotation):
            if issubclass(each, SecretRef):
                yield (*above, name), each
            else:
                yield from _below(each, (*above, name))


_FOUND: Final = tuple(_below(PhoneNumberSpec))
_ATTRIBUTES: Final = {".".join(map(to_camel, attributes)): attributes for attributes, _ in _FOUND}
"""For each path the attributes that lead to it."""

TYPES: Final = {".".join(map(to_camel, attributes)): type_ for attributes, type_ in _FOUND}
"""For each path the type of the reference."""

PATHS: Final = tuple(_ATTRIBUTES)
"""The paths of all references that a spec may have, in the order in which their verdicts are shown."""


def references(spec: PhoneNumberSpec) -> tuple[Reference, ...]:
    """The references of a valid spec that are in use, in the order of `PATHS`.

    A number without inbound agent takes no calls, so what stands below `spec.inbound` is not in use.
    """
    found: list[Reference] = []
    for path, attributes in _ATTRIBUTES.items():
        if attributes[0] == _INBOUND and not spec.inbound_agent_id:
            continue
        to: Any = spec
        for each in attributes:
            to = getattr(to, each) if to is not None else None
        if to is not None:
            found.append(Reference(path, to))
    return tuple(found)


def secret_names(spec: PhoneNumberSpec) -> tuple[str, ...]:
    """The names of the Secrets that a valid spec uses, each once."""
    return tuple(dict.fromkeys(each.to.name for each in references(spec)))


def stored_secret_names(spec: object) -> tuple[str, ...]:
    """The names of the Secrets in the JSON of a spec, valid or not, in use or not, each once."""
    found = [_text_at(spec, (*path.split("."), "name")) for path in PATHS]
    return tuple(dict.fromkeys(filter(None, found)))


def stored_secret_keys(spec: object, name: str) -> tuple[str, ...]:
    """The keys of a Secret that the JSON of a spec uses, valid or not, in use or not, each once."""
    found: dict[str, None] = {}
    for path, type_ in TYPES.items():
        steps = path.split(".")
        if _text_at(spec, (*steps, "name")) == name:
            password = _text_at(spec, (*steps, "key")) or secret_keys.PASSWORD
            found |= dict.fromkeys(type_.keys or (secret_keys.USERNAME, password))
    return tuple(found)


def _text_at(stored: object, path: tuple[str, ...]) -> str:
    """The text at a path of JSON; empty if there is none."""
    for each in path:
        stored = stored.get(each) if isinstance(stored, Mapping) else None
    return stored if isinstance(stored, str) else ""
