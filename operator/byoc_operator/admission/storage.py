"""The source of the webhook's certificate: a Secret that all replicas share, or files that cert-manager renews."""

import base64
import binascii
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from ..cluster.answers import Conflict, Invalid, NotFound
from ..cluster.port import JSON_PATCH, JsonApi
from ..errors import Unavailable
from .certificates import Certificates, CertificateUnusable, renewed, utc_now

log = logging.getLogger(__name__)

CERTIFICATE_SECRET = "byoc-admission-certificate"  # noqa: S105 - its name
_TYPE = "kubernetes.io/tls"
"""The type of the Secret. The operator never sends a Secret of this type to a carrier."""

_FIELDS = {"ca.crt": "authorities", "ca.key": "authority_key", "tls.crt": "certificate", "tls.key": "key"}


@dataclass(frozen=True, slots=True, repr=False)
class Serving:
    """Certificate and key that the server uses (PEM).

    `authorities`: the authorities that the API server must trust; empty if cert-manager tells the API server.
    """

    certificate: bytes
    key: bytes
    authorities: bytes = b""


class CertificateSource(Protocol):
    """Provides the certificate to serve."""

    async def current(self) -> Serving:
        """The present certificate. Raises OperatorError."""
        ...


class SharedCertificates:
    """Certificates in a Secret of the operator's namespace. The replica that comes first creates or renews them."""

    def __init__(
        self, api: JsonApi, namespace: str, names: Sequence[str], now: Callable[[], datetime] = utc_now
    ) -> None:
        self._api = api
        self._path = f"/api/v1/namespaces/{namespace}/secrets"
        self._names = tuple(names)
        self._now = now

    async def current(self) -> Serving:
        """The stored certificate, renewed if that is due. Raises `Unavailable`, also if another replica was faster."""
        stored = await self._stored()
        found = None if stored is None else _certificates_in(stored)
        due = renewed(found, self._names, self._now())
        if due is not found:
            await self._store(stored, due)
        return Serving(due.certificate, due.key, due.authorities)

    async def _stored(self) -> dict[str, Any] | None:
        try:
            return await self._api.request("GET", f"{self._path}/{CERTIFICATE_SECRET}", resource="secrets")
        except NotFound:
            return None

    async def _store(self, stored: dict[str, Any] | None, due: Certificates) -> None:
        data = {key: base64.b64encode(getattr(due, name)).decode() for key, name in _FIELDS.items()}
        try:
            if stored is None:
                metadata = {"name": CERTIFICATE_SECRET, "labels": {"app.kubernetes.io/part-of": "byoc-operator"}}
                body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": _TYPE, "data": data}
                await self._api.request("POST", self._path, resource="secrets", body=body)
            else:
                patch = [
                    # Fails if another replica has stored a certificate meanwhile.
                    {"op": "test", "path": "/metadata/resourceVersion", "value": stored["metadata"]["resourceVersion"]},
                    {"op": "add", "path": "/data", "value": data},
                ]
                path = f"{self._path}/{CERTIFICATE_SECRET}"
                await self._api.request("PATCH", path, resource="secrets", body=patch, content_type=JSON_PATCH)
        except (Conflict, Invalid) as exc:
            message = f"another replica has just stored one, or the Secret {CERTIFICATE_SECRET} cannot be changed"
            raise Unavailable(exc.reason, message) from exc
        log.info("stored a new certificate of the webhook in the Secret %s", CERTIFICATE_SECRET)


class MountedCertificates:
    """`tls.crt` and `tls.key` in a folder in which the Secret of cert-manager is mounted.

    cert-manager also tells the API server which authority to trust.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def current(self) -> Serving:
        """The present content of the files. Raises CertificateUnusable."""
        try:
            return Serving((self._folder / "tls.crt").read_bytes(), (self._folder / "tls.key").read_bytes())
        except OSError as exc:
            message = f"BYOC_ADMISSION_CERTIFICATE_FOLDER: cannot read {exc.filename} ({type(exc).__name__})"
            raise CertificateUnusable(message) from exc


def _certificates_in(stored: dict[str, Any]) -> Certificates | None:
    """The certificates in the Secret; None if one is missing or is not base64."""
    data = stored.get("data") or {}
    try:
        return Certificates(**{name: base64.b64decode(data[key], validate=True) for key, name in _FIELDS.items()})
    except (KeyError, TypeError, binascii.Error):
        return None
