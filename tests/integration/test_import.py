"""`kubectl byoc import` on the real LiveKit: what is adopted from its manifests changes nothing but names and marks."""

import json
import subprocess
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration
from livekit.protocol.sip import (
    SIPDispatchRule,
    SIPDispatchRuleDirect,
    SIPDispatchRuleIndividual,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
)

from integration.deployment import Deployment
from integration.scene import Scene, fresh_number
from integration.sealed import EXECUTABLE
from integration.sip import plain
from integration.test_liveness import ADOPTING
from testbed.process import clean_environment

COUNT = 58
"""Numbers; one in four places calls only, so that they have 101 trunks."""
CALLERS = len([index for index in range(COUNT) if index % 5 == 0 and index % 4])
NAMES_THE_OBJECT = ("agentId", "phoneNumber", "direction", "namespace", "name")


def _varied(scene: Scene, index: int, phone: str) -> None:
    """One number as somebody made it by hand.

    Every fourth places calls only, every third has credentials. Callers of every fifth must prove credentials of their
    own, and those of every eleventh what the outbound trunk proves.
    """
    signed = index % 3 == 0
    asked = f"caller-{index}" if index % 5 == 0 else f"user-{index}" if signed and index % 11 == 0 else ""
    media = index % 3  # not set, as in old trunks; disabled; allowed
    scene.sip.create_outbound(
        SIPOutboundTrunkInfo(
            name=f"Office {index % 5}",
            metadata="theirs" if index % 7 == 0 else "",
            address=["sip.example.com", "a.pstn.twilio.com", "sip.telnyx.com:5060"][index % 3],
            transport=index % 3 + 1,  # type: ignore[arg-type]
            numbers=[phone],
            headers={"X-Account": str(index)} if index % 2 else {},
            media_encryption=media,  # type: ignore[arg-type]
            auth_username=f"user-{index}" if signed else "",
            auth_password=f"password-{index}" if signed else "",
        )
    )
    if index % 4 == 0:
        return
    trunk = scene.sip.create_inbound(
        SIPInboundTrunkInfo(
            name=f"Office {index % 5}",
            numbers=[phone],
            allowed_addresses=["192.0.2.0/24"] if index % 2 else [],
            krisp_enabled=index % 5 == 0,
            auth_username=asked,
            auth_password=asked.replace("caller", "password-of-caller").replace("user", "password"),
            media_encryption=media,  # type: ignore[arg-type]
        )
    )
    metadata = json.dumps({"tier": "gold", "agentId": "agent_support"}) if index % 2 else ""
    scene.sip.create_rule(
        SIPDispatchRuleInfo(
            name=f"rule {index}",
            trunk_ids=[trunk],
            rule=SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix="call-")),
            room_config=RoomConfiguration(agents=[RoomAgentDispatch(agent_name="agent_support", metadata=metadata)]),
        )
    )


def _told(message: Message) -> dict[str, Any]:
    """An object as LiveKit has it, without names and marks, and with one form for what is not set."""
    found = {key: value for key, value in plain(message).items() if key not in ("name", "metadata", "media")}
    text = json.dumps(found, sort_keys=True)
    told: dict[str, Any] = json.loads(text)
    for agent in (told.get("room_config") or {}).get("agents", []):
        metadata = json.loads(agent.pop("metadata", "") or "{}")
        agent["metadata"] = {key: each for key, each in metadata.items() if key not in NAMES_THE_OBJECT}
    return {key: each for key, each in told.items() if each not in ({}, [], "", None)}


def _all(scene: Scene, phones: list[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for phone in phones:
        held = scene.held(phone)
        found |= {trunk.sip_trunk_id: _told(trunk) for trunk in held.outbound}
        found |= {trunk.sip_trunk_id: _told(trunk) for trunk in held.inbound}
        for rule in held.rules:
            found[rule.sip_dispatch_rule_id] = _told(rule)
    return found


def _import(scene: Scene, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command with LiveKit's key in the environment."""
    livekit = scene.bed.livekit
    ours = {
        "KUBECONFIG": str(scene.bed.kubeconfig),
        "HOME": str(scene.bed.directory),
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": livekit.key,
        "LIVEKIT_API_SECRET": livekit.secret,
    }
    return subprocess.run(
        [str(EXECUTABLE), "import", "-n", scene.namespace, *args],
        capture_output=True,
        text=True,
        env=clean_environment() | ours,
        timeout=120,
        check=False,
    )


def test_what_is_imported_changes_only_names_and_marks(stage: Scene, deployment: Deployment, tmp_path: Path) -> None:
    scene = stage
    deployment.ensure(ADOPTING)
    phones = [fresh_number() for _ in range(COUNT)]
    for index, phone in enumerate(phones):
        _varied(scene, index, phone)
    odd = fresh_number()
    scene.sip.create_outbound(SIPOutboundTrunkInfo(address="sip.example.com", transport=1, numbers=[odd]))  # type: ignore[arg-type]
    trunk = scene.sip.create_inbound(SIPInboundTrunkInfo(name="odd", numbers=[odd]))
    direct = SIPDispatchRule(dispatch_rule_direct=SIPDispatchRuleDirect(room_name="lobby", pin="1234"))
    rule = scene.sip.create_rule(SIPDispatchRuleInfo(name="odd", trunk_ids=[trunk], rule=direct))
    before = _all(scene, phones)
    assert len(scene.sip.inbound()) + len(scene.sip.outbound()) >= 100
    done = _import(scene, "--all", "-o", str(tmp_path / "numbers"))
    assert done.returncode == 0, done.stderr
    assert f"imported {COUNT}, left 3 objects" in done.stderr, done.stderr
    assert f"not imported: dispatch rule {rule} (odd): it puts all calls into one room" in done.stderr
    assert not any(f"password-{index}" in done.stdout + done.stderr for index in range(COUNT))
    written = "".join(path.read_text() for path in (tmp_path / "numbers").iterdir())
    assert "password-" not in written, "sealed"
    assert written.count("credentialsSecretRef:") == CALLERS
    scene.kubectl("apply", "-f", str(tmp_path / "numbers"))
    scene.all_ready(COUNT, within_s=120)
    scene.after_a_sweep()
    assert _all(scene, phones) == before
    again = _import(scene, "--all")
    assert (again.stdout, "imported 0, left 3 objects" in again.stderr) == ("", True), again.stderr
