"""A real Argo CD syncs numbers from Git, with our health check and actions, and the operator brings them to LiveKit."""

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from integration.sip import Sip
from testbed import tools
from testbed.argocd_parts import NAMESPACE, ArgoCd
from testbed.bed import Bed
from testbed.installed import start_operator
from testbed.livekit_proxy import LiveKitProxy
from testbed.process import clean_environment
from testbed.scheduling_parts import scheduling

pytestmark = pytest.mark.install

ROOT = Path(__file__).parents[2]
KIND = "ByocPhoneNumber"
SETTINGS = {"BYOC_INSTALLATION_ID": "with-argocd", "BYOC_SWEEP_INTERVAL_SECONDS": "5"}
SLOW_S = 3
"""Long enough for Argo CD to look at a number that is not ready, shorter than the operator waits for LiveKit (10 s)."""
_POLL_S = 0.1

Json = dict[str, Any]
_Found = TypeVar("_Found")


class GitFolder:
    """A Git repository as Argo CD's source; `commit` replaces its content."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def commit(self, objects: Sequence[Json]) -> None:
        (self.path / "phones.yaml").write_text(yaml.safe_dump_all(objects))
        self.commit_files()

    def commit_files(self) -> None:
        """Commit what stands in the folder."""
        self._git("add", "--all")
        author = ("-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
        self._git(*author, "commit", "--quiet", "--message=A change")

    def _git(self, *args: str) -> None:
        environment = clean_environment() | {"HOME": str(self.path.parent), "GIT_CONFIG_NOSYSTEM": "1"}
        subprocess.run(["git", *args], cwd=self.path, env=environment, check=True, timeout=30)  # noqa: S607 - from PATH


class Platform:
    """The bed with operator and Argo CD, and LiveKit as it is."""

    def __init__(self, argocd: ArgoCd, proxy: LiveKitProxy, folder: Path) -> None:
        self.argocd = argocd
        self.bed = argocd.bed
        self.proxy = proxy
        self.sip = Sip(argocd.bed.livekit)
        self._folder = folder

    @contextmanager
    def application(
        self, name: str, objects: Sequence[Json], *, automated: bool = False, options: Sequence[str] = ()
    ) -> Iterator["Application"]:
        """An Application with a Git folder and a namespace of its own name; it is gone in the end, with all of it."""
        application = Application(self, name, self.git_folder(name))
        application.create(objects, automated=automated, options=options)
        try:
            yield application
        finally:
            application.delete()

    def git_folder(self, name: str) -> GitFolder:
        """A new Git repository."""
        return GitFolder(self._folder / name)

    def found(self, kind: str, name: str, namespace: str) -> Json | None:
        done = self.bed.kubectl("get", kind, name, "-n", namespace, "-o", "json", check=False)
        found: Json | None = json.loads(done.stdout) if done.returncode == 0 else None
        return found


class Application:
    """One Application: what Git says, what Argo CD thinks of it, what a person does with it."""

    def __init__(self, platform: Platform, name: str, git: GitFolder) -> None:
        self.platform = platform
        self.name = name
        self.git = git

    def create(self, objects: Sequence[Json], *, automated: bool, options: Sequence[str]) -> None:
        self.git.commit(objects)
        policy = {"automated": {"prune": True, "selfHeal": True}} if automated else {}
        application = {
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Application",
            "metadata": {
                "name": self.name,
                "namespace": NAMESPACE,
                "finalizers": ["resources-finalizer.argocd.argoproj.io"],
            },
            "spec": {
                "project": "default",
                "source": {"repoURL": self.git.url, "targetRevision": "main", "path": "."},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": self.name},
                "syncPolicy": {"syncOptions": ["CreateNamespace=true", *options], **policy},
            },
        }
        self.platform.bed.kubectl("create", "-f", "-", stdin=json.dumps(application))

    def look_again(self) -> None:
        """Have Git read now, not in a few minutes."""
        wish = "argocd.argoproj.io/refresh=hard"
        self.platform.bed.kubectl("annotate", "application", self.name, "-n", NAMESPACE, "--overwrite", wish)
        self.until(lambda: "argocd.argoproj.io/refresh" not in self.get()["metadata"].get("annotations", {}), "read")

    def sync(self) -> None:
        """Begin a sync."""
        self.platform.argocd.cli("app", "sync", self.name, "--async")

    def act(self, action: str, number: str) -> None:
        """Press the button of an action of ours."""
        chosen = ("--kind", KIND, "--resource-name", number)
        self.platform.argocd.cli("app", "actions", "run", self.name, action, *chosen)

    def delete(self) -> None:
        """Delete it with all that it manages, and wait until it is gone; nothing happens if it is."""
        self.platform.bed.kubectl(
            "delete", "application", self.name, "-n", NAMESPACE, "--ignore-not-found", timeout_s=60
        )

    def abandon(self) -> None:
        """Delete it and leave what it managed: the operator of this module needs its rights for the other tests."""
        nothing = '{"metadata": {"finalizers": null}}'
        self.platform.bed.kubectl("patch", "application", self.name, "-n", NAMESPACE, "--type=merge", "-p", nothing)
        self.delete()

    def get(self) -> Json:
        found = self.platform.found("application", self.name, NAMESPACE)
        assert found is not None
        return found

    def state(self) -> tuple[str, str]:
        """Sync status and health."""
        status = self.get().get("status", {})
        return status.get("sync", {}).get("status", ""), status.get("health", {}).get("status", "")

    def operation(self) -> tuple[str, str]:
        """Phase and message of the last sync."""
        state = self.get().get("status", {}).get("operationState", {})
        return state.get("phase", ""), state.get("message", "")

    def number(self, name: str) -> Json:
        found = self.platform.found(KIND, name, self.name)
        assert found is not None
        return found

    def until(self, probe: Callable[[], _Found], what: str, within_s: float = 40) -> _Found:
        """What the probe finds, once it finds something."""
        deadline = time.monotonic() + within_s
        while not (found := probe()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {within_s:.0f} s: {what}\n{json.dumps(self.get().get('status'), indent=1)}")
            time.sleep(_POLL_S)
        return found

    def reaches(self, sync: str, health: str) -> None:
        self.until(lambda: self.state() == (sync, health), f"{self.name} is {sync} and {health}")


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Everything running, with deploy/argocd/argocd-cm.yaml merged into Argo CD's settings as docs/argocd.md says."""
    folder = tmp_path_factory.mktemp("argocd")
    with Bed.start(folder / "bed") as bed, LiveKitProxy(bed.livekit.url) as proxy, ArgoCd.start(bed) as argocd:
        merge_customizations(bed)
        operator = start_operator(bed, {**SETTINGS, "LIVEKIT_URL": proxy.url})
        try:
            yield Platform(argocd, proxy, folder / "git")
        finally:
            operator.stop()


