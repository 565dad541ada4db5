"""Seals values for a manifest: here, with the keys, or in the API server, for users who may not read them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..api import grammar
from ..api.encoding import from_base64
from ..api.names import WATCH_LABEL
from ..cluster.answers import ApiRefused, Forbidden, NotFound
from ..cluster.port import JsonApi
from ..core.credentials import KEYS_SECRET, field_of, problem_of
from ..errors import OperatorError
from ..sealing.sealed import KeyRing, is_sealed, is_token
from ..sealing.store import keys_in, secret_path


@dataclass(eq=False)
class Refused(OperatorError):
    """What was asked for cannot be had; nothing was changed. `exit_code` is what a script sees."""

    message: str
    exit_code: int = 1


USAGE, NO_RIGHTS, IN_USE = 2, 3, 4
"""Exit codes beside 0 (done) and 1 (failed): wrong input; neither rights nor webhook; keys are still in use."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How Kubernetes has something named: the rule in words, a pattern, the most characters."""

    rule: str
    pattern: str
    most: int

    def allows(self, text: str) -> bool:
        """Whether something may be called so."""
        return len(text) <= self.most and grammar.matches(self.pattern, text)


NAMESPACE = Naming("the name of a namespace is made of lower case letters, digits and -", grammar.DNS_LABEL, 63)
SECRET = Naming("the name of a Secret is made of lower case letters, digits, - and .", grammar.DNS_SUBDOMAIN, 253)
KEY = Naming("a key of a Secret is made of letters, digits, -, _ and .", grammar.DATA_KEY, 253)


class Sealer(Protocol):
    """Seals the values of one Secret."""

    async def sealed(self, namespace: str, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """The values by key, all sealed. Raises OperatorError; then none is."""
        ...


class LocalSealer:
    """Seals here, with the first key."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def sealed(self, namespace: str, name: str, values: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002 - as the other
        """The values by key, all sealed."""
        return {key: self._ring.seal(value, namespace, field_of(key)) for key, value in values.items()}


class WebhookSealer:
    """Has the operator's admission webhook seal: a create that is only tried (`dryRun=All`), whose answer is sealed."""

    def __init__(self, api: JsonApi, why: str) -> None:
        self._api = api
        self._why = why

    async def sealed(self, namespace: str, name: str, values: Mapping[str, str]) -> dict[str, str]:
        """The values by key, all sealed."""
        body = sip_secret(namespace, name, values)
        # The Secret may be there already, which a create with its name would stumble over.
        body["metadata"] = {**body["metadata"], "generateName": f"{name}-"}
        del body["metadata"]["name"]
        path = f"/api/v1/namespaces/{namespace}/secrets?dryRun=All"
        try:
            answer = await self._api.request("POST", path, resource="secrets", body=body)
        except ApiRefused as exc:
            message = f"{self._why}, and the API server does not take the Secret to seal it: {exc.message}"
            raise Refused(message, exit_code=NO_RIGHTS) from exc
        found = {key: from_base64(value) or "" for key, value in (answer.get("data") or {}).items()}
        if set(found) != set(values) or not all(is_token(text) for text in found.values()):
            message = (
                f"{self._why}, and the cluster has no admission webhook that seals (not every value came back sealed). "
                "Ask whoever runs the operator for it, or to seal the values for you. Nothing was created."
            )
            raise Refused(message, exit_code=NO_RIGHTS)
        return found


async def sealer_for(api: JsonApi, operator_namespace: str) -> Sealer:
    """Whoever can seal for this user. Raises OperatorError."""
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
    """Raise `Refused` where a value could never be used; it is not quoted."""
    for key, value in values.items():
        problem = "the value is sealed already" if is_sealed(value) else problem_of(value, field_of(key))
        if problem:
            raise Refused(f"{key}: {problem}", exit_code=USAGE)


def named(where: str, text: str, naming: Naming) -> str:
    """The text, if it is such a name; `Refused` else: paths are made of names, and what is printed shall be taken."""
    if not naming.allows(text):
        raise Refused(f"{where}: {naming.rule}, {naming.most} at most", exit_code=USAGE)
    return text


def sip_secret(namespace: str, name: str, values: Mapping[str, str]) -> dict[str, Any]:
    """A labelled Secret, ready for `kubectl apply` or Git once its values are sealed."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {WATCH_LABEL: "true"}},
        "type": "Opaque",
        "stringData": dict(values),
    }
