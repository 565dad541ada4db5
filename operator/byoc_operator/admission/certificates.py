"""Makes and renews the webhook's certificates: an authority (CA) that the API server trusts, and a certificate of it.

The functions have no I/O, and `now` is an argument. Certificates and keys are PEM (`bytes`). An authority is replaced
long before it expires. The new authority signs the certificate only at the next renewal of the certificate: by then the
API server trusts both authorities.
"""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..errors import OperatorError

AUTHORITY_LIFE = timedelta(days=3650)
CERTIFICATE_LIFE = timedelta(days=90)
RENEWED_AT = 2 / 3
"""The part of its life after which a certificate is renewed: a month is left in which renewals may fail."""

_BACKDATED = timedelta(hours=1)
"""How long before now a certificate becomes valid, because the clocks of nodes differ."""


@dataclass(eq=False)
class CertificateUnusable(OperatorError):
    """The webhook has no certificate that it can serve; the message says why."""

    message: str


@dataclass(frozen=True, slots=True, repr=False)
class Certificates:
    """Everything that the Secret of the certificate stores, as PEM.

    `authorities`: the trusted ones, newest first. `authority_key`: the key of the first. `certificate`, `key`: those
    that the webhook serves.
    """

    authorities: bytes
    authority_key: bytes
    certificate: bytes
    key: bytes


def renewed(found: Certificates | None, names: Sequence[str], now: datetime) -> Certificates:
    """Certificates for these DNS names and IP addresses. Returns `found` itself if nothing is due or wrong."""
    # An authority must not expire before the certificates that it signs.
    if found is None or not _belong(found.authorities, found.authority_key, now + CERTIFICATE_LIFE):
        return _signed(_authority(now), names, now)
    trusted = [each for each in x509.load_pem_x509_certificates(found.authorities) if now < each.not_valid_after_utc]
    if not _serves(found, trusted, names, now):
        found = _signed(found, names, now)  # by the authority that the API server already trusts
    if not _is_due(trusted[0], now):
        return _with_authorities(found, trusted)
    newer = _authority(now)
    return replace(newer, authorities=newer.authorities + _pem(*trusted), certificate=found.certificate, key=found.key)


def not_after(certificate: bytes) -> datetime:
    """When a certificate (PEM) expires. Raises ValueError if the bytes are not a certificate."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def _authority(now: datetime) -> Certificates:
    """A new authority that has signed nothing yet."""
    key = ec.generate_private_key(ec.SECP256R1())
    # The name is unique: with two authorities of one name a client may try the wrong one.
    name = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, f"byoc-operator-admission-{x509.random_serial_number():x}"[:64])]
    )
    made = (
        _builder(name, name, key.public_key(), now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Certificates(_pem(made), _key_pem(key), b"", b"")


def _signed(found: Certificates, names: Sequence[str], now: datetime) -> Certificates:
    """The same authorities with a new certificate, signed by the newest authority."""
    authority = x509.load_pem_x509_certificates(found.authorities)[0]
    authority_key = _loaded(found.authority_key)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "byoc-operator-admission")])
    made = (
        _builder(subject, authority.subject, key.public_key(), now, CERTIFICATE_LIFE)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return replace(found, certificate=_pem(made), key=_key_pem(key))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _belong(certificates: bytes, key: bytes, now: datetime) -> bool:
    """Whether the first certificate can be parsed, has not expired at `now` and belongs to the key."""
    try:
        first = x509.load_pem_x509_certificates(certificates)[0]
        return first.public_key() == _loaded(key).public_key() and now < first.not_valid_after_utc
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def _serves(found: Certificates, trusted: Sequence[x509.Certificate], names: Sequence[str], now: datetime) -> bool:
    """Whether the certificate is for these names, is signed by a trusted authority and is not due for renewal."""
    if not _belong(found.certificate, found.key, now):
        return False
    certificate = x509.load_pem_x509_certificate(found.certificate)
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return (
        not _is_due(certificate, now)
        and set(alternatives) == {_alternative(name) for name in names}
        and any(_is_signed(certificate, authority) for authority in trusted)
    )


def _is_signed(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_due(certificate: x509.Certificate, now: datetime) -> bool:
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now >= begin + (end - begin) * RENEWED_AT


def _with_authorities(found: Certificates, trusted: Sequence[x509.Certificate]) -> Certificates:
    authorities = _pem(*trusted)
    return found if authorities == found.authorities else replace(found, authorities=authorities)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _loaded(key: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key in PEM. Raises ValueError if it is not an elliptic curve key."""
    found = serialization.load_pem_private_key(key, password=None)
    if not isinstance(found, ec.EllipticCurvePrivateKey):
        raise ValueError("no key of this kind")  # noqa: TRY004 - what is stored is wrong, not the caller
    return found


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def utc_now() -> datetime:
    """The present time in UTC, with time zone."""
    return datetime.now(UTC)
