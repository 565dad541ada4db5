"""Credentials that can be told by their form alone. They belong into no message, whoever wrote them.

A server or a proxy that is broken, or means harm, can send back what a request carried: the token for LiveKit, or the
user name and password for the proxy.
"""

import base64
import re
from typing import Final

MASKED: Final = "***"

_TOKEN_WITHIN: Final = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_.-]*)?")
"""A JSON Web Token (RFC 7519), also one that was cut: its header is the base64 of a JSON object."""

_HEADER_WITHIN: Final = re.compile(
    r"\b(authorization[\"']?[ \t]{0,4}[=:][ \t]{0,4}[\"']?)?\b"
    r"(?:(Basic|Bearer) +(?![a-z_]{1,32}=\")([A-Za-z0-9+/_=.~-]{4,})|Digest +username=[^\n]{0,4096})",
    re.IGNORECASE,
)
"""The value of the header Authorization or Proxy-Authorization (RFC 7617, RFC 6750, RFC 7616).

What follows Basic or Bearer may also be a word of prose, or a parameter of the header WWW-Authenticate.
"""

_LEAST_OF_A_TOKEN: Final = 8
"""Characters of a token behind Bearer, where no name of a header stands before it."""

_USER_WITHIN: Final = re.compile(r"://[^\s/@\"']{1,512}@")


def without_authorization(text: str) -> str:
    """The text with `***` for tokens, for values of the header Authorization, and for user and password of URLs."""
    return _USER_WITHIN.sub(f"://{MASKED}@", _HEADER_WITHIN.sub(_masked, _TOKEN_WITHIN.sub(MASKED, text)))


def _masked(found: re.Match[str]) -> str:
    header, scheme, word = found[1] or "", found[2], found[3]
    if header or scheme is None or _is_login(word) or (len(word) >= _LEAST_OF_A_TOKEN and not _is_prose(scheme, word)):
        return f"{header}{MASKED}"
    return found[0]


def _is_login(word: str) -> bool:
    """Whether the word is the base64 of a user name, a colon and a password (RFC 7617), however short they are."""
    try:
        return b":" in base64.b64decode(word, validate=True)
    except ValueError:
        return False


def _is_prose(scheme: str, word: str) -> bool:
    """Whether the word is one of a sentence, such as `token` or `Authentication.`, also where all is in capitals."""
    bare = word.rstrip(".")
    return bare.isalpha() and (bare.islower() or bare.istitle() or (bare.isupper() and scheme.isupper()))
