"""Seals values for a manifest: locally with the keys, or by the admission webhook for users who may not read them."""

from collections.abc import Mapping
from typing import Any, Protocol

from ..api.encoding import from_base64
from ..api.names import WATCH_LABEL
from ..cluster.answers import ApiRefused, Forbidden, NotFound
from ..cluster.port import JsonApi
from ..core.credential_values import field_of, problem_of
from ..core.credentials import KEYS_SECRET
from ..sealing.sealed import KeyRing, is_sealed, is_token
from ..sealing.store import keys_in, secret_path
from .exit_codes import ExitCode, Refused


class Sealer(Protocol):
    """Seals the values of one Secret."""

    async def sealed(self, namespace: str, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """The sealed values by key. Raises OperatorError if one cannot be sealed."""
        ...


class LocalSealer:
    """Seals locally, with the first key of the ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def sealed(self, namespace: str, name: str, values: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - as the other
        """The values by key, all sealed."""
        return {key: self._ring.seal(value, namespace, field_of(key)) for key, value in values.items()}


class WebhookSealer:
    """Lets the admission webhook seal: a create with `dryRun=All` returns the Secret sealed and stores nothing."""

    def __init__(self, api: JsonApi, why: str) -> None:
        self._api = api
        self._why = why

    async def sealed(self, namespace: str, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """The values by key, all sealed."""
        body = sip_secret(namespace, name, values)
        # A create with the name would fail if the Secret exists already.
        body["metadata"] = {**body["metadata"], "generateName": f"{name}-"}
        del body["metadata"]["name"]
        path = f"/api/v1/namespaces/{namespace}/secrets?dryRun=All"
        try:
            answer = await self._api.request("POST", path, resource="secrets", body=body)
        except ApiRefused as exc:
            message = f"{self._why}, and the API server does not take the Secret to seal it: {exc.message}"
            raise Refused(message, ExitCode.NO_RIGHTS) from exc
        found = {key: from_base64(value) or "" for key, value in (answer.get("data") or {}).items()}
        if set(found) != set(values) or not all(is_token(text) for text in found.values()):
            message = (
                f"{self._why}, and the cluster has no admission webhook that seals (not every value came back sealed). "
                "Ask whoever runs the operator for it, or to seal the values for you. Nothing was created."
            )
            raise Refused(message, ExitCode.NO_RIGHTS)
        return found


async def sealer_for(api: JsonApi, operator_namespace: str) -> Sealer:
    """The sealer for this user: local if the user may read the keys, else by the webhook. Raises OperatorError."""
    where = f"Secret {operator_namespace}/{KEYS_SECRET}"
    try:
        raw = await api.request("GET", secret_path(operator_namespace), resource="secrets")
        return LocalSealer(keys_in(raw))
    except Forbidden:
        return WebhookSealer(api, f"you may not read {where}")
    except NotFound as exc:
        message = (
            f"there is no {where}. Does the operator run there? Else name its namespace: --operator-namespace. "
            "If the keys are lost: docs/sealing.md, Restore."
        )
        raise Refused(message) from exc
    except ValueError as exc:
        raise Refused(f"{where} cannot be used: {exc}") from exc


def checked(values: Mapping[str, str]) -> None:
    """Raise `Refused` if a value cannot be used as a credential. The message does not quote the value."""
    for key, value in values.items():
        problem = "the value is sealed already" if is_sealed(value) else problem_of(value, field_of(key))
        if problem:
            raise Refused(f"{key}: {problem}", ExitCode.USAGE)


def sip_secret(namespace: str, name: str, values: Mapping[str, str]) -> dict[str, Any]:
    """A labelled Secret, ready for `kubectl apply` or Git once its values are sealed."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {WATCH_LABEL: "true"}},
        "type": "Opaque",
        "stringData": dict(values),
    }
