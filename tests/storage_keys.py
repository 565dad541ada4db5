"""Keys of the storages of recordings, as Secrets have them, and specs that use them."""

import json
from collections.abc import Mapping
from typing import Any, Final

ACCESS_KEY_ID: Final = "AKIAEXAMPLE7RECORDING"
SECRET_ACCESS_KEY: Final = "wJalr/XUtnFEMI+K7MDENG-bPxRfiCYEXAMPLEKEY"
PRIVATE_LINE: Final = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
SERVICE_ACCOUNT: Final = (
    json.dumps(
        {
            "type": "service_account",
            "project_id": "acme",
            "private_key_id": "0123456789abcdef0123456789abcdef01234567",
            "private_key": f"-----BEGIN PRIVATE KEY-----\n{PRIVATE_LINE}\n-----END PRIVATE KEY-----\n",
            "client_email": "recordings@acme.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token",
            "universe_domain": "googleapis.com",
        },
        indent=2,
    )
    + "\n"
)
ACCOUNT_KEY: Final = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIj"

SECRETS: Mapping[str, Mapping[str, str]] = {
    "s3": {"AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY},
    "gcs": {"credentials.json": SERVICE_ACCOUNT},
    "azure": {"AZURE_STORAGE_KEY": ACCOUNT_KEY},
}
"""By storage, what its Secret has."""

TEXTS: Final = (ACCESS_KEY_ID, SECRET_ACCESS_KEY, SERVICE_ACCOUNT, PRIVATE_LINE, ACCOUNT_KEY)
"""What nobody may read anywhere."""

_PLACES: Mapping[str, Mapping[str, Any]] = {
    "s3": {"bucket": "acme-calls", "region": "eu-central-1", "endpoint": "https://minio.example.com"},
    "gcs": {"bucket": "acme-calls"},
    "azure": {"accountName": "acmecalls", "containerName": "calls"},
}


def recording(storage: str, name: str = "recordings", **changes: Any) -> dict[str, Any]:
    """`spec.inbound` with recordings in a storage, whose keys are in the Secret of that name."""
    place = {**_PLACES[storage], "credentialsSecretRef": {"name": name}, **changes}
    return {"recording": {"path": "calls/", storage: place}}
