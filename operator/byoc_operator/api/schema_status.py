"""The status of a `ByocPhoneNumber` as frozen models, for the CRD and its documentation.

The API server refuses a status that is longer than the bounds. The bounds are therefore wider than what the operator
writes.
"""

from typing import Annotated, Any

from pydantic import Field

from .recorded_status import (
    MAX_ALIAS,
    MAX_CONDITIONS,
    MAX_FINDINGS,
    MAX_HOST,
    MAX_ID,
    MAX_LEFT_HOSTS,
    MAX_LEFT_IDS,
    MAX_OTHER_CREDENTIALS,
    MAX_PATHS,
)
from .schema import MAX_ALIASES
from .schema_types import ATOMIC, Model

_TIME: dict[str, Any] = {"format": "date-time"}
_TRISTATE: dict[str, Any] = {"enum": ["True", "False", "Unknown"]}
_INT64: dict[str, Any] = {"format": "int64"}


def _map_list(key: str) -> dict[str, Any]:
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


class ConditionModel(Model):
    """One aspect of the number's state (`metav1.Condition`)."""

    type: str = Field(max_length=316, description="Name of the aspect: Ready, Reconciling, Stalled, …")
    status: str = Field(json_schema_extra=_TRISTATE, description="True, False or Unknown.")
    observed_generation: int | None = Field(
        default=None, ge=0, json_schema_extra=_INT64, description="`metadata.generation` this was said of."
    )
    last_transition_time: str = Field(json_schema_extra=_TIME, description="When `status` last changed.")
    reason: str = Field(max_length=1024, description="Cause in one CamelCase word; the reference lists them all.")
    message: str = Field(max_length=32768, description="What is the case and what to do about it.")


class FindingModel(Model):
    """Something that works but should be better."""

    code: str = Field(max_length=64, description="Kind of finding; the reference lists them all.")
    message: str = Field(max_length=4096, description="What was found and how to improve it.")


class LeftBehindModel(Model):
    """Objects of the number on a LiveKit server that the operator no longer talks to."""

    live_kit: str = Field(max_length=MAX_HOST, description="Host of that server.")
    ids: tuple[Annotated[str, Field(max_length=MAX_ID)], ...] = Field(
        default=(),
        max_length=MAX_LEFT_IDS,
        json_schema_extra=ATOMIC,
        description="LiveKit IDs of the objects that may still be there.",
    )


class CredentialsModel(Model):
    """Which credentials were last written to LiveKit; never the credentials themselves."""

    secret_name: str = Field(max_length=253, description="Name of the Secret.")
    resource_version: str = Field(default="", max_length=128, description="Its `metadata.resourceVersion` then.")
    sealed: bool | None = Field(default=None, description="Whether what the number uses of the Secret is sealed.")


class OtherCredentialsModel(CredentialsModel):
    """Which credentials of another reference than `sipPasswordSecretRef` were last written to LiveKit."""

    reference: str = Field(
        max_length=128, description="Path of the reference in the spec. Example: inbound.credentialsSecretRef"
    )


class StatusModel(Model):
    """What the operator found and did; written by the operator only."""

    observed_generation: int = Field(
        default=-1,
        json_schema_extra=_INT64,
        description="`metadata.generation` that this status describes; -1 before the operator has seen the object.",
    )
    conditions: tuple[ConditionModel, ...] = Field(
        default=(),
        max_length=MAX_CONDITIONS,
        json_schema_extra=_map_list("type"),
        description="State of the number. Ready sums up.",
    )
    carrier: str = Field(default="", max_length=64, description="Carrier in force.")
    inbound_trunk_id: str = Field(default="", max_length=MAX_ID, description="LiveKit ID of the inbound trunk.")
    outbound_trunk_id: str = Field(default="", max_length=MAX_ID, description="LiveKit ID of the outbound trunk.")
    dispatch_rule_id: str = Field(default="", max_length=MAX_ID, description="LiveKit ID of the dispatch rule.")
    aliases: tuple[Annotated[str, Field(max_length=MAX_ALIAS)], ...] = Field(
        default=(),
        max_length=MAX_ALIASES,
        json_schema_extra=ATOMIC,
        description="Aliases of the number that its inbound trunk has, each with a plus in front.",
    )
    origination_uri: str = Field(
        default="",
        max_length=512,
        description="Where the carrier must send calls: paste this as origination URI there.",
    )
    live_kit: str = Field(default="", max_length=MAX_HOST, description="Host of the LiveKit server that holds the IDs.")
    last_handled_refresh: str = Field(
        default="", max_length=1024, description="Value of the `refresh` annotation that was last carried out."
    )
    last_handled_recreate: str = Field(
        default="", max_length=1024, description="Value of the `recreate` annotation that was last carried out."
    )
    last_handled_adopt: str = Field(
        default="", max_length=1024, description="IDs of the `adopt` annotation that was last carried out."
    )
    credentials: CredentialsModel | None = Field(
        default=None, description="Which credentials of `sipPasswordSecretRef` were last written to LiveKit."
    )
    other_credentials: tuple[OtherCredentialsModel, ...] = Field(
        default=(),
        max_length=MAX_OTHER_CREDENTIALS,
        json_schema_extra=_map_list("reference"),
        description="The same for the other references of the spec to Secrets.",
    )
    pending_changes: tuple[Annotated[str, Field(max_length=256)], ...] = Field(
        default=(),
        max_length=MAX_PATHS,
        json_schema_extra=ATOMIC,
        description="Fields of LiveKit's objects that would change; paths, never values.",
    )
    findings: tuple[FindingModel, ...] = Field(
        default=(),
        max_length=MAX_FINDINGS,
        json_schema_extra=_map_list("code"),
        description="What works but should be better; never keeps a number from being Ready.",
    )
    left_behind: tuple[LeftBehindModel, ...] = Field(
        default=(),
        max_length=MAX_LEFT_HOSTS,
        json_schema_extra=_map_list("liveKit"),
        description="Objects that may still be on LiveKit servers that the operator no longer talks to; see the "
        "finding LeftBehind.",
    )
