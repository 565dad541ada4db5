"""Hostile objects in LiveKit: the operator goes on sweeping, and prints visible characters only."""

import itertools
import json
import logging
import secrets
import unicodedata
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from livekit.protocol.sip import SIPDispatchRuleInfo, SIPInboundTrunkInfo, SIPOutboundTrunkInfo

from byoc_operator.core.masking import make_mask
from byoc_operator.core.ownership import Mark, Owner
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, SipObject
from byoc_operator.livekit_sip import convert
from byoc_operator.livekit_sip.listing import read, seen_as
from byoc_operator.telemetry.logs import _Json, _Text
from operated import NAME, NAMESPACE, PHONE, World
from virtual_time import in_virtual_time

MASK = make_mask(secrets.token_bytes(32))
MB = "x" * 1_000_000
characters = st.characters(codec=None, categories=None)
words = st.text(characters, max_size=12) | st.sampled_from(
    [
        "",
        "/",
        "*",
        "\ud800",
        "\x1b[2J",
        "\u202e",
        "\u2028",
        "[/foo]",
        "%s%n{}",
        "byoc-operator",
        NAMESPACE,
        MB,
        "é" * 600,
    ]
)
owners = st.builds(lambda *parts: "/".join(parts), st.sampled_from(["cluster-a", "*"]) | words, words, words) | words
marks = st.builds(
    lambda owner, agent, recreate, policy: json.dumps(
        {
            "managedBy": "byoc-operator",
            "owner": owner,
            "outboundAgentId": agent,
            "recreate": recreate,
            "deletionPolicy": policy,
        }
    ),
    owners,
    words,
    words,
    words,
)
strings = words.map(lambda text: text.encode(errors="replace").decode())
"""What a message can hold: halves of characters come in JSON only."""

metadata = marks | strings
numbers = st.lists(strings | st.just(PHONE), max_size=3).map(tuple)
headers = st.dictionaries(strings, strings, max_size=3)
texts = {"name": strings, "metadata": metadata, "numbers": numbers}
objects = st.one_of(
    st.builds(
        OutboundTrunk,
        **texts,
        address=strings,
        transport=st.just("TLS"),
        headers=headers,
        from_host=strings,
        destination_country=strings,
    ),
    st.builds(
        InboundTrunk,
        name=strings,
        metadata=metadata,
        numbers=st.lists(strings, min_size=1, max_size=3).map(tuple),
        allowed_addresses=numbers,
        allowed_numbers=numbers,
        headers_to_attributes=headers,
    ),
    st.builds(
        DispatchRule,
        name=strings | owners.map(lambda owner: "byoc:" + owner.encode(errors="replace").decode()),
        # One without a trunk is known to keep others from being made; see the finding ForeignWildcardRule.
        trunk_ids=st.lists(strings, min_size=1, max_size=3).map(tuple),
        room_prefix=strings,
        agent_name=strings,
        agent_metadata=strings,
    ),
)


def listed(made: SipObject, id: str) -> SipObject:
    """An object as the client hands it on: over the wire, and through its door."""
    if isinstance(made, OutboundTrunk):
        wire = convert.OUTBOUND.to_proto(made).SerializeToString()
        outbound = read(SIPOutboundTrunkInfo, memoryview(wire))
        trunk = convert.OUTBOUND.from_proto(outbound.info, MASK, lists_passwords=True)
        return replace(seen_as(id, trunk, outbound, len(wire)).value, id=id)
    if isinstance(made, InboundTrunk):
        wire = convert.INBOUND.to_proto(made).SerializeToString()
        inbound = read(SIPInboundTrunkInfo, memoryview(wire))
        accepting = convert.INBOUND.from_proto(inbound.info, MASK, lists_passwords=True)
        return replace(seen_as(id, accepting, inbound, len(wire)).value, id=id)
    wire = convert.RULE.to_proto(made).SerializeToString()
    rule = read(SIPDispatchRuleInfo, memoryview(wire))
    return replace(seen_as(id, convert.RULE.from_proto(rule.info, MASK), rule, len(wire)).value, id=id)


