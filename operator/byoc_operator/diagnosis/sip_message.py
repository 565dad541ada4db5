"""The two SIP messages that a look needs: the request OPTIONS, and the first line of its answer (RFC 3261).

OPTIONS asks a server what it can do (section 11). It starts no call and needs no credentials.
"""

import re
from dataclasses import dataclass
from typing import Final

from ..api.printable import printable
from .target import Target

MAX_LINE: Final = 1024
"""Bytes of a first line that are read; real ones have fewer than a hundred."""

_MAX_PHRASE: Final = 80
_STATUS_LINE: Final = re.compile(r"SIP/2\.0 ([1-6][0-9]{2})(?: ([^\r\n]*))?")
_REQUEST_LINE: Final = re.compile(r"[A-Z]{1,32} [^ \r\n]{1,900} SIP/2\.0")
_TLS_ALERT, _TLS_HANDSHAKE = b"\x15\x03", b"\x16\x03"


@dataclass(frozen=True, slots=True)
class Status:
    """The status of an answer; `phrase` is the server's own text, printable and short."""

    code: int
    phrase: str

    def __str__(self) -> str:
        return f"{self.code} {self.phrase}".rstrip()


def options_request(target: Target, local: tuple[str, int], token: str) -> bytes:
    """An OPTIONS request to a target. `local`: our address and port; `token`: random letters and digits.

    The values of `target` and `token` must have no blanks and no line ends.
    """
    host, port = local
    sent_by = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    transport = target.transport.lower()
    lines = (
        f"OPTIONS sip:{target};transport={transport} SIP/2.0",
        f"Via: SIP/2.0/{target.transport} {sent_by};rport;branch=z9hG4bK{token}",
        "Max-Forwards: 70",
        f"From: <sip:byoc-doctor@{sent_by}>;tag={token}",
        f"To: <sip:{target.uri_host}>",
        f"Call-ID: {token}@byoc-doctor.invalid",
        "CSeq: 1 OPTIONS",
        f"Contact: <sip:byoc-doctor@{sent_by};transport={transport}>",
        "Accept: application/sdp",
        "User-Agent: byoc-doctor",
        "Content-Length: 0",
    )
    return "\r\n".join((*lines, "", "")).encode()


def first_line(received: bytes) -> bytes | None:
    """The first line that is not empty, without its end; None if more bytes are needed.

    A line that is too long is returned cut.
    """
    begun = received.lstrip(b"\r\n")  # empty lines keep connections alive (RFC 5626 section 4.4.1)
    line, end, _ = begun[: MAX_LINE + 1].partition(b"\n")
    if end or len(begun) > MAX_LINE:
        return line[:MAX_LINE].rstrip(b"\r")
    return None


def status_in(line: bytes) -> Status | None:
    """The status in the first line of an answer; None if the line is no status line of SIP."""
    found = _STATUS_LINE.fullmatch(line[:MAX_LINE].decode(errors="replace"))
    return Status(int(found[1]), printable(found[2] or "", _MAX_PHRASE)) if found else None


def is_sip(line: bytes) -> bool:
    """Whether a first line is one of SIP: of an answer, or of a request."""
    text = line[:MAX_LINE].decode(errors="replace")
    return bool(_STATUS_LINE.fullmatch(text) or _REQUEST_LINE.fullmatch(text))


def is_tls(received: bytes) -> bool:
    """Whether bytes begin as a TLS server's do: with an alert or a handshake (RFC 8446 section 5.1)."""
    return received.startswith((_TLS_ALERT, _TLS_HANDSHAKE))