@pytest.fixture(scope="module")
def phones(platform: Platform) -> Iterator[Application]:
    """An Application with one number, synced by itself and healthy."""
    with platform.application("lines", [secret(), number("main", "+12025550100")], automated=True) as application:
        application.reaches("Synced", "Healthy")
        yield application


def merge_customizations(bed: Bed) -> None:
    snippet = ROOT / "deploy/argocd/argocd-cm.yaml"
    bed.kubectl("apply", "--server-side", "--field-manager=byoc-operator", "-f", str(snippet))


def in_wave(wave: int, thing: Json) -> Json:
    """The object with Argo CD's annotation for its place in the order; its namespace is the Application's."""
    metadata = {key: value for key, value in thing["metadata"].items() if key != "namespace"}
    return thing | {"metadata": metadata | {"annotations": {"argocd.argoproj.io/sync-wave": str(wave)}}}


def secret() -> Json:
    credentials = {"username": "user", "password": "a-password-1234"}
    labels = {"byoc.talkifai.dev/sip-credentials": "true"}
    metadata = {"name": "carrier", "labels": labels}
    return in_wave(0, {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": credentials})


def number(name: str, phone: str, friendly_name: str = "Before") -> Json:
    spec = {
        "phoneNumber": phone,
        "terminationUri": "sip.example.com",
        "friendlyName": friendly_name,
        "inboundAgentId": "agent_support",
        "sipPasswordSecretRef": {"name": "carrier"},
    }
    return in_wave(
        1, {"apiVersion": "byoc.talkifai.dev/v1alpha1", "kind": KIND, "metadata": {"name": name}, "spec": spec}
    )


def config_map(name: str) -> Json:
    return in_wave(
        2, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"needs": "numbers"}}
    )


