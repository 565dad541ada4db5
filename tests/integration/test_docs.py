"""What the documentation shows works: manifests, the commands of daily life, the example that dials out."""

import asyncio
import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from kubernetes.client import CustomObjectsApi
from kubernetes.config import new_client_from_config
from livekit import api
from livekit.protocol.room import ListRoomsRequest
from livekit.protocol.sip import CreateSIPParticipantRequest

from byoc_operator.generate.reference import metrics
from integration.deployment import Deployment
from integration.scene import Scene, findings, recorded
from testbed import tools
from testbed.bed import Bed
from testbed.part import free_port
from testbed.process import clean_environment

ROOT = Path(__file__).parents[2]
DIAL_OUT = ROOT / "docs" / "dial_out.py"
SAMPLES = sorted((ROOT / "deploy" / "samples").glob("*.yaml"))
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
_YAML_BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_TO = "+442079460123"
_SOME_TIME = "2026-01-01T00:00:00Z"


def _manifests() -> Mapping[str, str]:
    """All YAML that the repository shows: text by where it stands."""
    samples = {path.name: path.read_text() for path in SAMPLES}
    blocks = {
        f"{page.name} block {index}": block
        for page in PAGES
        for index, block in enumerate(_YAML_BLOCK.findall(page.read_text()), 1)
    }
    return samples | blocks


MANIFESTS = _manifests()


@pytest.fixture(scope="module")
def voice(installed: Bed) -> Iterator[Bed]:
    """The bed with the namespace that the samples name."""
    installed.kubectl("create", "namespace", "voice")
    yield installed
    installed.kubectl("delete", "namespace", "voice", "--wait=false")


