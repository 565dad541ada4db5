"""What a TLS handshake says about the certificate of a host."""

import ssl
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509

from ..api.printable import printable
from .check import Check, State
from .exchange import Session
from .target import Role, Target

SOON_DAYS: Final = 14
"""A certificate that ends within so many days is told. Who renews by machine renews a month before."""

_DAY_S: Final = 86_400
_MAX_REASON: Final = 120
_MAX_NAME: Final = 80
_MOST_NAMES: Final = 3
_PROBLEMS: Final = {
    9: "is not valid yet",
    10: "has ended",
    18: "is signed by itself",
    19: "ends in an authority that is not trusted",
    20: "is of an authority that is not trusted, or the certificates between the two are not sent",
    21: "is of an authority that is not trusted, or the certificates between the two are not sent",
    62: "is for another name",
    64: "is for another address",
}
"""By the codes of OpenSSL (`X509_V_ERR_…` in openssl/x509_vfy.h)."""

_TIME_CODES: Final = (9, 10)
_NAME_CODES: Final = (62, 64)
_CA_CODES: Final = (18, 19, 20, 21)


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a certificate says. `names`: host names, then addresses."""

    begins: datetime
    ends: datetime
    names: tuple[str, ...]


def name_of(target: Target) -> str:
    """What a check of a target's TLS is called."""
    return f"TLS of {target.role}"


def accepted(target: Target, session: Session, now_s: float) -> Check:
    """The check of a handshake that succeeded. `now_s`: seconds since 1970."""
    says = f"{target} speaks {session.version}; chain and name of its certificate are right"
    shown = _read(session.certificate)
    if shown is None:
        return Check(name_of(target), State.OK, f"{says}.")
    days = int((shown.ends.timestamp() - now_s) // _DAY_S)
    says += f", and it ends in {days} day{'' if days == 1 else 's'}."
    return Check(name_of(target), State.OK, says, _renew(target) if days < SOON_DAYS else "")


def refused(target: Target, exc: ssl.SSLCertVerificationError, certificate: bytes | None) -> Check:
    """The check of a handshake that failed because of the certificate. `certificate`: in DER, None if not known."""
    code = exc.verify_code
    problem = _PROBLEMS.get(code, f"is refused: {printable(exc.verify_message, _MAX_REASON)}")
    says = f"The certificate of {target} {problem}{_detail(code, _read(certificate))}."
    if code in _NAME_CODES:
        return Check(name_of(target), State.BAD, says, _other_name(target))
    if code in _CA_CODES:
        return Check(name_of(target), State.BAD, says, _authority(target))
    return Check(name_of(target), State.BAD, says, _renew(target))


def _read(certificate: bytes | None) -> _Shown | None:
    """What a certificate says; None if there is none, or it cannot be read."""
    if not certificate:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # the library warns of certificates that it will refuse one day
            read = x509.load_der_x509_certificate(certificate)
            return _Shown(read.not_valid_before_utc, read.not_valid_after_utc, _names(read))
    except (ValueError, x509.DuplicateExtension, x509.InvalidVersion, x509.UnsupportedGeneralNameType):
        return None


def _names(read: x509.Certificate) -> tuple[str, ...]:
    try:
        names = read.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = map(str, names.get_values_for_type(x509.IPAddress))
    return (*names.get_values_for_type(x509.DNSName), *addresses)


def _detail(code: int, shown: _Shown | None) -> str:
    """The part of a certificate that is wrong."""
    if shown is None:
        return ""
    if code in _TIME_CODES:
        return f" (valid from {shown.begins:%Y-%m-%d} to {shown.ends:%Y-%m-%d})"
    if code not in _NAME_CODES:
        return ""
    more = len(shown.names) - _MOST_NAMES
    names = ", ".join(printable(each, _MAX_NAME) for each in shown.names[:_MOST_NAMES])
    return f" (it names {names or 'none'}{f' and {more} more' if more > 0 else ''})"


def _renew(target: Target) -> str:
    if target.role is Role.OWN:
        return "Renew the certificate of livekit-sip (its settings tls.certs), and restart livekit-sip."
    return "Tell the carrier; until its certificate is renewed, calls out fail with transport TLS."


def _other_name(target: Target) -> str:
    if target.role is Role.OWN:
        return f"Give livekit-sip a certificate for {target.host}, or put its name into BYOC_SIP_URI."
    return (
        "Put the name that the carrier documents into spec.terminationUri. livekit-sip with a section tls: accepts any "
        "name, and a stranger's server too."
    )


def _authority(target: Target) -> str:
    if target.role is Role.OWN:
        return (
            "Carriers trust public authorities only: give livekit-sip a certificate of one, and let tls.certs hold the "
            "whole chain."
        )
    return "Give livekit-sip the authority in SSL_CERT_FILE (docs/security.md), or ask the carrier for a public one."
