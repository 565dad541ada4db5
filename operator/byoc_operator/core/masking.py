"""Digests by which credentials are compared without being kept."""

import hmac

from pydantic import SecretStr

from .trunk import Mask, Masked

_DIGEST_LENGTH = 32
"""Hex characters kept: 128 bits, so that two credentials never share a digest by chance; half the memory of all."""


def make_mask(key: bytes) -> Mask:
    """A `Mask` whose digests are HMAC-SHA256 under `key`, 32 hex characters.

    `key`: 32 random bytes made at start and kept by this process alone. Without it the digest of a weak password
    would be as good as the password to whoever sees a memory dump or a log.
    """

    def mask(text: str) -> Masked:
        digest = hmac.digest(key, text.encode(), "sha256").hex()[:_DIGEST_LENGTH]
        return Masked(digest, SecretStr(text))

    return mask
