"""Somebody with the rights of a tenant: the role `edit` in one namespace, and requests exactly as they are written."""

import http.client
import json
import secrets
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from integration.scene import Scene
from manifests import manifest
from testbed.bed import Bed
from testbed.http_probe import Answer, get
from testbed.part import NotReady

_API = "/apis/byoc.talkifai.dev/v1alpha1"
_ACCOUNT = "attacker"
_TIMEOUT_S = 120
_RIGHTS_S = 30
_POLL_S = 0.1

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant. `request` sends any body, so that an object reaches the API server with the very bytes of a test."""

    bed: Bed
    namespace: str
    token: str

    @classmethod
    def settled(cls, bed: Bed) -> Self:
        """A tenant in a fresh namespace."""
        namespace = f"tenant-{secrets.token_hex(4)}"
        bed.kubectl("create", "namespace", namespace)
        bed.kubectl("-n", namespace, "create", "serviceaccount", _ACCOUNT)
        who = f"--serviceaccount={namespace}:{_ACCOUNT}"
        bed.kubectl("-n", namespace, "create", "rolebinding", _ACCOUNT, "--clusterrole=edit", who)
        token = bed.kubectl("-n", namespace, "create", "token", _ACCOUNT, "--duration=1h").stdout.strip()
        made = cls(bed, namespace, token)
        made._wait_for_rights()
        return made

    def _wait_for_rights(self) -> None:
        """A role is put together from others a moment after these are there."""
        deadline = time.monotonic() + _RIGHTS_S
        while self.request("GET", self.numbers_path).status != HTTPStatus.OK:
            if time.monotonic() > deadline:
                raise NotReady("the tenant has no rights on numbers")
            time.sleep(_POLL_S)

    @property
    def numbers_path(self) -> str:
        """Where the tenant's numbers are."""
        return f"{_API}/namespaces/{self.namespace}/byocphonenumbers"

    @property
    def secrets_path(self) -> str:
        """Where the tenant's Secrets are."""
        return f"/api/v1/namespaces/{self.namespace}/secrets"

    def request(
        self, method: str, path: str, body: bytes | Json | None = None, content_type: str = "application/json"
    ) -> Answer:
        """One request to the API server, whatever it answers."""
        trust = ssl.create_default_context(cafile=str(self.bed.api_server.certificate))
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.bed.api_server.port, timeout=_TIMEOUT_S, context=trust
        )
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        try:
            raw = json.dumps(body).encode() if isinstance(body, Mapping) else body
            connection.request(method, path, raw, headers)
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(errors="replace"))
        finally:
            connection.close()

    def stored(self, path: str, body: bytes | Json) -> None:
        """Create an object that the API server takes."""
        answer = self.request("POST", path, body)
        assert answer.status == 201, f"the API server refuses the attack ({answer.status}): {answer.body[:512]}"

    def number(self, name: str, spec: Json, **metadata: Any) -> None:
        """Create a number with more metadata than usual."""
        body = manifest(name, self.namespace, spec)
        body["metadata"].update(metadata)
        self.stored(self.numbers_path, body)

    def find(self, name: str) -> Json | None:
        """One of the tenant's numbers as the tenant sees it, None if there is none."""
        answer = self.request("GET", f"{self.numbers_path}/{name}")
        return None if answer.status != 200 else json.loads(answer.body)

    def leave(self, scene: Scene) -> None:
        """Delete everything, with finalizers, so that the next test begins with nothing."""
        listed = scene.bed.kubectl("-n", self.namespace, "get", "bpn", "-o", "name", timeout_s=_TIMEOUT_S)
        names = listed.stdout.split()
        scene.bed.kubectl("-n", self.namespace, "delete", "secrets", "--all", timeout_s=_TIMEOUT_S)
        if names:
            scene.bed.kubectl("-n", self.namespace, "delete", *names, "--wait=false", timeout_s=_TIMEOUT_S)
            no_finalizers = '{"metadata": {"finalizers": null}}'
            patch = ("patch", *names, "--type=merge", "-p", no_finalizers)
            scene.bed.kubectl("-n", self.namespace, *patch, check=False, timeout_s=_TIMEOUT_S)
        scene.bed.kubectl("delete", "namespace", self.namespace, "--wait=false")


def serves_others(scene: Scene, name: str, within_s: float = 10) -> Json:
    """Prove that a new number of another tenant gets into step, and that the operator is healthy."""
    process = scene.deployment.process
    scene.number(name)
    ready = scene.ready(name, within_s=within_s)
    answers = {path: get(process.port, path).status for path in ("/healthz", "/readyz")}
    assert answers == {"/healthz": 200, "/readyz": 200}
    assert process.exit_code is None
    return ready
