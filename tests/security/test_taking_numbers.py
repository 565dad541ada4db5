"""A tenant tries to take the phone number of another tenant, to place calls or to receive calls."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from integration.deployment import Deployment
from integration.scene import BASE, Json, Scene, condition, findings, recorded
from integration.sip import Held
from security.tenant import Tenant, serves_others

MINE = {**BASE, "terminationUri": "sip.attacker.example", "inboundAgentId": None, "outboundAgentId": "agent_attacker"}
THEFT = {**MINE, "inboundAgentId": "agent_attacker"}
RESERVED_S = 8
SETTINGS = {"BYOC_NUMBER_RESERVATION_SECONDS": str(RESERVED_S), "BYOC_RETAIN": "2"}


def wants(tenant: Tenant, phone: str, name: str = "mine", **changes: object) -> None:
    """The tenant makes an object with somebody's number."""
    spec = {key: value for key, value in {**THEFT, "phoneNumber": phone, **changes}.items() if value is not None}
    tenant.number(name, spec)


def edit(tenant: Tenant, name: str, **spec: object) -> None:
    answer = tenant.request("PATCH", f"{tenant.numbers_path}/{name}", {"spec": spec}, "application/merge-patch+json")
    assert answer.status == 200, answer.body


def told(scene: Scene, tenant: Tenant, reason: str, name: str = "mine", within_s: float = 15) -> Json:
    """The tenant's number, once it says so."""

    def probe() -> Json | None:
        number = tenant.find(name)
        return number if number and condition(number)["reason"] == reason else None

    found = scene.until(probe, f"the tenant's {name} says {reason}", within_s)
    assert found is not None
    return found


def has_nothing(scene: Scene, tenant: Tenant, phone: str) -> None:
    """No ID in a status, no trunk with the tenant's mark."""
    for number in json.loads(tenant.request("GET", tenant.numbers_path).body)["items"]:
        assert recorded(number) == ()
    assert tenant.namespace not in repr(scene.held(phone).bytes)


@contextmanager
def never_had_it(scene: Scene, tenant: Tenant, phone: str) -> Iterator[None]:
    """Assert it at each look until the end of the block, and after it."""
    yield
    scene.after_a_sweep()
    has_nothing(scene, tenant, phone)


def untouched(scene: Scene, phone: str, before: Held) -> None:
    assert scene.held(phone).ids == before.ids


@pytest.fixture
def scene(deployment: Deployment, stage: Scene) -> Scene:
    """With a reservation that a test can wait for, and a limit of what may be retained."""
    deployment.ensure(SETTINGS)
    return stage


def test_a_holder_that_observes_or_pauses_keeps_its_number(scene: Scene, tenant: Tenant) -> None:
    phone = scene.number()
    scene.ready()
    before = scene.held(phone)
    wants(tenant, phone, inboundAgentId=None)
    message = condition(told(scene, tenant, "NumberClaimed"))["message"]
    assert scene.namespace not in message
    with never_had_it(scene, tenant, phone):
        scene.change(managementPolicy="Observe")
        scene.ready()
        scene.after_a_sweep()
        has_nothing(scene, tenant, phone)
        scene.change(managementPolicy="Manage")
        scene.ready()
        scene.annotate("paused=true")
        scene.told("Paused")
        scene.after_a_sweep()
        scene.annotate("paused-")
        scene.ready()
    untouched(scene, phone, before)


def test_a_retained_number_is_kept_for_whoever_left_it(scene: Scene, tenant: Tenant) -> None:
    phone = scene.number(deletionPolicy="Retain")
    scene.ready()
    before = scene.held(phone)
    wants(tenant, phone)
    told(scene, tenant, "NumberClaimed")
    with never_had_it(scene, tenant, phone):
        scene.delete()
        scene.until(
            lambda: "kept by deletionPolicy Retain" in condition(tenant.find("mine") or {"status": {}})["message"],
            "the tenant is told",
        )
        scene.deployment.restart()
        scene.after_a_sweep()
        scene.number(phoneNumber=phone)
        scene.ready()
    untouched(scene, phone, before)


def test_a_number_that_is_deleted_and_made_anew_stays_with_its_namespace(scene: Scene, tenant: Tenant) -> None:
    phone = scene.number()
    scene.ready()
    wants(tenant, phone)
    told(scene, tenant, "NumberClaimed")
    with never_had_it(scene, tenant, phone):
        scene.delete()
        scene.until(
            lambda: "reserved for a while" in condition(tenant.find("mine") or {"status": {}})["message"],
            "the tenant is told",
        )
        scene.number("renamed", phoneNumber=phone)
        scene.ready("renamed")
    assert scene.held(phone).counts == (1, 1, 1)
    serves_others(scene, "others")


def test_whoever_waits_has_a_number_that_nobody_takes_again(scene: Scene, tenant: Tenant) -> None:
    phone = scene.number()
    scene.ready()
    wants(tenant, phone)
    told(scene, tenant, "NumberClaimed")
    scene.delete()
    number = told(scene, tenant, "Synced", within_s=RESERVED_S + 15)
    assert recorded(number) == scene.held(phone).ids


def test_a_sleeper_does_not_win_by_its_age_when_livekit_lost_all(scene: Scene, tenant: Tenant) -> None:
    phone = scene.number("scout", managementPolicy="Observe")
    scene.delete("scout")
    wants(tenant, phone, managementPolicy="Observe")
    told(scene, tenant, "ChangesPending")
    scene.number(phoneNumber=phone)
    scene.ready()
    edit(tenant, "mine", managementPolicy="Manage")
    told(scene, tenant, "NumberClaimed")
    with never_had_it(scene, tenant, phone):
        scene.sip.clear()
        scene.until(lambda: scene.held(phone).counts == (1, 1, 1), "the owner has its objects again")
        scene.ready()


def test_retain_is_no_pump_where_it_is_limited(scene: Scene, tenant: Tenant) -> None:
    phones = [scene.number(f"scout{count}", managementPolicy="Observe") for count in range(4)]
    for count, phone in enumerate(phones):
        scene.delete(f"scout{count}")
        name = f"n{count}"
        wants(tenant, phone, name=name, deletionPolicy="Retain")
        number = told(scene, tenant, "Synced", name)
        assert ("RetainNotAllowed" in findings(number)) == (count >= 2)
        tenant.request("DELETE", f"{tenant.numbers_path}/{name}")
        scene.until(lambda name=name: tenant.find(name) is None, f"{name} is gone")  # type: ignore[misc]
    assert [scene.held(phone).counts for phone in phones] == [(1, 1, 1)] * 2 + [(0, 0, 0)] * 2
    metrics = scene.deployment.process.metrics
    scene.until(lambda: metrics().get("byoc_retained_numbers") == 2, "what is retained is counted")
    ids = [each for phone in phones[:2] for each in scene.held(phone).ids]
    assert (
        tenant.request(
            "PATCH",
            "/apis/coordination.k8s.io/v1/namespaces/byoc-system/leases/byoc-operator",
            {},
            "application/merge-patch+json",
        ).status
        == 403
    )
    scene.bed.kubectl(
        "-n", "byoc-system", "annotate", "lease", "byoc-operator", f"byoc.talkifai.dev/release={','.join(ids)}"
    )
    scene.until(lambda: scene.held(phones[0]).counts == (0, 0, 0), "an administrator released it", within_s=15)
    scene.number("a", phoneNumber=phones[1])
    scene.ready("a", within_s=15)
    serves_others(scene, "others")
