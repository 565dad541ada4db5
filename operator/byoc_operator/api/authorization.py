"""Credentials that can be told by their form alone. They belong into no message, whoever wrote them.

A server or a proxy that is broken, or means harm, can send back what a request carried: the token for LiveKit, or the
user name and password for the proxy.
"""

import re
from typing import Final

MASKED: Final = "***"

_TOKEN_WITHIN: Final = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_.-]*)?")
"""A JSON Web Token (RFC 7519), also one that was cut: its header is the base64 of a JSON object."""

_HEADER_WITHIN: Final = re.compile(
    r"\b(?:(?:Basic|Bearer) +[A-Za-z0-9+/_=.~-]{4,}|Digest +username=[^\n]{0,4096})", re.IGNORECASE
)
"""The value of the header Authorization or Proxy-Authorization (RFC 7617, RFC 6750, RFC 7616)."""

_USER_WITHIN: Final = re.compile(r"://[^\s/@\"']{1,512}@")


def without_authorization(text: str) -> str:
    """The text with `***` for tokens, for values of the header Authorization, and for user and password of URLs."""
    return _USER_WITHIN.sub(f"://{MASKED}@", _HEADER_WITHIN.sub(MASKED, _TOKEN_WITHIN.sub(MASKED, text)))
