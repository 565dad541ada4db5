"""Hostile requests to the webhook, by a tenant through the API server and from the pod network past it."""

import http.client
import json
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from byoc_operator.admission.request import API_VERSION, BOUNDS, MAX_BODY
from integration.scene import LABEL, Scene
from integration.test_sealing_admission import (
    component,
    opens_to,
    plain,
    ring,
    scene,
    sealing,
    settings,
    stored,
    trusted,
    webhook_port,
)
from meanwhile import over_and_over
from security.tenant import Tenant, serves_others

__all__ = ["component", "scene", "sealing", "settings", "webhook_port"]

MOST_MB = 300
"""The peak of a process whose pod has 512 MiB. It begins with some 95; bodies of four addresses come at once."""

Json = dict[str, Any]


def review(wanted: Json, **request: Any) -> bytes:
    asked = {"uid": "u", "operation": "CREATE", "namespace": "voice", "name": "sip", "object": wanted} | request
    return json.dumps({"apiVersion": API_VERSION, "kind": "AdmissionReview", "request": asked}).encode()


def labelled(annotations: Json | None = None, **more: Any) -> Json:
    return {"metadata": {"labels": LABEL, "annotations": annotations or {}}, "data": {"password": "cA=="}} | more


_FITS = MAX_BODY - 1024
BODIES = {
    "an open text behind brackets": b"[" * 20_001 + b'"' + b'\\"' * 20_000,
    "a long open text": b'"' + b'\\"' * (_FITS // 2),
    "a long annotation of escapes": review(labelled({"team": '"' * (_FITS // 2 - 1024)})),
    "wide characters": review(labelled()).replace(
        b'"cA=="', ('"' + "a" * (_FITS - 1024) + "\U0001f600" + '"').encode()
    ),
    "levels": b"[" * _FITS,
    "lists": b"[" + b"[]," * (BOUNDS.containers - 1) + b"[]]",
    "texts": b"[" + b",".join(b'"text-%d"' % index for index in range(BOUNDS.strings)) + b"]",
    "values": review(labelled(data={f"k{index}": "ab" * 40_000 for index in range(64)})),
    "too long": b" " * (8 * 2**20),
    "half a character": review(labelled(), namespace="\ud800"),
    "nothing": b"",
}


class Stranger:
    """Somebody in the pod network: an address, the webhook's port, and no account."""

    def __init__(self, address: str, port: int) -> None:
        self._address = address
        self._port = port
        # Whoever attacks does not ask who answers.
        self._trust = ssl.create_default_context()
        self._trust.check_hostname = False
        self._trust.verify_mode = ssl.CERT_NONE
        self.statuses: dict[str, set[int]] = {}

    def send(self, what: str) -> None:
        """Send one of `BODIES` and ignore the answer."""
        connection = self._connection()
        with suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/seal", BODIES[what], {"Content-Type": "application/json"})
            self.statuses.setdefault(what, set()).add(connection.getresponse().status)
        connection.close()

    def dawdle(self, _count: int = 0) -> None:
        """Promise a large body and send a byte of it."""
        connection = self._connection()
        with suppress(OSError, http.client.HTTPException):
            connection.putrequest("POST", "/seal")
            connection.putheader("Content-Type", "application/json")
            connection.putheader("Content-Length", str(_FITS))
            connection.endheaders(b"{")
            self.statuses.setdefault("dawdled", set()).add(connection.getresponse().status)
        connection.close()

    def rattle(self, port: int, sent: bytes) -> None:
        """Connect to a port, send bytes that are neither TLS nor HTTP, and close the connection."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5, (self._address, 0)) as connection:
            connection.sendall(sent)
            connection.settimeout(0.02)
            connection.recv(1024)

    def _connection(self) -> http.client.HTTPSConnection:
        source = (self._address, 0)
        return http.client.HTTPSConnection(
            "127.0.0.1", self._port, timeout=20, context=self._trust, source_address=source
        )


def peak_mb(scene: Scene) -> float:
    """The peak of the operator's memory."""
    status = Path(f"/proc/{scene.deployment.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def is_sealed_within(scene: Scene, name: str, within_s: float) -> None:
    """Prove that an honest labelled Secret is stored sealed."""
    body = plain(scene.namespace).replace('"name": "sip"', f'"name": "{name}"')
    began = time.monotonic()
    scene.kubectl("create", "-f", "-", stdin=body)
    assert time.monotonic() - began < within_s
    assert opens_to(stored(scene, name), ring(scene.bed))


@pytest.fixture
def attacked(scene: Scene) -> Iterator[Scene]:
    """An operator under attack, which must be healthy and in bounds in the end."""
    yield scene
    assert len(scene.deployment.process.log_text()) < 100_000, "a log that strangers cannot fill"
    assert peak_mb(scene) < MOST_MB


def test_a_tenants_secret_that_the_api_server_refuses_later_costs_little(attacked: Scene, tenant: Tenant) -> None:
    before = peak_mb(attacked)
    metadata = {"name": "large", "labels": LABEL, "annotations": {"team": '"\\' * 700_000}}
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"password": "x"}}
    for _ in range(5):
        answer = tenant.request("POST", tenant.secrets_path, body)
        assert answer.status == 422
        assert "annotations" in answer.body
    serves_others(attacked, "others")
    assert peak_mb(attacked) - before < 120


def test_noise_at_both_ports_fills_no_log(attacked: Scene, webhook_port: int) -> None:
    stranger = Stranger("127.0.0.2", webhook_port)
    before = len(attacked.deployment.process.log_text().splitlines())
    for count in range(150):
        sent = (b"", b"\x16\x03\x01", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 100, b"GET / HTTP/1.1\r\nA\r\n\r\n")[count % 5]
        for port in (webhook_port, attacked.deployment.process.port):
            stranger.rattle(port, sent)
    serves_others(attacked, "others")
    is_sealed_within(attacked, "honest", 5)
    assert len(attacked.deployment.process.log_text().splitlines()) - before < 120


def test_each_hostile_body_gets_a_clean_answer(attacked: Scene, webhook_port: int) -> None:
    stranger = Stranger("127.0.0.2", webhook_port)
    for what in BODIES:
        stranger.send(what)
    answered = {what: statuses for what, statuses in stranger.statuses.items() if statuses - {200, 400}}
    assert answered in ({"too long": {413}}, {}), "whoever still sends may not hear the refusal"
    serves_others(attacked, "others")
    is_sealed_within(attacked, "honest", 5)


def test_while_many_send_hostile_bodies_numbers_and_secrets_of_others_go_on(attacked: Scene, webhook_port: int) -> None:
    order = list(BODIES)
    strangers = [Stranger(f"127.0.0.{index}", webhook_port) for index in range(2, 6)]
    with ExitStack() as stack:
        for start, stranger in enumerate(strangers):
            stack.enter_context(over_and_over(_sending(stranger, order, start)))
            stack.enter_context(over_and_over(stranger.dawdle))
        for index in range(3):
            serves_others(attacked, f"others-{index}")
            is_sealed_within(attacked, f"honest-{index}", 5)
        trust = ssl.create_default_context(cadata=trusted(attacked.bed))
        with urllib.request.urlopen(f"https://127.0.0.1:{webhook_port}/readyz", context=trust, timeout=5) as answer:
            assert answer.status == 200
    assert sum(len(stranger.statuses) for stranger in strangers) > len(order), "they were heard"
    assert {status for each in strangers for found in each.statuses.values() for status in found} <= {
        *(200, 400, 408, 413, 503)
    }


def _sending(stranger: Stranger, order: list[str], start: int) -> Callable[[int], None]:
    return lambda count: stranger.send(order[(start + count) % len(order)])


def test_a_tenants_annotation_of_many_levels_is_refused(attacked: Scene, tenant: Tenant) -> None:
    deep = '{"a":' * 9000 + "1" + "}" * 9000
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": deep}
    body = {"apiVersion": "v1", "kind": "Secret", "stringData": {"password": "x"}}
    answer = tenant.request(
        "POST", tenant.secrets_path, body | {"metadata": {"name": "deep", "labels": LABEL, "annotations": annotations}}
    )
    assert answer.status == 422
    assert "cannot be read" in answer.body
    is_sealed_within(attacked, "honest", 5)