@pytest.fixture(scope="module")
def dial_out() -> ModuleType:
    """docs/dial_out.py."""
    spec = importlib.util.spec_from_file_location("dial_out", DIAL_OUT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["dial_out"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def numbers(bed: Bed) -> Iterator[CustomObjectsApi]:
    """A client of the API server as an application has it."""
    with new_client_from_config(str(bed.kubeconfig)) as client:  # type: ignore[no-untyped-call]
        yield CustomObjectsApi(client)


def test_there_is_yaml_to_try() -> None:
    assert len(SAMPLES) == 11
    assert "README.md block 1" in MANIFESTS


@pytest.mark.parametrize("where", MANIFESTS)
def test_a_manifest_is_accepted_by_the_api_server(voice: Bed, where: str) -> None:
    done = voice.kubectl("apply", "--dry-run=server", "-f", "-", stdin=MANIFESTS[where], check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "created (server dry run)" in done.stdout


@pytest.mark.parametrize("where", MANIFESTS)
def test_a_manifest_is_for_the_namespace_voice_and_its_secret_is_watched(where: str) -> None:
    documents = list(yaml.safe_load_all(MANIFESTS[where]))
    assert {document["metadata"]["namespace"] for document in documents} == {"voice"}
    secrets = [document for document in documents if document["kind"] == "Secret"]
    assert [secret["metadata"]["labels"] for secret in secrets] == [
        {"byoc.talkifai.dev/sip-credentials": "true"} for _ in secrets
    ]


def test_the_samples_become_what_they_promise(scene: Scene) -> None:
    for sample in SAMPLES:
        scene.kubectl("apply", "-f", "-", stdin=_moved(sample.read_text(), scene.namespace))
    both, outbound_only = 3, 1
    assert len(recorded(scene.ready("main-support"))) == both
    assert len(recorded(scene.ready("london-office"))) == both
    assert len(recorded(scene.ready("berlin-hotline"))) == both
    assert len(recorded(scene.ready("campaign"))) == outbound_only
    for name in ("austin-office", "mumbai-support", "switchboard", "helpdesk"):
        assert len(recorded(scene.ready(name))) == both
    assert recorded(scene.told("ChangesPending", "trial")) == ()
    scene.told("SealingKeyUnknown", "sealed")  # until it is sealed with the keys of this cluster
    told = {number["metadata"]["name"]: findings(number) for number in scene.all()}
    assert told == {
        "main-support": ["CredentialsPlainText"],
        "london-office": ["CredentialsPlainText"],
        "berlin-hotline": ["MediaNotEncrypted"],
        "campaign": ["NoInboundAgent", "CredentialsPlainText"],
        "trial": ["CredentialsPlainText"],
        "sealed": [],
        "austin-office": ["InboundOpen", "CredentialsPlainText"],
        "mumbai-support": ["InboundOpen", "CredentialsPlainText"],
        "switchboard": ["MediaNotEncrypted", "TransportNotEncrypted"],
        "helpdesk": ["CredentialsPlainText"],
        "recorded": ["CredentialsPlainText", "RecordingOn"],
    }


def test_all_numbers_of_the_cluster_are_refreshed_by_the_command_in_the_docs(scene: Scene) -> None:
    scene.numbers(3)
    before = {recorded(number) for number in scene.all_ready(3)}
    scene.bed.kubectl("annotate", "bpn", "--all", "-A", "--overwrite", "byoc.talkifai.dev/refresh=today")
    scene.until(
        lambda: {number["status"].get("lastHandledRefresh") for number in scene.all()} == {"today"}, "all answered"
    )
    assert {recorded(number) for number in scene.all()} == before


def test_every_metric_of_the_running_operator_is_in_the_reference(deployment: Deployment, scene: Scene) -> None:
    scene.number()
    scene.ready()
    served = {_metric(sample) for sample in deployment.process.metrics() if sample.startswith("byoc_")}
    documented = {row.split("`")[1] for row in metrics().splitlines() if row.startswith("| `")}
    assert served - documented == set()


def test_the_example_reads_trunk_and_agent_and_would_send_the_right_requests(
    scene: Scene, dial_out: ModuleType, numbers: CustomObjectsApi
) -> None:
    phone = scene.number(outboundAgentId="agent_sales")
    number = scene.ready()
    call = dial_out.plan_call(dial_out.find_number(numbers, phone, scene.namespace), _TO)
    room = call.phone.room_name
    assert room.startswith("outbound-")
    assert call.phone == CreateSIPParticipantRequest(
        sip_trunk_id=number["status"]["outboundTrunkId"],
        sip_call_to=_TO,
        room_name=room,
        participant_identity=f"sip_{_TO}",
        wait_until_answered=True,
    )
    (agent,) = call.room.agents
    assert json.loads(agent.metadata) == {
        "agentId": "agent_sales",
        "phoneNumber": phone,
        "direction": "outbound",
        "namespace": scene.namespace,
        "name": "a",
        "to": _TO,
    }
    assert (call.room.name, agent.agent_name) == (room, "agent_sales")


def test_the_example_calls_nobody_while_no_agent_comes(
    scene: Scene, dial_out: ModuleType, numbers: CustomObjectsApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test bed has no agents. A real LiveKit makes the room, lists who is in it, and closes it."""
    phone = scene.number(outboundAgentId="agent_sales")
    scene.ready()
    for name, value in scene.bed.livekit_environment().items():
        monkeypatch.setenv(name, value)
    call = dial_out.plan_call(dial_out.find_number(numbers, phone, scene.namespace), _TO)
    with pytest.raises(dial_out.CannotDial, match="no agent came within 1 s"):
        asyncio.run(dial_out.dial(call, 1))
    assert call.phone.room_name not in asyncio.run(_rooms(scene.bed)), "the agent's room is still there"


def test_the_example_tells_an_api_server_that_is_away_or_refuses(scene: Scene, tmp_path: Path) -> None:
    away = yaml.safe_load(scene.bed.kubeconfig.read_text())
    away["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{free_port()}"
    (tmp_path / "away").write_text(yaml.safe_dump(away))
    refused = yaml.safe_load(scene.bed.kubeconfig.read_text())
    refused["users"][0]["user"] = {"token": "nobody"}
    (tmp_path / "refused").write_text(yaml.safe_dump(refused))
    for name, told in (("away", "the API server does not answer"), ("refused", "the API server refuses to list")):
        done = _dial_out(scene, "--from", "+12025550123", "--to", _TO, "--dry-run", kubeconfig=tmp_path / name)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
        assert told in done.stderr


def test_the_dry_run_of_the_example_shows_the_requests(scene: Scene) -> None:
    phone = scene.number(outboundAgentId="agent_sales")
    number = scene.ready()
    done = _dial_out(scene, "--from", phone, "--to", _TO, "--agent-name", "everyone", "--dry-run")
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    assert shown["sipParticipant"]["sipTrunkId"] == number["status"]["outboundTrunkId"]
    assert shown["room"]["agents"][0]["agentName"] == "everyone"


def test_the_example_says_why_there_is_no_call(scene: Scene) -> None:
    nobody = _dial_out(scene, "--from", "+12025550199", "--to", _TO, "--dry-run")
    told = f"no ByocPhoneNumber in namespace {scene.namespace} has the number +12025550199\n"
    assert (nobody.returncode, nobody.stderr) == (1, told)
    silent = scene.number("silent")
    scene.ready("silent")
    without_agent = _dial_out(scene, "--from", silent, "--to", _TO, "--dry-run")
    assert "set spec.outboundAgentId" in without_agent.stderr
    stuck = scene.number("stuck", outboundAgentId="agent_sales", sipPasswordSecretRef={"name": "absent"})
    scene.told("SecretNotFound", "stuck")
    without_trunk = _dial_out(scene, "--from", stuck, "--to", _TO, "--dry-run")
    assert "is Ready (stuck: SecretNotFound: " in without_trunk.stderr


def test_a_number_of_another_namespace_is_never_dialled(scene: Scene, dial_out: ModuleType) -> None:
    """Not even where the own one is not there."""
    phone = scene.number(outboundAgentId="agent_sales")
    scene.ready()
    elsewhere = _dial_out(scene, "--from", phone, "--to", _TO, "--dry-run", namespace="default")
    assert (elsewhere.returncode, elsewhere.stdout) == (1, "")
    assert f"no ByocPhoneNumber in namespace default has the number {phone}" in elsewhere.stderr
    with pytest.raises(SystemExit):
        dial_out.main(["--from", phone, "--to", _TO, "--dry-run"])


def test_a_claimant_changes_nothing_for_the_look_ups(scene: Scene) -> None:
    phone = scene.number(outboundAgentId="agent_sales")
    trunk = scene.ready()["status"]["outboundTrunkId"]
    scene.number("claimant", phoneNumber=phone, outboundAgentId="agent_other")
    scene.told("NumberClaimed", "claimant")
    shown = json.loads(_dial_out(scene, "--from", phone, "--to", _TO, "--dry-run").stdout)
    assert shown["sipParticipant"]["sipTrunkId"] == trunk
    looked_up = _look_up(scene, phone)
    assert (looked_up.returncode, looked_up.stdout.strip()) == (0, trunk)


def test_the_look_up_of_the_readme_refuses_none_and_two(scene: Scene) -> None:
    phone = scene.number("one")
    scene.ready("one")
    scene.change("one", managementPolicy="Observe")
    scene.ready("one")
    scene.deployment.stop()
    scene.number("two", phoneNumber=phone)
    ready = {"type": "Ready", "status": "True", "reason": "Synced", "message": "", "lastTransitionTime": _SOME_TIME}
    status = json.dumps({"status": {"outboundTrunkId": "ST_two", "conditions": [ready], "observedGeneration": 1}})
    scene.kubectl("patch", "bpn", "two", "--subresource=status", "--type=merge", "-p", status)
    for phone_number in (phone, "+12025550199"):
        looked_up = _look_up(scene, phone_number)
        assert (looked_up.returncode, looked_up.stdout) == (1, "")
    several = _dial_out(scene, "--from", phone, "--to", _TO, "--dry-run")
    assert several.stderr == (
        f"several ByocPhoneNumbers in namespace {scene.namespace} have the number {phone}: one, two\n"
    )


def _look_up(scene: Scene, phone: str) -> subprocess.CompletedProcess[str]:
    """The README's command, for this namespace and number."""
    section = (ROOT / "README.md").read_text().partition("\n## Calls out\n")[2]
    command = section.partition("```sh\n")[2].partition(".venv/bin/python")[0]
    command = command.replace("-n voice", f"-n {scene.namespace}").replace("+12025550123", phone)
    command = command.replace("kubectl", str(tools.find(tools.KUBECTL)))
    environment = clean_environment() | {"KUBECONFIG": str(scene.bed.kubeconfig)}
    return subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, check=False)


def _dial_out(
    scene: Scene, *args: str, namespace: str = "", kubeconfig: Path | None = None
) -> subprocess.CompletedProcess[str]:
    environment = clean_environment() | {"KUBECONFIG": str(kubeconfig or scene.bed.kubeconfig)}
    command = [sys.executable, str(DIAL_OUT), "--namespace", namespace or scene.namespace, *args]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)


async def _rooms(bed: Bed) -> list[str]:
    """Names of LiveKit's rooms."""
    variables = bed.livekit_environment()
    url, key, secret = variables["LIVEKIT_URL"], variables["LIVEKIT_API_KEY"], variables["LIVEKIT_API_SECRET"]
    async with api.LiveKitAPI(url, key, secret) as livekit:
        return [room.name for room in (await livekit.room.list_rooms(ListRoomsRequest())).rooms]


def _moved(text: str, namespace: str) -> str:
    """A sample for another namespace."""
    documents: list[dict[str, Any]] = list(yaml.safe_load_all(text))
    for document in documents:
        document["metadata"]["namespace"] = namespace
    return yaml.safe_dump_all(documents)


def _metric(sample: str) -> str:
    """The metric that a sample belongs to; a counter's or histogram's time of creation is a sample of its own."""
    name = re.sub(r"_(bucket|sum|count)$", "", sample.partition("{")[0])
    if name.endswith("_seconds_created"):
        return name.removesuffix("_created")
    return re.sub(r"_created$", "_total", name)
