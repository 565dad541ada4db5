"""The part of the spec that describes the recording of a call and its storage."""

from typing import Final

from pydantic import Field

from .schema_types import AzureKeyRef, GcsKeyRef, Model, RecordingPath, S3KeysRef

MAX_S3_BUCKET: Final = 63
MAX_GCS_BUCKET: Final = 222
MAX_AZURE_CONTAINER: Final = 63
MAX_AZURE_ACCOUNT: Final = 24
MAX_REGION: Final = 64
MAX_ENDPOINT: Final = 512

_KEPT_IN_LIVEKIT: Final = (
    "LiveKit keeps them in the dispatch rule, readable to whoever has sip.admin, and puts them into the token with "
    "which its SIP service brings each caller into the room; docs/rooms.md says what follows."
)


class S3Spec(Model):
    """A bucket of S3, or of a storage that speaks its protocol."""

    bucket: str = Field(max_length=MAX_S3_BUCKET, description="Name of the bucket. Example: acme-calls")
    region: str = Field(
        default="",
        max_length=MAX_REGION,
        description="Region of the bucket. Absent: us-east-1 with an `endpoint`; without one, egress asks S3 for it, "
        "which needs the right s3:GetBucketLocation. Example: eu-central-1",
    )
    endpoint: str = Field(
        default="",
        max_length=MAX_ENDPOINT,
        description="URL of a storage other than Amazon's. With http:// recordings travel in clear. Absent: Amazon's. "
        "Example: https://minio.example.com:9000",
    )
    force_path_style: bool = Field(
        default=False,
        description="Whether the bucket stands in the path of the URL and not in its host, as MinIO wants it.",
    )
    credentials_secret_ref: S3KeysRef = Field(
        description="Secret with the keys of the bucket, in the same namespace: `AWS_ACCESS_KEY_ID` and "
        f"`AWS_SECRET_ACCESS_KEY`. Let them write into this bucket and do nothing else. {_KEPT_IN_LIVEKIT}",
    )


class GcsSpec(Model):
    """A bucket of Google Cloud Storage."""

    bucket: str = Field(max_length=MAX_GCS_BUCKET, description="Name of the bucket. Example: acme-calls")
    credentials_secret_ref: GcsKeyRef = Field(
        description="Secret with the key of a service account (JSON) in the key `credentials.json`, in the same "
        f"namespace. Let it create objects in this bucket and do nothing else. {_KEPT_IN_LIVEKIT}",
    )


class AzureSpec(Model):
    """A container of Azure Blob Storage."""

    account_name: str = Field(max_length=MAX_AZURE_ACCOUNT, description="Storage account. Example: acmecalls")
    container_name: str = Field(max_length=MAX_AZURE_CONTAINER, description="Container in it. Example: calls")
    credentials_secret_ref: AzureKeyRef = Field(
        description="Secret with a key of the storage account in the key `AZURE_STORAGE_KEY`, in the same namespace. "
        f"It opens the whole account, so use an account for recordings alone. {_KEPT_IN_LIVEKIT}",
    )


class RecordingSpec(Model):
    """What is recorded of each call, under which name, and where files are kept."""

    audio_only: bool = Field(
        default=True,
        description="Whether only sound is recorded. false: video too, which needs far more processor time.",
    )
    path: RecordingPath = Field(
        default="",
        description="Name of the file in the storage, without an extension, which egress adds. "
        "Egress replaces `{room_name}`, `{room_id}`, `{time}` (to the second) and `{utc}` (to the millisecond). After "
        "a / at its end, or if it is empty, egress adds the name of the room and the time. Example: "
        "support/{room_id}-{time}",
    )
    s3: S3Spec | None = Field(
        default=None,
        description="A bucket of S3, or of a storage that speaks its protocol. Without `s3`, `gcs` and `azure`: the "
        "storage in the settings of the egress service, whose keys stay there.",
    )
    gcs: GcsSpec | None = Field(default=None, description="A bucket of Google Cloud Storage.")
    azure: AzureSpec | None = Field(default=None, description="A container of Azure Blob Storage.")
