"""The URL of LiveKit, taken apart by one rule for the operator and for all commands."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from .characters import BLANKS, unseen
from .grammar import WITHOUT_CONTROLS, is_endpoint, matches

FORM: Final = "must be a ws, wss, http or https URL without credentials, like wss://livekit.example.com"

_SECURE_PORT, _PLAIN_PORT = 443, 80
_USUAL_PORTS: Final = {"wss": _SECURE_PORT, "https": _SECURE_PORT, "ws": _PLAIN_PORT, "http": _PLAIN_PORT}
_BLANK_WITHIN: Final = re.compile(f"[{BLANKS}]")


@dataclass(frozen=True, slots=True)
class LiveKitUrl:
    """`secure`: over TLS. `host`: in lower case, IPv6 without brackets. `path`: without a slash at its end."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def place(self) -> str:
        """Host and port for a message; the usual port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (_SECURE_PORT if self.secure else _PLAIN_PORT) else f"{host}:{self.port}"


def livekit_url(text: str) -> LiveKitUrl | None:
    """The parts of a URL; None for a text that has not the `FORM`. Raises nothing."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # its message quotes user and password
        return None
    if parts.scheme not in _USUAL_PORTS or not is_endpoint(parts.netloc):
        return None
    if _BLANK_WITHIN.search(text) or unseen(text) or not matches(WITHOUT_CONTROLS, text):
        return None
    usual = _USUAL_PORTS[parts.scheme]
    return LiveKitUrl(usual == _SECURE_PORT, parts.hostname or "", port or usual, parts.path.rstrip("/"))
