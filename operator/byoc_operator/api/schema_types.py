"""What the models of the spec have in common: their base and the types of texts."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from . import secret_keys


class Model(BaseModel):
    """Frozen, camelCase in JSON, unknown fields are ignored (the API server prunes them)."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


Phone = Annotated[str, Field(max_length=64)]  # longer than E.164, so that our rule refuses "+1 (202) 555-0123"
Address = Annotated[str, Field(max_length=64)]
Codec = Annotated[str, Field(max_length=64)]
Value = Annotated[str, Field(max_length=1024)]
RecordingPath = Annotated[str, Field(max_length=256)]
AgentId = Annotated[str, Field(max_length=128)]

ATOMIC: dict[str, Any] = {"x-kubernetes-list-type": "atomic"}
INT32: dict[str, Any] = {"format": "int32"}


class SecretRef(Model):
    """Names a Secret in the namespace of the object. `api.secret_references` finds every field of such a type.

    `keys`: the keys of the Secret that are read, as far as the type fixes them.
    """

    keys: ClassVar[tuple[str, ...]] = ()

    name: str = Field(max_length=253, description="Name of the Secret. Example: twilio-sip")


class SecretKeyRef(SecretRef):
    """Names a Secret with a SIP user name in the key `username`, and the key of the password."""

    key: str = Field(
        default="password",
        max_length=253,
        description="Key of the Secret that holds the password. `username` is not allowed: that key is read as the "
        "SIP user name. Nor are the keys of a recording's storage.",
    )


class S3KeysRef(SecretRef):
    """Names a Secret with the keys of an S3 storage."""

    keys = (secret_keys.S3_ACCESS_KEY_ID, secret_keys.S3_SECRET_ACCESS_KEY)


class GcsKeyRef(SecretRef):
    """Names a Secret with the key of a Google service account."""

    keys = (secret_keys.GCS_SERVICE_ACCOUNT,)


class AzureKeyRef(SecretRef):
    """Names a Secret with the key of an Azure storage account."""

    keys = (secret_keys.AZURE_ACCOUNT_KEY,)
