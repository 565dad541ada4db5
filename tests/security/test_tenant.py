"""The tenant of these tests has the rights that a tenant has, and no more."""

from integration.scene import BASE, Scene, fresh_number
from security.tenant import Tenant, serves_others


def test_a_tenant_has_rights_in_one_namespace_only(scene: Scene, tenant: Tenant) -> None:
    tenant.number("mine", {"phoneNumber": fresh_number(), **BASE})
    others = tenant.numbers_path.replace(tenant.namespace, scene.namespace)
    assert tenant.request("GET", others).status == 403
    assert (
        tenant.request("PATCH", f"{tenant.numbers_path}/mine/status", b"{}", "application/merge-patch+json").status
        == 403
    )
    serves_others(scene, "others")
    scene.until(
        lambda: (tenant.find("mine") or {}).get("status", {}).get("inboundTrunkId"), "the tenant's number is served"
    )
