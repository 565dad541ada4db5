"""The operator runs as the applied Deployment says: a played kubelet starts it with nothing else."""

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from install.cluster import NAME, ROOT, Cluster, Json
from testbed.http_probe import get
from testbed.kubelet import Kubelet, Pod
from testbed.pod_spec import NotPlayed, checked


@pytest.fixture(scope="module")
def released(cluster: Cluster, place: str) -> str:
    """The namespace of a release with the chart's defaults."""
    cluster.install(place)
    return place


def test_a_number_becomes_ready_and_goes(cluster: Cluster, released: str, node: Kubelet, voice: str) -> None:
    pod = node.start(released, NAME)
    pod.wait_ready()
    assert (pod.probe("startup"), pod.probe("liveness"), pod.probe("readiness")) == (200, 200, 200)

    phone = cluster.number(voice)
    number = cluster.ready(voice)
    assert cluster.sip.of(phone).counts == (1, 1, 1)
    assert number["status"]["originationUri"] == "sip:sip.voice.example:5061;transport=tls"
    cluster.kubectl("delete", "bpn", "a", "-n", voice, "--timeout=20s")
    assert cluster.sip.of(phone).counts == (0, 0, 0)

    ending = pod.stop()
    assert ending is not None
    assert ending.exit_code == 0


def test_it_runs_without_root_and_without_any_capability(released: str, node: Kubelet) -> None:
    pod = node.start(released, NAME)
    pod.wait_ready()
    lines = Path(f"/proc/{pod.pid}/status").read_text().splitlines()
    status = {name: value.split() for name, _, value in (line.partition(":") for line in lines)}
    assert set(status["Uid"]) == set(status["Gid"]) == {"65532"}
    assert {int(status[f"Cap{kind}"][0], 16) for kind in ("Prm", "Eff", "Bnd", "Inh", "Amb")} == {0}
    assert status["NoNewPrivs"] == ["1"]


def test_the_api_key_is_in_no_environment_and_no_command_line(cluster: Cluster, released: str, node: Kubelet) -> None:
    pod = node.start(released, NAME)
    pod.wait_ready()
    seen = b"".join(Path(f"/proc/{pod.pid}/{name}").read_bytes() for name in ("environ", "cmdline"))
    assert b"LIVEKIT_URL=" in seen
    assert cluster.bed.livekit.secret.encode() not in seen


def test_of_two_replicas_one_leads_and_the_other_takes_over(
    cluster: Cluster, released: str, node: Kubelet, voice: str
) -> None:
    pods = [node.start(released, NAME), node.start(released, NAME)]
    for pod in pods:
        pod.wait_ready()
    cluster.until(lambda: sorted(map(role, pods)) == ["leads", "stands by"], "one leads")
    leader, other = sorted(pods, key=role)
    leader.stop()
    cluster.until(lambda: role(other) == "leads", "the other leads")
    cluster.number(voice)
    cluster.ready(voice)
    assert other.probe("readiness") == 200


def renamed_setting(spec: Json) -> None:
    (container,) = spec["containers"]
    (setting,) = (each for each in container["env"] if each["name"] == "LIVEKIT_API_KEY_FILE")
    setting["name"] = "LIVEKIT_API_KEYFILE"


def moved_secret(spec: Json) -> None:
    (mount,) = (each for each in spec["containers"][0]["volumeMounts"] if "livekit" in each["mountPath"])
    mount["mountPath"] = "/etc/byoc/elsewhere"


def no_settings(spec: Json) -> None:
    del spec["containers"][0]["envFrom"]


def no_token(spec: Json) -> None:
    spec["volumes"] = [each for each in spec["volumes"] if "projected" not in each]
    (container,) = spec["containers"]
    names = {each["name"] for each in spec["volumes"]}
    container["volumeMounts"] = [each for each in container["volumeMounts"] if each["name"] in names]


