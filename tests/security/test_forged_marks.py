"""An attacker with LiveKit's key and without rights in the cluster cannot stop a number by writing to LiveKit."""

import json
import secrets
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from livekit.protocol.sip import SIPDispatchRuleInfo, SIPInboundTrunkInfo, SIPOutboundTrunkInfo

from integration.deployment import INSTALLATION
from integration.scene import Scene, condition, fresh_number, recorded
from security.tenant import serves_others

MB = "x" * 1_000_000
MEMORY_MB = 120
"""How much more the process may have than before; unbounded, these attacks cost several times as much."""


def forged(owner: str) -> str:
    """A mark as the operator writes it. JSON can name half a character, which no other text can hold."""
    return json.dumps({"managedBy": "byoc-operator", "owner": owner, "deletionPolicy": "Delete"})


def stray(metadata: str, headers: Mapping[str, str] | None = None) -> SIPOutboundTrunkInfo:
    """An outbound trunk with a number of its own."""
    return SIPOutboundTrunkInfo(
        name="stray", address="sip.example.net", numbers=[fresh_number()], metadata=metadata, headers=headers
    )


OWNERS = {
    "surrogate namespace": f"{INSTALLATION}/\ud800/x",
    "surrogate name": f"{INSTALLATION}/voice/\udfff",
    "megabyte": f"{INSTALLATION}/voice/{MB}",
    "wildcards": f"{INSTALLATION}/*/*",
    "terminal": f"{INSTALLATION}/voice/\x1b[2J\u202e",
    "path": f"{INSTALLATION}/voice/..",
}


@pytest.mark.parametrize("owner", OWNERS.values(), ids=OWNERS)
def test_a_mark_that_names_nobody_is_none(scene: Scene, owner: str) -> None:
    trunk = scene.sip.create_outbound(stray(forged(owner)))
    rule_name = f"byoc:{owner}".encode(errors="replace").decode()
    inbound = scene.sip.create_inbound(
        SIPInboundTrunkInfo(name="stray", numbers=[fresh_number()], metadata=forged(owner))
    )
    rule = SIPDispatchRuleInfo(name=rule_name, trunk_ids=[inbound])
    rule.rule.dispatch_rule_individual.room_prefix = "stray-"
    rule_id = scene.sip.create_rule(rule)
    try:
        scene.after_a_sweep()
        serves_others(scene, "others")
        metrics = scene.deployment.process.metrics()
        assert metrics["byoc_orphans"] == 0
        assert sum(value for name, value in metrics.items() if name.startswith("byoc_sweep_bugs_total")) == 0
        assert not _hidden(scene.deployment.process.log_text())
    finally:
        scene.sip.delete(rule_id, inbound, trunk)


def test_a_thousand_marks_of_namespaces_that_do_not_exist(scene: Scene) -> None:
    trunks = [stray(forged(f"{INSTALLATION}/gone-{secrets.token_hex(4)}/main")) for _ in range(1000)]
    before = scene.deployment.process.rss_mb()
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(scene.sip.create_outbound, trunks))
    try:
        scene.until(lambda: scene.deployment.process.metrics()["byoc_orphans"] == len(ids), "they are found", 20)
        scene.after_a_sweep()
        serves_others(scene, "others")
        assert scene.deployment.process.rss_mb() - before < MEMORY_MB
        longest = max(map(len, scene.deployment.process.log_text().splitlines()))
        assert longest < 10_000
    finally:
        scene.sip.delete(*ids)


def test_objects_of_absurd_length(scene: Scene) -> None:
    before = scene.deployment.process.rss_mb()
    numbers = [f"+1555{each:05d}" for each in range(80_000)]
    ids = [
        scene.sip.create_inbound(SIPInboundTrunkInfo(name="crowd", numbers=numbers)),
        scene.sip.create_outbound(stray(MB)),
        scene.sip.create_outbound(stray(forged(f"{INSTALLATION}/voice/x") + " " * 1_000_000)),
        scene.sip.create_outbound(stray("", {f"X-{each}": "y" * 100 for each in range(5_000)})),
    ]
    try:
        scene.after_a_sweep()
        serves_others(scene, "others")
        assert scene.deployment.process.rss_mb() - before < MEMORY_MB
        assert scene.deployment.process.metrics()["byoc_livekit_unreadable"] >= 1
    finally:
        scene.sip.delete(*ids)


def test_a_trunk_of_ours_that_somebody_blew_up_is_put_right(scene: Scene) -> None:
    phone = scene.number()
    ids = recorded(scene.ready())
    trunk = scene.held(phone).outbound[0]
    clean = trunk.name
    trunk.name = MB
    trunk.headers.update({f"X-{each}": "y" for each in range(1000)})
    scene.sip.put_outbound(trunk)
    scene.until(lambda: [each.name for each in scene.held(phone).outbound] == [clean], "it is put right")
    assert not scene.held(phone).outbound[0].headers
    number = scene.ready()
    assert recorded(number) == ids
    assert condition(number)["reason"] == "Synced"
    scene.one_each([phone])


def _hidden(text: str) -> set[str]:
    """Characters of a log that nobody can see, ends of lines apart."""
    return {each for each in text if not each.isprintable() and each != "\n"}
