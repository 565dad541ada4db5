"""Plays cert-manager with its own CRDs: its Issuers `selfSigned` and `ca`, and its injector of authorities."""

import base64
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from byoc_operator.admission.certificates import utc_now
from install.cluster import Cluster, Json
from testbed.module_files import CERT_MANAGER_CRDS

_LIFE_H = 90 * 24
_INJECT = "cert-manager.io/inject-ca-from"
_PLAYED = {"commonName", "dnsNames", "duration", "isCA", "issuerRef", "privateKey", "secretName", "usages"}


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, and the authority that signed it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    authority: x509.Certificate

    def data(self) -> dict[str, str]:
        """As cert-manager stores it."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {"tls.crt": _pem(self.certificate), "tls.key": key.decode(), "ca.crt": _pem(self.authority)}


class CertManager:
    """Its CRDs are there while it is entered."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._files = [f"-f={path}" for path in CERT_MANAGER_CRDS.find()]
        self._issued: dict[str, Issued] = {}

    def __enter__(self) -> Self:
        self._cluster.kubectl("create", *self._files)
        self._cluster.kubectl("wait", *self._files, "--for=condition=Established", "--timeout=20s")
        return self

    def __exit__(self, *_: object) -> None:
        self._cluster.kubectl("delete", *self._files)

    def sees_to(self, namespace: str) -> None:
        """Issue the Certificates of a namespace, again those that are due first; webhooks are told of the authority."""
        found = self._cluster.get("certificates.cert-manager.io", "-n", namespace)["items"]
        for certificate in sorted(found, key=lambda each: not each["spec"].get("isCA")):
            spec = certificate["spec"]
            if spec.get("isCA") and spec["secretName"] in self._issued:
                continue  # good for ten years
            issued = self._issue(namespace, spec)
            self._issued[spec["secretName"]] = issued
            metadata = {"name": spec["secretName"], "namespace": namespace}
            secret = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata}
            self._cluster.apply({**secret, "stringData": issued.data()})
            self._inject(f"{namespace}/{certificate['metadata']['name']}", issued)

    def _issue(self, namespace: str, spec: Json) -> Issued:
        assert spec.keys() <= _PLAYED, "more than is played here"
        issuer = self._cluster.get("issuers.cert-manager.io", spec["issuerRef"]["name"], "-n", namespace)["spec"]
        if issuer == {"selfSigned": {}}:
            return _signed(spec, None)
        assert issuer.keys() == {"ca"}
        return _signed(spec, self._issued[issuer["ca"]["secretName"]])

    def _inject(self, source: str, issued: Issued) -> None:
        bundle = base64.b64encode(_pem(issued.authority).encode()).decode()
        for found in self._cluster.get("mutatingwebhookconfiguration")["items"]:
            if found["metadata"].get("annotations", {}).get(_INJECT) == source:
                patch = [
                    {"op": "add", "path": f"/webhooks/{index}/clientConfig/caBundle", "value": bundle}
                    for index in range(len(found["webhooks"]))
                ]
                name = found["metadata"]["name"]
                self._cluster.kubectl(
                    "patch", "mutatingwebhookconfiguration", name, "--type=json", "-p", json.dumps(patch)
                )


def _signed(spec: Json, by: Issued | None) -> Issued:
    """What the spec asks for, signed by itself or by an authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), utc_now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, spec["commonName"])] if "commonName" in spec else [])
    life = timedelta(hours=int(spec.get("duration", f"{_LIFE_H}h").partition("h")[0]))
    is_authority = spec.get("isCA", False)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by.certificate.subject if by else name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + life)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if "server auth" in spec["usages"]:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    if names := spec.get("dnsNames"):
        builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, names)), critical=True)
    made = builder.sign(by.key if by else key, hashes.SHA256())
    return Issued(made, key, by.certificate if by else made)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
