"""What a command finds of the operator, and LiveKit's key; what it may not read is unknown, with the reason."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from byoc_operator.cli.cluster import Cluster, Scope
from byoc_operator.cli.exit_codes import ExitCode, Refused
from byoc_operator.cli.livekit_access import LiveKitAccess, NoLiveKit, livekit_access
from byoc_operator.cli.operator_finder import INSTALLATION, LABELS, Operator, Pod, operator_of
from byoc_operator.cli.operator_finder import SETTINGS as SETTING_PARTS
from byoc_operator.cluster.answers import Unauthorized
from byoc_operator.cluster.fake import FakeApi, Refuse
from byoc_operator.errors import CannotRun
from operated import SYSTEM

DEPLOYMENT = Path(__file__).parents[3] / "deploy" / "base" / "deployment.yaml"
NAME, VALUE = LABELS.split("=")
SETTINGS = {"LIVEKIT_URL": "wss://livekit.example.com", "BYOC_NAMESPACES": "voice, sales", "BYOC_LEASE_NAME": "lease"}


def put(api: FakeApi, plural: str, name: str, **rest: Any) -> None:
    api._create(plural, {"metadata": {"namespace": SYSTEM, "name": name, "labels": {NAME: VALUE}}, **rest})


@pytest.fixture
def api() -> FakeApi:
    """The operator as deploy/base installs it."""
    api = FakeApi()
    put(api, "deployments", "byoc-operator", spec=yaml.safe_load(DEPLOYMENT.read_text())["spec"])
    put(api, "configmaps", "byoc-operator-settings", data=SETTINGS)
    ready = {"conditions": [{"type": "Ready", "status": "True"}], "containerStatuses": [{"restartCount": 2}]}
    put(api, "pods", "byoc-operator-1", spec={"containers": [{"name": "mesh"}, {"name": "operator"}]}, status=ready)
    put(api, "pods", "byoc-operator-2", status={"containerStatuses": [{"state": {"waiting": {"reason": "ErrPull"}}}]})
    put(api, "leases", "lease", spec={"holderIdentity": "byoc-operator-1_uuid", "renewTime": "2027-01-15T08:00:00Z"})
    api.put_secret(SYSTEM, "livekit", {"LIVEKIT_API_KEY": "key\n", "LIVEKIT_API_SECRET": "of-the-operator"})
    return api


def seen(api: FakeApi) -> Cluster:
    return Cluster(api, Scope("voice"), 5.0)


async def access(api: FakeApi, environ: Mapping[str, str], file: str | None = None) -> LiveKitAccess | NoLiveKit:
    return await livekit_access(seen(api), await operator_of(seen(api), SYSTEM), file, environ)


async def test_the_operator_as_it_is_installed(api: FakeApi) -> None:
    operator = await operator_of(seen(api), SYSTEM)
    assert (operator.deployment, operator.replicas, operator.livekit_secret) == ("byoc-operator", 2, "livekit")
    assert operator.pods is not None
    assert [(pod.ready, pod.restarts, pod.waiting, pod.container) for pod in operator.pods] == [
        (True, 2, "", "operator"),
        (False, 0, "ErrPull", ""),
    ]
    assert (operator.ready_pods, operator.leader) == (1, "byoc-operator-1_uuid")
    assert [operator.watches(each) for each in ("voice", "sales", "other")] == [True, True, False]
    installation = operator.installation()
    assert installation is not None
    assert (installation.live_kit, installation.ids) == ("livekit.example.com", (operator.cluster_id,))
    assert operator.unknown == {}


async def test_what_one_may_not_read_is_unknown(api: FakeApi) -> None:
    api.without = {("list", "deployments"), ("list", "pods"), ("get", "leases"), ("get", "namespaces")}
    operator = await operator_of(seen(api), SYSTEM)
    assert (operator.pods, operator.leader, operator.watches("voice"), operator.installation()) == (None,) * 4
    assert set(operator.unknown.values()) == {"you may not read this"}
    assert len(operator.unknown) == 4
    assert operator.why_unknown(INSTALLATION) == "Deployment, namespace kube-system: you may not read this"
    assert operator.why_unknown(SETTING_PARTS) == "Deployment: you may not read this"
    assert [operator.lacks_a_right(parts) for parts in (SETTING_PARTS, ("ConfigMap",))] == [True, False]


async def test_a_token_that_is_not_accepted_ends_the_search(api: FakeApi) -> None:
    api.inject(Refuse(401, "Unauthorized"), "GET", "configmaps")
    with pytest.raises(Unauthorized):
        await operator_of(seen(api), SYSTEM)
    api.inject(Refuse(401, "Unauthorized"), "GET", "secrets")
    with pytest.raises(Unauthorized):
        await access(api, {})


async def test_no_operator_at_all() -> None:
    operator = await operator_of(seen(FakeApi()), SYSTEM)
    assert (operator.deployment, operator.ready_pods) == ("", 0)
    assert set(operator.unknown) == {"Deployment", f"Lease {SYSTEM}/byoc-operator"}


async def test_the_operators_own_key_is_the_last_resort(api: FakeApi, tmp_path: Path) -> None:
    def told(found: LiveKitAccess | NoLiveKit) -> tuple[str, str, str]:
        assert isinstance(found, LiveKitAccess)
        return found.key, found.secret.get_secret_value(), found.url

    url = SETTINGS["LIVEKIT_URL"]
    assert told(await access(api, {})) == ("key", "of-the-operator", url)
    environ = {"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "mine", "LIVEKIT_URL": "ws://here"}
    assert told(await access(api, environ)) == ("k", "mine", "ws://here")
    file = tmp_path / "keys.yaml"
    file.write_text("# a key\nfrom-file: 'its secret'\n")
    assert told(await access(api, environ, str(file))) == ("from-file", "its secret", "ws://here")
    assert "of-the-operator" not in repr(await access(api, {}))


@pytest.mark.parametrize(("policy", "place"), [("Environment", "proxy:3128"), ("None", None), ("", None)])
async def test_the_way_to_livekit_is_that_of_the_users_own_environment(
    api: FakeApi, policy: str, place: str | None
) -> None:
    found = await access(api, {"BYOC_LIVEKIT_PROXY": policy, "HTTPS_PROXY": "http://proxy:3128"})
    assert isinstance(found, LiveKitAccess)
    assert (found.route.proxy.place if found.route.proxy else None) == place


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"BYOC_LIVEKIT_PROXY": "yes"}, "BYOC_LIVEKIT_PROXY: must be None or Environment"),
        ({"BYOC_LIVEKIT_CA_FILE": "/there/is/none"}, "BYOC_LIVEKIT_CA_FILE: cannot read"),
        ({"BYOC_LIVEKIT_PROXY": "Environment", "HTTPS_PROXY": "socks5://u:sekrit@proxy"}, "HTTPS_PROXY: must be"),
    ],
)
async def test_a_wrong_way_to_livekit_is_wrong_input(api: FakeApi, environ: dict[str, str], words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        await access(api, environ)
    assert "sekrit" not in refused.value.message


async def test_without_a_key_the_reason_is_told(api: FakeApi) -> None:
    api.without = {("get", "secrets")}
    found = await access(api, {})
    assert isinstance(found, NoLiveKit)
    assert found.why.startswith(f"Secret {SYSTEM}/livekit: you may not read this; set LIVEKIT_API_KEY")
    assert found.refused().exit_code is ExitCode.NO_RIGHTS
    nowhere = await livekit_access(seen(FakeApi()), Operator(SYSTEM), None, {})
    assert isinstance(nowhere, NoLiveKit)
    assert nowhere.refused().exit_code is ExitCode.FAILED
    key = {"LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "s"}
    without_url = await livekit_access(seen(FakeApi()), Operator(SYSTEM), None, key)
    assert isinstance(without_url, NoLiveKit)
    assert "LIVEKIT_URL" in without_url.why


@pytest.mark.parametrize("text", [b"", b"key", b"a: b\nc: d\n", b": x", b"\xff"])
async def test_a_wrong_key_file_is_wrong_input(api: FakeApi, tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "keys"
    file.write_bytes(text)
    with pytest.raises(Refused, match="--livekit-key-file"):
        await access(api, {}, str(file))


@pytest.mark.parametrize(
    ("leader", "pods", "found"),
    [
        ("op-1_uuid", ("op-10", "op-1"), "op-1"),
        ("op-10_uuid", ("op-1", "op-10"), "op-10"),
        ("op-2_uuid", ("op-1",), ""),
        ("", ("op-1",), ""),
        (f"{'x' * 62}_uuid", (f"{'x' * 62}-abc",), f"{'x' * 62}-abc"),
    ],
)
def test_the_leaders_pod_is_the_one_with_its_whole_name(leader: str, pods: tuple[str, ...], found: str) -> None:
    leading = Operator(SYSTEM, pods=tuple(Pod(each, ready=True) for each in pods), leader=leader).leader_pod
    assert (leading.name if leading else "") == found


async def test_settings_without_a_url_say_what_to_set(api: FakeApi) -> None:
    api._objects["configmaps", SYSTEM, "byoc-operator-settings"]["data"] = {"BYOC_LEASE_NAME": "lease"}
    operator = await operator_of(seen(api), SYSTEM)
    assert (operator.installation(), list(operator.unknown)) == (None, ["LIVEKIT_URL"])


CARRIERS = "carriers: [{name: Mine, hosts: [pbx.example.com]}]"
FILE = "/etc/byoc/carriers/carriers.yaml"


def put_carriers(api: FakeApi, content: str, **settings: str) -> None:
    """As the component of deploy/ does: settings, a volume and its mount, and the key of the ConfigMap."""
    spec = yaml.safe_load(DEPLOYMENT.read_text())["spec"]
    pod = spec["template"]["spec"]
    pod["containers"][0]["volumeMounts"].append({"name": "carriers", "mountPath": "/etc/byoc/carriers"})
    items = [{"key": "mine.yaml", "path": "carriers.yaml"}]
    pod["volumes"].append({"name": "carriers", "configMap": {"name": "of-ours", "items": items}})
    put(api, "deployments", "byoc-operator", spec=spec)
    put(api, "configmaps", "byoc-operator-settings", data={**SETTINGS, "BYOC_CARRIERS_FILE": FILE, **settings})
    put(api, "configmaps", "of-ours", data={"mine.yaml": content})


async def test_the_file_of_carriers_is_read_where_the_pods_mount_it() -> None:
    api = FakeApi()
    put_carriers(api, CARRIERS)
    installation = (await operator_of(seen(api), SYSTEM)).installation()
    assert installation is not None
    assert installation.carriers.preset_for(None, "pbx.example.com").carrier == "Mine"


async def test_without_the_deployment_the_file_of_carriers_is_read_in_the_config_map_for_people() -> None:
    api = FakeApi()
    told = {**SETTINGS, "BYOC_CARRIERS_FILE": FILE, "carriers.yaml": CARRIERS}
    put(api, "configmaps", "byoc-operator-installation", data=told)
    api.without = {("list", "deployments")}
    installation = (await operator_of(seen(api), SYSTEM)).installation()
    assert installation is not None
    assert installation.carriers.preset_for(None, "pbx.example.com").carrier == "Mine"


async def test_a_file_of_carriers_that_cannot_be_read_leaves_the_installation_unknown() -> None:
    api = FakeApi()
    put_carriers(api, CARRIERS, BYOC_CARRIERS_FILE="/elsewhere/carriers.yaml")
    operator = await operator_of(seen(api), SYSTEM)
    assert operator.installation() is None
    assert "ConfigMap byoc-system/byoc-operator-installation" in operator.unknown


async def test_a_wrong_file_of_carriers_is_told_with_its_line() -> None:
    api = FakeApi()
    put_carriers(api, "carriers:\n  - name: Mine\n")
    operator = await operator_of(seen(api), SYSTEM)
    with pytest.raises(CannotRun, match=r"BYOC_CARRIERS_FILE: line 2: carriers\[0\]: Mine needs `hosts`"):
        operator.installation()
