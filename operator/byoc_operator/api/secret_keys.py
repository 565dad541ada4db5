"""The keys of a Secret that have a fixed meaning. Every other key has a SIP password.

The names for S3 and Azure are the environment variables of the vendors' own tools, which other operators use as keys,
too. `credentials.json` is the file that Google's console gives for a service account.
"""

from typing import Final

USERNAME: Final = "username"
PASSWORD: Final = "password"  # noqa: S105 - the name of a key
"""The key of the password, unless a reference names another one."""

S3_ACCESS_KEY_ID: Final = "AWS_ACCESS_KEY_ID"
S3_SECRET_ACCESS_KEY: Final = "AWS_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a key
GCS_SERVICE_ACCOUNT: Final = "credentials.json"
AZURE_ACCOUNT_KEY: Final = "AZURE_STORAGE_KEY"

FIXED: Final = (USERNAME, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, AZURE_ACCOUNT_KEY, GCS_SERVICE_ACCOUNT)
"""All keys with a fixed meaning. No reference may name one of them as the key of a SIP password."""
