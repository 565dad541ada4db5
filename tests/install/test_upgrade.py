"""An upgrade touches neither LiveKit nor any number."""

import io
import subprocess
import tarfile
from pathlib import Path

from install.cluster import CHART, CRD, NAME, ROOT, Cluster, packaged
from install.test_runs_as_told import own_namespace
from testbed.http_probe import get
from testbed.kubelet import Kubelet, Pod

LOWER = "0.0.1"
"""A version below every one of ours, for a chart that is packaged as if it were older."""


def chart_before(folder: Path) -> Path:
    """The chart of the last tag, else of the commit before; the present one where neither has a chart."""
    for revision in (_git("describe", "--tags", "--abbrev=0").strip() or "HEAD~1", "HEAD~1"):
        archive = _git_bytes("archive", revision, str(CHART.relative_to(ROOT)))
        if archive:
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(folder, filter="data")
            return folder / CHART.relative_to(ROOT)
    return CHART


def test_an_upgrade_writes_nothing_to_livekit_and_recreates_nothing(
    cluster: Cluster, node: Kubelet, voice: str, tmp_path: Path
) -> None:
    cluster.remove_everything()
    with own_namespace(cluster) as place, packaged(chart_before(tmp_path), LOWER) as before:
        cluster.install(place, "--set", "finalizerPolicy=On", chart=before)
        old = node.start(place, NAME)
        old.wait_ready()
        phones = [cluster.number(voice, f"n{index}") for index in range(3)]
        for index in range(3):
            cluster.ready(voice, f"n{index}")
        held = {phone: cluster.sip.of(phone).bytes for phone in phones}
        made = identities(cluster, place, voice)

        upgrade = ("upgrade", NAME, str(CHART), "-n", place, "--reset-then-reuse-values", "--wait", "--timeout=60s")
        cluster.helm(*upgrade)
        new = node.start(place, NAME)
        new.wait_ready()
        old.stop()
        # A setting that changed is read at the start; a sweep would repair whatever the two see differently.
        cluster.until(lambda: sweeps(new) >= 1, "the new pod leads and has swept")
        assert {phone: cluster.sip.of(phone).bytes for phone in phones} == held
        after = identities(cluster, place, voice)
        assert {key: after[key] for key in made} == made
        cluster.remove_everything()


def test_the_chart_before_is_really_another_version(tmp_path: Path) -> None:
    with packaged(chart_before(tmp_path), LOWER) as before:
        assert before.name == f"{NAME}-{LOWER}.tgz"


def identities(cluster: Cluster, place: str, voice: str) -> dict[str, str]:
    """UIDs of the release's lasting objects, of the numbers and of the CRD; with each number its LiveKit IDs."""
    kinds = "deployment,service,configmap,serviceaccount,role,rolebinding,networkpolicy,poddisruptionbudget"
    found = {}
    labelled = ("-l", f"app.kubernetes.io/name={NAME}")
    for each in cluster.get(kinds, "-n", place, *labelled)["items"]:
        found[f"{each['kind']}/{each['metadata']['name']}"] = each["metadata"]["uid"]
    assert f"Deployment/{NAME}" in found
    for each in cluster.get("bpn", "-n", voice)["items"]:
        ids = [each["status"].get(name, "") for name in ("outboundTrunkId", "inboundTrunkId", "dispatchRuleId")]
        found[each["metadata"]["name"]] = " ".join([each["metadata"]["uid"], *ids])
    return found | {CRD: cluster.get("crd", CRD)["metadata"]["uid"]}


def sweeps(pod: Pod) -> float:
    """How many sweeps it has finished."""
    lines = get(pod.port, "/metrics").body.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith('byoc_sweeps_total{result="done"}'))


def _git(*args: str) -> str:
    return _git_bytes(*args).decode()


def _git_bytes(*args: str) -> bytes:
    """Output of git; empty where it fails, such as outside a repository."""
    done = subprocess.run(["git", *args], cwd=ROOT, capture_output=True, timeout=60, check=False)  # noqa: S607
    return done.stdout if done.returncode == 0 else b""
