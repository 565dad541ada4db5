"""Keyed digests of credentials, which are compared so that the credentials need not be kept."""

import hmac

from pydantic import SecretStr

from .trunk import Mask, Masked

_DIGEST_LENGTH = 32
"""Hex characters of a digest: 128 bits are enough to tell credentials apart and take half the memory of all 256."""


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

    `key`: 32 random bytes that only this process has. Without a key, anybody who sees a digest in a memory dump or a
    log could find a weak password by trying.
    """
    return _KeyedMask(key)
