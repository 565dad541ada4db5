"""Digests by which credentials are compared without being kept."""

import hmac

from pydantic import SecretStr

from .trunk import Mask, Masked

_DIGEST_LENGTH = 32
"""Hex characters kept: 128 bits, so that two credentials never share a digest by chance; half the memory of all."""


class _KeyedMask:
    """Digests are HMAC-SHA256 under a key, 32 hex characters."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def __call__(self, text: str) -> Masked:
        return Masked(self._digest(text), SecretStr(text))

    def bare(self, text: str) -> Masked:
        return Masked(self._digest(text))

    def _digest(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), "sha256").hex()[:_DIGEST_LENGTH]


def make_mask(key: bytes) -> Mask:
    """A `Mask` of this process.

    `key`: 32 random bytes made at start and kept by this process alone. Without it the digest of a weak password
    would be as good as the password to whoever sees a memory dump or a log.
    """
    return _KeyedMask(key)