def wrong_argument(spec: Json) -> None:
    spec["containers"][0]["args"] = ["walk"]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (renamed_setting, "LIVEKIT_API_KEY: is required"),
        (moved_secret, "LIVEKIT_API_KEY_FILE: cannot read"),
        (no_settings, "LIVEKIT_URL: is required"),
        (no_token, "cannot reach a cluster"),
        (wrong_argument, "No such command 'walk'"),
    ],
)
def test_a_mistake_in_the_deployment_would_be_noticed(
    cluster: Cluster, released: str, node: Kubelet, broken: Callable[[Json], None], words: str
) -> None:
    template = cluster.get("deployment", NAME, "-n", released)["spec"]["template"]
    broken(template["spec"])
    pod = node.start(released, NAME, template=template)
    assert pod.wait_ended(20) in (1, 2)
    assert words in pod.log_text()


@pytest.mark.parametrize(
    "extra",
    [
        {"hostNetwork": True},
        {"initContainers": [{"name": "a", "image": "b"}]},
        {"shareProcessNamespace": True},
        {"automountServiceAccountToken": True},
    ],
    ids=lambda extra: next(iter(extra)),
)
def test_what_the_player_does_not_play_is_refused(cluster: Cluster, released: str, extra: dict[str, Any]) -> None:
    template = cluster.get("deployment", NAME, "-n", released)["spec"]["template"]
    checked(copy.deepcopy(template))
    with pytest.raises(NotPlayed):
        checked({**template, "spec": {**template["spec"], **extra}})


def test_a_namespaced_release_serves_its_namespaces_and_no_other(cluster: Cluster, node: Kubelet, voice: str) -> None:
    cluster.remove_everything()
    with own_namespace(cluster) as place:
        chosen = ("--set", f"namespaces={{{voice}}}", "--set", "installationId=one")
        cluster.install(place, *chosen)
        node.start(place, NAME).wait_ready()
        cluster.number(voice)
        cluster.ready(voice)
        cluster.number(place)
        cluster.number(voice, "b")
        cluster.ready(voice, "b")
        assert cluster.reason(place) == "", "nobody looks at it"
        cluster.remove_everything()


@pytest.mark.parametrize("folder", ["", "overlays/namespaced"], ids=["cluster", "namespaced"])
def test_the_plain_manifests_run_too(cluster: Cluster, node: Kubelet, voice: str, folder: str, tmp_path: Path) -> None:
    cluster.remove_everything()
    more = {"BYOC_NAMESPACES": voice, "BYOC_INSTALLATION_ID": "one"} if folder else {}
    copied = own_manifests(cluster, tmp_path, folder, more)
    for path in (copied / folder).glob("*.yaml") if folder else ():
        path.write_text(path.read_text().replace("namespace: voice", f"namespace: {voice}"))
    with applied(cluster, copied / folder):
        cluster.livekit_secret("byoc-system")
        cluster.kubectl("rollout", "status", f"deployment/{NAME}", "-n", "byoc-system", "--timeout=60s")
        node.start("byoc-system", NAME).wait_ready()
        cluster.bed.wait_for_crd()
        phone = cluster.number(voice)
        cluster.ready(voice)
        assert cluster.sip.of(phone).counts == (1, 1, 1)
        cluster.kubectl("delete", "bpn", "a", "-n", voice, "--timeout=20s")


def own_manifests(
    cluster: Cluster, parent: Path, folder: str = "", more: Mapping[str, str] = MappingProxyType({})
) -> Path:
    """A copy of `deploy` whose `settings.env` in `folder` names the bed's LiveKit and has these settings too."""
    copied = shutil.copytree(ROOT / "deploy", parent / "deploy")
    settings = {"LIVEKIT_URL": cluster.bed.livekit.url, "BYOC_SIP_URI": "sip.voice.example:5061", **more}
    (copied / folder / "settings.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    return copied


@contextmanager
def applied(cluster: Cluster, folder: Path) -> Iterator[None]:
    """The plain manifests of a folder, and in the end nothing of them."""
    try:
        cluster.kubectl("apply", "-k", str(folder))
        yield
    finally:
        cluster.remove_everything()
        cluster.kubectl("delete", "-k", str(folder), "--ignore-not-found", "--timeout=60s")


def role(pod: Pod) -> str:
    """`leads` or `stands by`; empty while it does not answer."""
    answer = get(pod.port, "/readyz")
    return str(json.loads(answer.body).get("role", "")) if answer.status == 200 else ""


@contextmanager
def own_namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace with LiveKit's Secret, for one test."""
    name = cluster.namespace()
    cluster.livekit_secret(name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
