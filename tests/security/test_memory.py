"""A tenant's objects of a megabyte, in memory and in time: both are bounded, and everybody else is served."""

from integration.scene import Scene
from security.objects import LABELLED, finalizers, flat, managed, number, secret
from security.tenant import Tenant, serves_others

LARGE = 3
COUNT = 120_000
"""Finalizers of each. As many texts in a list take 20 MB of memory once they are decoded and kept."""

MAX_GROWTH_MB = 45
"""What one such object needs while it is read, and the copies that the allocator holds on to."""


def _served(tenant: Tenant, scene: Scene, name: str) -> None:
    scene.until(lambda: (tenant.find(name) or {}).get("status", {}).get("inboundTrunkId"), f"{name} is served", 60)


def test_finalizers_by_the_hundred_thousand_are_not_kept(scene: Scene, tenant: Tenant) -> None:
    serves_others(scene, "before")
    before_mb = scene.deployment.process.rss_mb()
    for index in range(LARGE):
        tenant.stored(tenant.numbers_path, number(tenant, f"large-{index}", finalizers(COUNT)))
    spelled_out = managed(b'{"f:' + b"<" * 900_000 + b'":{}}', b"v1")
    tenant.stored(tenant.secrets_path, secret(tenant, "spelled-out", LABELLED + spelled_out))
    serves_others(scene, "beside", within_s=20)
    for index in range(LARGE):
        _served(tenant, scene, f"large-{index}")
    assert scene.deployment.process.rss_mb() - before_mb < MAX_GROWTH_MB
    scene.deployment.launch().wait_ready(timeout_s=60)
    serves_others(scene, "restarted", within_s=20)
    assert scene.deployment.process.rss_mb() - before_mb < MAX_GROWTH_MB
    assert tenant.request("DELETE", f"{tenant.numbers_path}/large-0").status == 200
    scene.until(
        lambda: '"byoc.talkifai.dev/finalizer"' not in tenant.request("GET", f"{tenant.numbers_path}/large-0").body,
        "ours is taken off",
        within_s=60,
    )


def test_numbers_that_take_the_api_server_seconds_are_listed_and_served(scene: Scene, tenant: Tenant) -> None:
    for index in range(2):
        tenant.stored(tenant.numbers_path, number(tenant, f"slow-{index}", managed(flat(40_000))))
    serves_others(scene, "beside", within_s=20)
    scene.deployment.launch().wait_ready(timeout_s=90)
    serves_others(scene, "restarted", within_s=30)
    _served(tenant, scene, "slow-0")