def strings_in(value: object) -> list[str]:
    """All texts of a JSON value."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*value, *itertools.chain(*map(strings_in, value.values()))]
    return list(itertools.chain(*map(strings_in, value))) if isinstance(value, list) else []


HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


class Lines(logging.Handler):
    """Every line as the operator writes it, in both forms."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += [_Json().format(record), *_Text().format(record).split("\n")]


def _by_itself(made: SipObject, count: int) -> SipObject:
    """LiveKit takes no two trunks with one number, and no two rules of one trunk."""
    if isinstance(made, InboundTrunk):
        return replace(made, numbers=tuple(f"{count}.{at}{each}" for at, each in enumerate(made.numbers, 1)))
    if isinstance(made, DispatchRule):
        return replace(made, trunk_ids=tuple(f"{count}.{at}{each}" for at, each in enumerate(made.trunk_ids)))
    return made


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],  # to shrink a megabyte takes minutes
)
@given(st.lists(objects, min_size=1, max_size=6), st.booleans())
def test_no_object_of_livekit_stops_the_operator_or_reaches_a_reader_as_it_is(
    made: list[SipObject],
    deletes: bool,  # noqa: FBT001 - drawn
) -> None:
    _swept(made, deletes=deletes)


@in_virtual_time
async def _swept(made: list[SipObject], *, deletes: bool) -> None:
    lines = Lines()
    logger = logging.getLogger("byoc_operator")
    before = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.DEBUG)
    try:
        world = await World.running(deletes_orphans=deletes)
        await world.apply()
        ours = world.ids()
        for count, each in enumerate(made):
            world.livekit.put(listed(_by_itself(each, count), f"ST_theirs{count}"))
        for _ in range(3):
            await world.sweep()
        await world.apply("other", phoneNumber="+15550100077")
        await world.sweep()
    finally:
        logger.removeHandler(lines)
        logger.setLevel(before)
    assert not world.engine.tasks.died.done()
    assert world.ready() == ("True", "Synced")
    assert world.ready("other") == ("True", "Synced")
    assert world.ids() == ours
    assert not any(line for line in lines.lines if "a bug" in line)
    told = [*lines.lines, *strings_in(json.loads(world.told()))]
    assert not {unicodedata.category(each) for text in told for each in text} & HIDDEN
    assert max(map(len, told)) < 10_000
    assert all(len(event["note"].encode()) <= 1024 for event in world.api.events)


@pytest.mark.parametrize("field", ["name", "metadata", "numbers"])
@in_virtual_time
async def test_an_object_of_ours_that_somebody_blew_up_is_put_right(field: str) -> None:
    world = await World.in_step()
    ours = world.ids()
    trunk = next(each for each in world.outbound() if each.id == ours[0])
    mark = {**json.loads(trunk.metadata), "junk": MB[:60_000]}
    changed: dict[str, dict[str, Any]] = {
        "name": {"name": MB},
        "metadata": {"metadata": json.dumps(mark)},
        "numbers": {"numbers": ("+1555",) * 5000},
    }
    plain = replace(trunk, username=None, password=None, **changed[field])
    world.livekit.edit(trunk.id, **{field: getattr(listed(plain, trunk.id), field)})
    await world.sweep()
    assert world.ready() == ("True", "Synced")
    assert world.ids() == ours
    assert world.outbound() == [trunk]


@in_virtual_time
async def test_a_thousand_marks_of_gone_namespaces_are_told_in_one_event() -> None:
    world = await World.in_step()
    for count in range(1000):
        mark = Mark(Owner("cluster-a", f"gone-{count}", "main")).dump()
        world.livekit.put(OutboundTrunk("stray", mark, "sip.example.com", "TLS", ("+15550100009",)))
    for _ in range(3):
        await world.sweep()
    assert world.ready() == ("True", "Synced")
    assert len(world.troubles) == 1
    assert len(world.troubles[0]) < 4000
    assert world.raw(NAME)["status"]["outboundTrunkId"]
