"""Plain values in Git under an Argo CD whose API server has them sealed at admission."""

import base64
import json
from collections.abc import Iterator

import pytest

from install.argocd import KIND, ROOT, SERVICE_NAME, Application, Json, Platform, number, secret
from testbed.service_proxy import ServiceProxy

PASSWORD = "a-password-1234"
COMPARED = "ServerSideDiff=true,IncludeMutationWebhook=true"


@pytest.fixture(scope="module", autouse=True)
def webhook(platform: Platform) -> Iterator[None]:
    """The component's webhook, rights and Service, and the operator behind it."""
    files = [f"-f={ROOT / 'deploy/components/sealing-admission' / name}.yaml" for name in ("rbac", "webhook")]
    platform.bed.kubectl("apply", *files)
    service = platform.found("service", "byoc-operator-admission", "byoc-system")
    assert service
    assert f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc" == SERVICE_NAME
    with ServiceProxy(service["spec"]["clusterIP"], 443, lambda: platform.webhook_port):
        try:
            yield
        finally:
            platform.bed.kubectl("delete", *files)


def sealed(application: Application) -> bool:
    """Whether the Application's Secret is stored sealed, and nothing of the password is in it."""
    stored = application.platform.found("secret", "carrier", application.name)
    if stored is None:
        return False
    text = json.dumps(stored)
    assert PASSWORD not in text
    assert base64.b64encode(PASSWORD.encode()).decode() not in text
    return all(base64.b64decode(value).startswith(b"fernet:") for value in stored["data"].values())


@pytest.mark.parametrize("options", [(), ("ServerSideApply=true",)], ids=["client-side", "server-side"])
def test_with_both_options_plain_values_are_synced(platform: Platform, options: tuple[str, ...]) -> None:
    name = "sealed-by-server" if options else "sealed-by-client"
    phone = "+12025550106" if options else "+12025550107"
    things = [secret(), number("main", phone)]
    with platform.application(name, things, automated=True, options=options, compared=COMPARED) as application:
        application.reaches("Synced", "Healthy")
        assert sealed(application)
        assert platform.sip.of(phone).outbound[0].auth_password == PASSWORD
        before = stored_version(application)
        application.look_again()
        application.reaches("Synced", "Healthy")
        assert stored_version(application) == before
        application.git.commit([changed(secret()), number("main", phone)])
        application.look_again()
        application.until(
            lambda: platform.sip.of(phone).outbound[0].auth_password == "another-password", "the new password is there"
        )
        application.reaches("Synced", "Healthy")


def test_without_them_the_application_is_out_of_sync_and_works(platform: Platform) -> None:
    with platform.application("compared-plainly", [secret(), number("main", "+12025550108")]) as application:
        application.sync()
        application.until(lambda: application.operation()[0] == "Succeeded", "the sync is over")
        application.reaches("OutOfSync", "Healthy")
        assert sealed(application)
        assert platform.found(KIND, "main", application.name)


def changed(plain: Json) -> Json:
    return plain | {"stringData": plain["stringData"] | {"password": "another-password"}}


def stored_version(application: Application) -> str:
    found = application.platform.found("secret", "carrier", application.name)
    assert found
    return str(found["metadata"]["resourceVersion"])
