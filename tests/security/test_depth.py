"""A tenant's objects that are nested absurdly deep, or hold what no decoder takes: everybody else is served."""

from integration.scene import Scene, condition
from security.objects import LABELLED, deep, managed, number, secret
from security.tenant import Tenant, serves_others

USES = {"sipPasswordSecretRef": {"name": "quiet"}}


def _store(tenant: Tenant) -> None:
    for levels in (1_500, 9_980):
        tenant.stored(tenant.numbers_path, number(tenant, f"deep-{levels}", managed(deep(levels))))
        tenant.stored(
            tenant.secrets_path, secret(tenant, f"labelled-{levels}", LABELLED + managed(deep(levels), b"v1"))
        )
    garbled = managed(b'{"f:\xff\xfe":{}}', b"v1")
    tenant.stored(tenant.secrets_path, secret(tenant, "no-utf-8", LABELLED + garbled))
    tenant.stored(tenant.secrets_path, secret(tenant, "quiet", managed(deep(1_100), b"v1")))
    tenant.stored(tenant.numbers_path, number(tenant, "user", spec=USES))


def _touched(tenant: Tenant, scene: Scene) -> None:
    """Every object changes once more while the watches are open."""
    for kind in ("bpn", "secrets"):
        scene.bed.kubectl("-n", tenant.namespace, "label", kind, "--all", "--overwrite", "touched=yes", timeout_s=60)


def _status(tenant: Tenant, scene: Scene, name: str) -> str:
    """The reason of a number that no decoder takes, so only kubectl shows."""
    path = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].reason}'
    return scene.bed.kubectl("-n", tenant.namespace, "get", "bpn", name, path).stdout


def _synced(tenant: Tenant, scene: Scene, name: str) -> None:
    scene.until(lambda: _status(tenant, scene, name) == "Synced", f"{name} is served too")


def test_what_nobody_uses_may_be_as_deep_as_it_likes(scene: Scene, tenant: Tenant) -> None:
    _store(tenant)
    serves_others(scene, "beside")
    _touched(tenant, scene)
    serves_others(scene, "after")
    for name in ("deep-1500", "deep-9980", "user"):
        _synced(tenant, scene, name)
    scene.deployment.restart()
    serves_others(scene, "restarted")
    scene.secret({"username": "alice", "password": "first-password"})
    scene.number("credentials", sipPasswordSecretRef={"name": "sip"})
    scene.ready("credentials")
    assert scene.deployment.process.metrics()['byoc_unreadable_objects{resource="secrets"}'] == 0


def test_a_deep_number_is_deleted_as_any_other(scene: Scene, tenant: Tenant) -> None:
    tenant.stored(tenant.numbers_path, number(tenant, "deep", managed(deep(3_000))))
    _synced(tenant, scene, "deep")
    assert tenant.request("DELETE", f"{tenant.numbers_path}/deep").status == 200
    scene.until(lambda: tenant.request("GET", f"{tenant.numbers_path}/deep").status == 404, "it is gone")


def test_under_labelled_an_unlabelled_secret_is_refused_for_its_label(stage: Scene, tenant: Tenant) -> None:
    stage.deployment.start({"BYOC_SECRETS": "Labelled"})
    tenant.stored(tenant.secrets_path, secret(tenant, "quiet", managed(deep(1_100), b"v1")))
    tenant.stored(tenant.numbers_path, number(tenant, "user", spec=USES))
    stage.until(lambda: _status(tenant, stage, "user") == "SecretInvalid", "the number says so")
    found = tenant.find("user")
    assert found is not None
    assert "lacks the label" in condition(found)["message"]
    serves_others(stage, "beside")