def samples() -> list[Json]:
    """deploy/samples, Secrets before numbers.

    Without those that nothing may wait for: who observes has a plan, and the sealed one is of no cluster's key.
    """
    files = sorted(path for path in (ROOT / "deploy/samples").glob("*.yaml") if path.stem != "sealed")
    found = [thing for file in files for thing in yaml.safe_load_all(file.read_text()) if thing]
    return [
        in_wave(1 if thing["kind"] == KIND else 0, thing)
        for thing in found
        if thing.get("spec", {}).get("managementPolicy") != "Observe"
    ]


def crd() -> Json:
    """The CRD as our installation protects it: an Application that goes must not take all numbers of the cluster."""
    stored = in_wave(-1, yaml.safe_load((ROOT / "deploy/base/crd.yaml").read_text()))
    stored["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] = "Prune=false,Delete=false"
    return stored


def test_a_later_wave_waits_until_the_samples_work_in_livekit(platform: Platform) -> None:
    numbers = [thing for thing in samples() if thing["kind"] == KIND]
    assert len(numbers) >= 4
    platform.proxy.slow("CreateSIPOutboundTrunk", SLOW_S, times=len(numbers))
    with platform.application("samples", [crd(), *samples(), config_map("later")]) as application:
        application.sync()
        waiting = f"waiting for healthy state of byoc.talkifai.dev/{KIND}"
        application.until(lambda: waiting in application.operation()[1], "the sync waits for a number")
        assert platform.found("configmap", "later", "samples") is None
        application.until(lambda: application.operation()[0] == "Succeeded", "the sync is over")
        application.reaches("Synced", "Healthy")
        assert platform.found("configmap", "later", "samples")
        held = {thing["spec"]["phoneNumber"]: platform.sip.of(thing["spec"]["phoneNumber"]) for thing in numbers}
        assert all(each.outbound for each in held.values())
        for way in ("--server-side-diff=false", "--server-side-diff=true"):
            assert platform.argocd.cli("app", "diff", "samples", way).stdout == ""


def test_an_application_that_applies_on_the_server_stays_synced(platform: Platform) -> None:
    """Argo CD then compares by the schema of the CRD, and knows none of its defaults."""
    things = [secret(), number("server-side", "+12025550105")]
    with platform.application("server-side", things, options=["ServerSideApply=true"]) as application:
        application.sync()
        application.reaches("Synced", "Healthy")
        application.look_again()
        assert application.state() == ("Synced", "Healthy")


def test_a_stalled_number_fails_the_sync_that_waits_for_it(platform: Platform) -> None:
    orphan = number("orphan", "+12025550101")  # its Secret is not in Git
    with platform.application("stalled", [orphan, config_map("later")]) as application:
        application.sync()
        application.until(lambda: application.operation()[0] == "Failed", "the sync has failed")
        application.reaches("OutOfSync", "Degraded")
        assert platform.found("configmap", "later", "stalled") is None


def test_a_plan_of_a_number_that_observes_suspends_the_application(platform: Platform) -> None:
    watched = number("watched", "+12025550102")
    watched["spec"]["managementPolicy"] = "Observe"
    with platform.application("observes", [secret(), watched]) as application:
        application.sync()
        application.reaches("Synced", "Suspended")
        assert platform.sip.of("+12025550102").counts == (0, 0, 0)


def test_a_change_in_git_reaches_livekit(phones: Application) -> None:
    phones.git.commit([secret(), number("main", "+12025550100", "After")])
    phones.look_again()
    phones.until(lambda: phones.platform.sip.of("+12025550100").outbound[0].name == "After", "LiveKit has the new name")
    phones.reaches("Synced", "Healthy")


def test_an_edit_with_kubectl_is_undone(phones: Application) -> None:
    before = phones.number("main")["spec"]
    edit = '{"spec": {"terminationUri": "elsewhere.example.com"}}'
    phones.platform.bed.kubectl("patch", KIND, "main", "-n", "lines", "--type=merge", "-p", edit)
    phones.until(lambda: phones.number("main")["spec"] == before, "Git's spec is back")
    phones.until(
        lambda: phones.platform.sip.of("+12025550100").outbound[0].address == "sip.example.com", "LiveKit is as in Git"
    )
    phones.reaches("Synced", "Healthy")


def test_the_refresh_action_replaces_in_place_and_leaves_the_application_synced(phones: Application) -> None:
    before = phones.platform.sip.of("+12025550100")
    phones.act("refresh", "main")
    phones.until(lambda: handled(phones.number("main"), "lastHandledRefresh"), "the refresh is done")
    after = phones.platform.sip.of("+12025550100")
    assert after.ids == before.ids
    assert after.bytes != before.bytes
    phones.look_again()
    phones.reaches("Synced", "Healthy")
    assert handled(phones.number("main"), "lastHandledRefresh"), "Argo CD has not taken the annotation away"


def test_the_recreate_action_makes_new_objects(phones: Application) -> None:
    before = phones.platform.sip.of("+12025550100").ids
    phones.act("recreate", "main")
    phones.until(lambda: handled(phones.number("main"), "lastHandledRecreate"), "the recreation is done")
    after = phones.platform.sip.of("+12025550100").ids
    assert len(after) == len(before) == 3
    assert set(after).isdisjoint(before)
    phones.look_again()
    phones.reaches("Synced", "Healthy")


def test_pause_and_resume_suspend_the_application_and_bring_it_back(phones: Application) -> None:
    phones.act("pause", "main")
    phones.reaches("Synced", "Suspended")
    phones.act("resume", "main")
    phones.reaches("Synced", "Healthy")


def test_deleting_the_application_empties_livekit_before_the_earlier_waves_go(platform: Platform) -> None:
    numbers = [number("one", "+12025550103"), number("two", "+12025550104")]
    with platform.application("short-lived", [crd(), secret(), *numbers]) as application:
        application.sync()
        application.reaches("Synced", "Healthy")
        assert platform.sip.of("+12025550103").counts == platform.sip.of("+12025550104").counts == (1, 1, 1)
        platform.proxy.slow("DeleteSIPTrunk", 2, times=2)
        platform.bed.kubectl("delete", "application", "short-lived", "-n", NAMESPACE, "--wait=false")
        application.until(lambda: "deletionTimestamp" in application.number("two")["metadata"], "numbers are deleted")
        carrier = platform.found("secret", "carrier", "short-lived")
        assert carrier
        assert "deletionTimestamp" not in carrier["metadata"]
    assert platform.found("secret", "carrier", "short-lived") is None
    assert platform.sip.of("+12025550103").counts == platform.sip.of("+12025550104").counts == (0, 0, 0)
    assert platform.found("crd", "byocphonenumbers.byoc.talkifai.dev", "default")


def handled(found: Json, answer: str) -> bool:
    """Whether the status repeats the value of the annotation `refresh` or `recreate`."""
    wish = answer.removeprefix("lastHandled").lower()
    asked = found["metadata"].get("annotations", {}).get(f"byoc.talkifai.dev/{wish}")
    return asked is not None and found["status"].get(answer) == asked


def test_the_charts_config_map_is_merged_by_the_command_in_the_docs(platform: Platform, tmp_path: Path) -> None:
    values = ("--set", "livekit.url=wss://livekit.example.com", "--set", "argocd.customizations.enabled=true")
    only = ("--show-only", "templates/argocd-customizations.yaml")
    chart = str(ROOT / "helm/byoc-operator")
    rendered = subprocess.run(
        [str(tools.find(tools.HELM)), "template", "byoc-operator", chart, *values, *only],
        env=clean_environment() | {"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    platform.bed.kubectl("apply", "-f", "-", stdin=rendered)
    snippet = yaml.safe_load((ROOT / "deploy/argocd/argocd-cm.yaml").read_text())["data"]
    without = json.dumps({"data": {**dict.fromkeys(snippet), "timeout.reconciliation": "180s"}})
    platform.bed.kubectl("patch", "configmap", "argocd-cm", "-n", NAMESPACE, "--type=merge", "-p", without)
    (line,) = [line for line in (ROOT / "docs/argocd.md").read_text().splitlines() if "kubectl patch configmap" in line]
    (tmp_path / "kubectl").symlink_to(tools.find(tools.KUBECTL))
    environment = clean_environment() | {"KUBECONFIG": str(platform.bed.kubeconfig), "HOME": str(tmp_path)}
    environment["PATH"] = f"{tmp_path}:{environment['PATH']}"
    subprocess.run(["bash", "-ec", line], env=environment, check=True, timeout=30)  # noqa: S607 - from PATH
    assert settings(platform) == {**snippet, "timeout.reconciliation": "180s"}


def test_an_application_adds_our_keys_to_argo_cds_settings_and_leaves_them_when_it_goes(platform: Platform) -> None:
    snippet = yaml.safe_load((ROOT / "deploy/argocd/argocd-cm.yaml").read_text())
    options = {"argocd.argoproj.io/sync-options": "ServerSideApply=true,Prune=false,Delete=false"}
    snippet["metadata"]["annotations"] = options
    others = '{"data": {"timeout.reconciliation": "170s"}}'
    platform.bed.kubectl("patch", "configmap", "argocd-cm", "-n", NAMESPACE, "--type=merge", "-p", others)
    wanted = {**snippet["data"], "timeout.reconciliation": "170s"}
    with platform.application("settings", [snippet]) as application:
        application.sync()
        application.until(lambda: application.operation()[0] == "Succeeded", "synced")
        application.reaches("Synced", "Healthy")
        assert settings(platform) == wanted
    assert settings(platform) == wanted


def settings(platform: Platform) -> Json:
    """The data of argocd-cm."""
    found = platform.found("configmap", "argocd-cm", NAMESPACE)
    assert found is not None
    data: Json = found["data"]
    return data


def test_the_example_installs_the_operator_then_its_number_and_asks_before_it_prunes(platform: Platform) -> None:
    example = yaml.safe_load((ROOT / "deploy/argocd/application.yaml").read_text())
    chart, folder = example["spec"]["sources"]
    application = Application(platform, example["metadata"]["name"], platform.git_folder("example-phones"))
    charts = platform.git_folder("example-chart")
    shutil.copytree(ROOT / chart["path"], charts.path / chart["path"])
    shutil.copytree(ROOT / "deploy/argocd/phones", application.git.path, dirs_exist_ok=True)
    for git in (charts, application.git):
        git.commit_files()
    chart["repoURL"], folder["repoURL"] = charts.url, application.git.url
    with scheduling(platform.bed):
        platform.bed.kubectl("apply", "-f", "-", stdin=json.dumps(example))
        application.reaches("Synced", "Healthy")
        made = platform.found(KIND, "main-support", "voice")
        deployment = platform.found("deployment", "byoc-operator", "byoc-system")
        assert made
        assert deployment
        available = {each["type"]: each["lastTransitionTime"] for each in deployment["status"]["conditions"]}
        assert available["Available"] <= made["metadata"]["creationTimestamp"]
        (application.git.path / "main-support.yaml").unlink()
        application.git.commit_files()
        application.look_again()
        application.until(lambda: "confirm" in application.operation()[1], "the prune waits for a person")
        assert platform.found(KIND, "main-support", "voice")
        platform.argocd.cli("app", "confirm-deletion", application.name)
        application.until(lambda: platform.found(KIND, "main-support", "voice") is None, "the number is gone")
        assert platform.sip.of("+12025550123").counts == (0, 0, 0)
        application.abandon()
