"""Somebody follows the tutorials: their own commands are run, in their order, and do what the pages say.

Left out is what needs a carrier, LiveKit Cloud or a node. `test_docs` tries the manifests of all pages.
"""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from livekit.protocol.sip import (
    SIPDispatchRule,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
)

from integration.commands import told_deployment, user_environment
from integration.scene import Scene, condition, findings, fresh_number, recorded
from integration.sealed import EXECUTABLE, has_keys
from testbed import tools

ROOT = Path(__file__).parents[2]
TUTORIALS = ROOT / "docs" / "tutorials"
_COMMANDS = re.compile(r"^( *)```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_NUMBER, _OTHER_NUMBER = "12025550123", "12025550188"
_USER, _PASSWORD = "trunk-user", "tutorial-Password-1"


class Reader:
    """Somebody with a shell in a folder, for whom the namespaces and numbers of the tutorials have other names."""

    def __init__(self, scene: Scene, folder: Path) -> None:
        self.scene = scene
        self.folder = folder
        self._names = {
            "voice": scene.namespace,
            "billing": f"{scene.namespace}-billing",
            _NUMBER: fresh_number().removeprefix("+"),
            _OTHER_NUMBER: fresh_number().removeprefix("+"),
        }
        samples = folder / "deploy" / "samples"
        samples.mkdir(parents=True)
        (samples / "twilio.yaml").write_text(self.own((ROOT / "deploy" / "samples" / "twilio.yaml").read_text()))
        (folder / "bin").mkdir()
        (folder / "bin" / "kubectl").symlink_to(tools.find(tools.KUBECTL))
        (folder / "bin" / "kubectl-byoc").symlink_to(EXECUTABLE)
        livekit = scene.bed.livekit_environment()
        self._environment = user_environment(scene.bed, **livekit) | {
            "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
            **{f"GIT_{who}_{what}": "reader" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
        }
        self.types("git init -q")

    def own(self, text: str) -> str:
        """The text with the reader's names."""
        return re.sub(rf"\b({'|'.join(self._names)})\b", lambda found: self._names[found[0]], text)

    def follows(self, page: str, heading: str, leaves_out: str = r"(?!)") -> str:
        """Run the commands below a heading of a page, without those that match; what they printed."""
        told = ""
        for indent, block in _COMMANDS.findall(_section(page, heading)):
            text = re.sub(r"\\\n\s*", "", re.sub(f"^{indent}", "", block, flags=re.MULTILINE))
            lines = [line for line in text.splitlines() if line and not re.search(leaves_out, line)]
            assert lines, f"{page}: nothing to do below {heading}"
            told += "".join(self.types(line) for line in lines)
        return told

    def types(self, line: str) -> str:
        """Run one line in bash; whoever asks for credentials gets them. Fails with what the line said."""
        done = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", self.own(line)],
            cwd=self.folder,
            env=self._environment,
            input=f"{_USER}\n{_PASSWORD}\n",
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        # A plan with changes ends with 6.
        fine = 6 if "byoc plan" in line else 0
        assert done.returncode == fine, f"{line}\n{done.stdout}{done.stderr}"
        assert _PASSWORD not in done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def reader(scene: Scene, tmp_path: Path) -> Iterator[Reader]:
    """Somebody in an empty namespace."""
    scene.until(lambda: has_keys(scene), "the keys are made")
    made = Reader(scene, tmp_path)
    yield made
    scene.bed.kubectl("delete", "bpn", "--all", "-n", made.own("billing"))
    scene.bed.kubectl("delete", "namespace", made.own("billing"), "--ignore-not-found", "--wait=false")


def test_the_first_number_is_ready_and_says_what_the_carrier_needs(reader: Reader) -> None:
    told = reader.follows("livekit-cloud.md", "4. Kubernetes: the number", leaves_out="create namespace")
    assert re.search(r"main-support +\+\d+ +True +Synced +agent_support", told)
    uri = reader.follows("livekit-cloud.md", "6. Twilio: where calls go")
    assert uri == "sip:sip.voice.example:5061;transport=tls"
    reader.follows("livekit-cloud.md", "9. Tidy up")
    assert reader.scene.sip.of(reader.own(f"+{_NUMBER}")).ids == ()


def test_passwords_in_git(reader: Reader) -> None:
    page, scene = "passwords-in-git.md", reader.scene
    reader.follows("livekit-cloud.md", "4. Kubernetes: the number", leaves_out="create namespace")
    ids = recorded(scene.ready("main-support"))
    reader.follows(page, "1. Save the keys")
    reader.follows(page, "2. Seal")
    assert "fernet:" in (reader.folder / "twilio-sip.yaml").read_text()
    reader.follows(page, "3. Commit and apply")
    scene.until(lambda: findings(scene.get("main-support")) == [], "the credentials are sealed")
    number = scene.ready("main-support")
    assert number["status"]["credentials"]["sealed"] is True
    assert recorded(number) == ids
    reader.follows(page, "4. See what it is good for")
    elsewhere = f"kubectl wait bpn main-support -n billing --for=jsonpath='{{{_REASON}}}'=SealedForAnotherUse"
    reader.types(f"{elsewhere} --timeout=30s")
    assert reader.scene.sip.of(reader.own(f"+{_OTHER_NUMBER}")).counts[0] == 0
    reader.types("kubectl delete bpn main-support -n billing && kubectl delete secret twilio-sip -n billing")
    reader.follows(page, "6. New keys")
    (trunk,) = (trunk for trunk in scene.sip.outbound() if trunk.numbers == [reader.own(f"+{_NUMBER}")])
    assert (trunk.auth_username, trunk.auth_password) == (_USER, _PASSWORD)


def test_moving_from_the_hosted_service_with_new_trunks(reader: Reader) -> None:
    page, scene = "hosted-service.md", reader.scene
    ids = _made_by_the_service(reader)
    reader.follows(page, "1. The passwords", leaves_out="create namespace")
    (block,) = _YAML.findall(_section(page, "2. The number, without a write"))
    (reader.folder / "number.yaml").write_text(reader.own(block))
    reader.types("kubectl apply -f number.yaml")
    assert ids[1] in condition(scene.told("NumberConflict", "main-support"), "Ready")["message"]
    scene.sip.delete(*ids)
    reader.follows(page, "Way A: new trunks")
    number = scene.ready("main-support")
    assert not set(recorded(number)) & set(ids)


def test_moving_from_the_hosted_service_by_taking_the_trunks_over(reader: Reader) -> None:
    page, scene = "hosted-service.md", reader.scene
    scene.deployment.ensure({"BYOC_ADOPTION": "Allow"})
    ids = _made_by_the_service(reader)
    with told_deployment(scene.bed, BYOC_ADOPTION="Allow"):
        told = reader.follows(page, "Way B: take the trunks over", leaves_out="kubectl delete bpn")
    assert "1 number: 1 changes" in told
    (number,) = scene.all_ready(1)
    assert set(recorded(number)) == set(ids)


_REASON = '.status.conditions[?(@.type=="Ready")].reason'


def _section(page: str, heading: str) -> str:
    text = (TUTORIALS / page).read_text("utf-8")
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"{page} has no heading {heading!r}"
    return found[1]


def _made_by_the_service(reader: Reader) -> tuple[str, str, str]:
    """The trunks and the rule of the hosted service, its key and its tokens; the IDs."""
    key = Fernet.generate_key()
    (reader.folder / "old.key").write_bytes(key)
    token = Fernet(key).encrypt(_PASSWORD.encode()).decode()
    (reader.folder / "tokens.jsonl").write_text(
        f'{{"name": "twilio-sip", "username": "{_USER}", "passwordToken": "{token}"}}\n'
    )
    phone, sip = reader.own(f"+{_NUMBER}"), reader.scene.sip
    outbound = sip.create_outbound(
        SIPOutboundTrunkInfo(
            name=phone,
            address="your-trunk.pstn.twilio.com",
            numbers=[phone],
            auth_username=_USER,
            auth_password=_PASSWORD,
            transport=3,  # type: ignore[arg-type] # TLS
        )
    )
    inbound = sip.create_inbound(SIPInboundTrunkInfo(name=phone, numbers=[phone]))
    rule = SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix="call-"))
    agents = RoomConfiguration(agents=[RoomAgentDispatch(agent_name="agent_support")])
    made = SIPDispatchRuleInfo(name="service", trunk_ids=[inbound], rule=rule, room_config=agents)
    return outbound, inbound, sip.create_rule(made)
