"""The parts of the webhook, for its tests."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from byoc_operator.cluster.fake import FakeApi
from byoc_operator.sealing.sealed import KeyRing

NOW = datetime(2026, 11, 24, tzinfo=UTC)
NAMES = ("byoc-operator-admission.byoc-system.svc", "127.0.0.1")
SYSTEM = "byoc-system"
RING = KeyRing.generate()


def at(days: float) -> datetime:
    return NOW + timedelta(days=days)


def put_configuration(api: FakeApi, client_configs: Iterable[dict[str, Any]]) -> None:
    webhooks = [{"name": f"w{index}", "clientConfig": each} for index, each in enumerate(client_configs)]
    metadata = {"namespace": "", "name": "byoc-operator-sealing"}
    api._create("mutatingwebhookconfigurations", {"metadata": metadata, "webhooks": webhooks})
