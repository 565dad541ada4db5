"""A real Argo CD syncs numbers from Git, with our health check and actions, and the operator brings them to LiveKit."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from install.argocd import KIND, ROOT, Application, Json, Platform, config_map, in_wave, number, secret
from testbed import tools
from testbed.argocd_parts import NAMESPACE
from testbed.process import clean_environment
from testbed.scheduling_parts import scheduling

SLOW_S = 3
"""Long enough for Argo CD to look at a number that is not ready, shorter than the operator waits for LiveKit (10 s)."""


@pytest.fixture(scope="module")
def phones(platform: Platform) -> Iterator[Application]:
    """An Application with one number, synced by itself and healthy."""
    with platform.application("lines", [secret(), number("main", "+12025550100")], automated=True) as application:
        application.reaches("Synced", "Healthy")
        yield application


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
