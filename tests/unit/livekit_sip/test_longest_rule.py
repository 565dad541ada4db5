"""The longest dispatch rule that a spec may ask for is read whole, so it is in step after it was written."""

from bisect import bisect_left
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.sip import SIPDispatchRuleInfo

from byoc_operator.api.rule_size import MAX_RULE_BYTES, oversized_rule
from byoc_operator.api.schema import PhoneNumberSpec
from byoc_operator.api.validation import problems
from byoc_operator.livekit_sip import convert
from byoc_operator.livekit_sip.listing import MAX_OBJECT_BYTES, read, seen_as
from strategies import MASK, PHONE, wanted

BASE = {"phoneNumber": PHONE, "terminationUri": "sip.example.com", "inboundAgentId": "agent"}
CHARACTERS = ("x", "é", "\N{TELEPHONE RECEIVER}", '"', "\\")


def with_texts(character: str, agents: int, length: int, entries: int = 16) -> dict[str, Any]:
    """A spec with texts of this length wherever a dispatch rule has some."""
    texts = {f"k{index}": character * length for index in range(entries)}
    return BASE | {
        "inbound": {
            "allowAnyAddress": True,
            "agentMetadata": texts,
            "additionalAgentIds": [f"more-{index}" for index in range(agents - 1)],
            "attributes": texts,
            "room": {"metadata": character * length, "tags": texts},
        }
    }


def longest(character: str, agents: int) -> dict[str, Any]:
    """The spec with the longest texts that are allowed."""
    lengths = range(1, 1025)
    allowed = bisect_left(lengths, True, key=lambda length: bool(oversized_rule(with_texts(character, agents, length))))
    return with_texts(character, agents, lengths[allowed - 1])


@pytest.mark.parametrize("agents", [1, 2, 9])
@pytest.mark.parametrize("character", CHARACTERS)
def test_the_longest_rule_is_read_as_it_was_written(character: str, agents: int) -> None:
    spec = longest(character, agents)
    assert problems(spec) == ()
    rule = wanted(PhoneNumberSpec.model_validate(spec)).rule
    assert rule is not None
    info: Message = convert.RULE.to_proto(rule)
    raw = info.SerializeToString()
    assert len(raw) < MAX_OBJECT_BYTES // 2
    got = read(SIPDispatchRuleInfo, memoryview(raw))
    assert got.whole
    assert seen_as("SDR_1", convert.RULE.from_proto(got.info, MASK), got, len(raw)).value == rule


@pytest.mark.parametrize("character", CHARACTERS)
def test_a_larger_rule_is_refused_with_what_is_allowed(character: str) -> None:
    (problem,) = problems(with_texts(character, 9, 1024))
    assert problem.field == "spec.inbound"
    assert f"at most {MAX_RULE_BYTES} bytes" in problem.message
    assert "once for each agent" in problem.message


@given(st.sampled_from(CHARACTERS), st.integers(min_value=0, max_value=1024))
def test_what_the_first_version_took_for_one_agent_is_still_taken(character: str, length: int) -> None:
    texts = {f"{index:02}{character * 250}": character * length for index in range(16)}
    assert oversized_rule(BASE | {"inbound": {"agentMetadata": texts}}) == ()
