"""Lists of LiveKit in which somebody put what they could: nothing of it hides the rest, and what is kept is bounded."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol.sip import (
    ListSIPInboundTrunkResponse,
    ListSIPOutboundTrunkResponse,
    SIPDispatchRuleInfo,
    SIPInboundTrunkInfo,
    SIPOutboundTrunkInfo,
)

from byoc_operator.core.foreign_rules import Wildcards
from byoc_operator.core.masking import make_mask
from byoc_operator.core.ownership import Mark, Owner, owner_of, rule_name
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, OutboundTrunk, RoomForm, Selection
from byoc_operator.livekit_sip import bounds, convert, listing
from byoc_operator.livekit_sip.bounds import ListBudget, bounded
from byoc_operator.livekit_sip.error_map import ReplyTooLong
from byoc_operator.livekit_sip.listing import items_of, read, seen_as
from byoc_operator.livekit_sip.wire import fields_of
from strategies import QUICK

MASK = make_mask(secrets.token_bytes(32))
OWNER = Owner("cluster-a", "voice", "main")
MARK = Mark(OWNER, "agent").dump()
MB = 2**20


def text_field(number: int, content: bytes) -> bytes:
    """A field of a message that is bytes on the wire, whatever its type."""
    length, size = bytearray(), len(content)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    length.append(size)
    tag = number << 3 | 2
    head = bytes([tag]) if tag < 128 else bytes([tag & 127 | 128, tag >> 7])
    return head + bytes(length) + content


def outbound(item: bytes) -> tuple[OutboundTrunk, bool]:
    """What is kept of one listed outbound trunk, and whether it was read whole."""
    got = read(SIPOutboundTrunkInfo, memoryview(item))
    value = convert.OUTBOUND.from_proto(got.info, MASK, lists_passwords=True)
    seen = seen_as(got.info.sip_trunk_id, value, got, len(item))
    return seen.value, seen.whole


def inbound(item: bytes) -> InboundTrunk:
    got = read(SIPInboundTrunkInfo, memoryview(item))
    value = convert.INBOUND.from_proto(got.info, MASK, lists_passwords=True)
    return seen_as(got.info.sip_trunk_id, value, got, len(item)).value


def rule(item: bytes) -> DispatchRule:
    got = read(SIPDispatchRuleInfo, memoryview(item))
    return seen_as(got.info.sip_dispatch_rule_id, convert.RULE.from_proto(got.info, MASK), got, len(item)).value


OURS = SIPOutboundTrunkInfo(
    sip_trunk_id="ST_ours", name="Line", metadata=MARK, address="sip.example.com", numbers=["+15550100000"]
).SerializeToString()


def nested(levels: int) -> bytes:
    content = b""
    for _ in range(levels):
        content = text_field(1, content)
    return content


@pytest.mark.parametrize(
    "added",
    [
        text_field(14, b"\xff\xfe"),  # destination_country: no UTF-8
        text_field(15, b"\xed\xa0\x80"),  # from_host: half a character
        text_field(10, nested(200)),  # headers_to_attributes: no such message
        text_field(18, b"\x08"),  # media: ends too early
        text_field(15, b"x" * MB),
        text_field(6, b"") * 200_000,
        text_field(15, b"x" * MB) + text_field(14, b"\xff"),
        b"\x0b",  # a group, which nobody sends
        b"\x7a\xff\xff\xff\xff\x7f",  # a length beyond the end
    ],
    ids=["country", "host", "nested", "short", "megabyte", "many", "both", "group", "length"],
)
def test_an_object_of_ours_is_known_whatever_was_added_to_it(added: bytes) -> None:
    trunk, whole = outbound(OURS + added)
    assert trunk.id == "ST_ours"
    assert owner_of(trunk) == OWNER
    assert not whole
    assert "unreadable" in trunk.extra  # a difference: it is written anew


def test_one_bad_object_hides_no_other() -> None:
    good = [SIPOutboundTrunkInfo(sip_trunk_id=f"ST_{each}").SerializeToString() for each in range(3)]
    reply = b"".join(text_field(1, item) for item in (good[0], b"\x0a\xff", text_field(1, b"\xff"), *good[1:]))
    with pytest.raises(DecodeError):
        ListSIPOutboundTrunkResponse.FromString(reply)
    assert [outbound(bytes(item))[0].id for item in items_of(reply)] == ["ST_0", "", "", "ST_1", "ST_2"]


def test_a_list_is_cut_as_the_library_reads_it() -> None:
    items = [SIPInboundTrunkInfo(sip_trunk_id=f"ST_{each}", numbers=["+1555"] * each) for each in range(200)]
    reply = ListSIPInboundTrunkResponse(items=items).SerializeToString()
    assert [SIPInboundTrunkInfo.FromString(bytes(item)) for item in items_of(reply)] == items


@pytest.mark.parametrize("reply", [b"\xff\xff", b"\x0a\x05ab", b"\x0f", b"\x80" * 20, b"\x0a" + b"\xff" * 9])
def test_what_is_no_list_is_an_error(reply: bytes) -> None:
    with pytest.raises(DecodeError):
        list(items_of(reply))


def test_more_objects_than_are_read_are_an_error() -> None:
    assert len(list(items_of(b"\x0a\x00" * listing.MAX_OBJECTS))) == listing.MAX_OBJECTS
    with pytest.raises(ReplyTooLong):
        list(items_of(b"\x0a\x00" * (listing.MAX_OBJECTS + 1)))


@pytest.mark.parametrize(
    "id", ["ST_a/../b", "ST a", "ST_\x1b[2J", "ST_a,ST_b", "ST_\u202e", "S" * 129, "S" * MB, "ST_a\n", ".." * 100]
)
def test_an_id_that_livekit_does_not_make_is_none(id: str) -> None:
    assert inbound(SIPInboundTrunkInfo(sip_trunk_id=id, name="x").SerializeToString()).id == ""


def size(value: object) -> int:
    """Characters in whatever is kept."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(size(each) for pair in value.items() for each in pair)
    return sum(map(size, value)) if isinstance(value, tuple) else 0


LONG: dict[str, Callable[[], Any]] = {
    "texts": lambda: outbound(
        SIPOutboundTrunkInfo(
            name="x" * 100_000,
            metadata="x" * 100_000,
            address="x" * 100_000,
            from_host="x" * 100_000,
            destination_country="x" * 100_000,
            headers={f"X-{each}": "y" * 1000 for each in range(1000)},
            numbers=["9" * 100_000] * 2,
        ).SerializeToString()
    )[0],
    "lists": lambda: inbound(
        SIPInboundTrunkInfo(
            allowed_addresses=["10.0.0.0/8"] * 100_000,
            allowed_numbers=["+1555"] * 100_000,
            headers_to_attributes={f"X-{each}": "y" for each in range(5000)},
        ).SerializeToString()
    ),
    "rule": lambda: rule(
        SIPDispatchRuleInfo(
            name="byoc:" + "x" * 100_000,
            trunk_ids=[f"ST_{each}" for each in range(100_000)],
            room_config={"agents": [{"agent_name": "a" * 50_000, "metadata": "m" * 50_000}]},
        ).SerializeToString()
    ),
}


@pytest.mark.parametrize("made", LONG.values(), ids=LONG)
def test_what_is_kept_of_an_object_is_bounded(made: Callable[[], Any]) -> None:
    kept = made()
    assert sum(size(getattr(kept, name)) for name in kept.__slots__) < 100_000


def test_a_cut_object_equals_none_of_ours_and_a_full_one_stays() -> None:
    full = InboundTrunk("n" * 128, MARK, ("+15550100000",), tuple(f"10.0.{each}.0/24" for each in range(64)))
    assert bounded(full) == full
    long = InboundTrunk("n" * 641, MARK, ("+15550100000",), ("10.0.0.0/8",) * 257)
    assert bounded(long).name.endswith("…")
    assert len(bounded(long).allowed_addresses) == 257
    ours = DispatchRule(rule_name(OWNER), ("ST_a",), "call-", "agent", json.dumps({"k": "v" * 60_000}))
    assert bounded(ours) == ours


def test_a_trunk_with_a_hundred_thousand_numbers_is_known_by_the_first_of_them() -> None:
    numbers = [f"+1555{each:07d}" for each in range(100_000)]
    kept = inbound(SIPInboundTrunkInfo(sip_trunk_id="ST_many", numbers=numbers).SerializeToString())
    assert kept.numbers[:3] == tuple(numbers[:3])
    assert len(kept.numbers) <= bounds.MAX_NUMBERS + 1


@pytest.mark.parametrize("junk", [600, 5000, 100_000])
def test_a_mark_that_was_filled_up_is_a_mark_and_differs_from_ours(junk: int) -> None:
    metadata = json.dumps({**json.loads(MARK), "junk": "x" * junk})
    kept, _ = outbound(SIPOutboundTrunkInfo(sip_trunk_id="ST_a", metadata=metadata).SerializeToString())
    assert owner_of(kept) == OWNER
    assert kept.metadata != MARK
    assert len(kept.metadata) <= 5000


def test_there_is_room_for_ten_thousand_and_an_end() -> None:
    budget = ListBudget()
    for each in range(10_000):
        budget.take(InboundTrunk(f"Line {each}", MARK, (f"+1555{each:07d}",), ("54.172.60.0/30",) * 8))
    with pytest.raises(ReplyTooLong):
        all(budget.take(OutboundTrunk("n", f"{each}" * 1000, "a", "TLS", ())) for each in range(50_000))


def test_numbers_of_strangers_are_known_until_there_are_too_many() -> None:
    budget = ListBudget()
    crowd = InboundTrunk("crowd", "", tuple(f"+1555{each:07d}" for each in range(10_000)))
    kept = [len(budget.take(crowd).numbers) for _ in range(30)]
    assert kept[:25] == [10_000] * 25
    assert kept[25:] == [bounds.FEW_NUMBERS + 1] * 5
    assert len(budget.take(InboundTrunk("one", "", ("+15550100000",))).numbers) == 1


@QUICK
@given(st.binary(max_size=300), st.binary(max_size=50), st.integers(0, 400))
def test_no_bytes_make_reading_fail(noise: bytes, more: bytes, at: int) -> None:
    for item in (noise, OURS[:at] + noise + OURS[at:], OURS + noise, more + OURS):
        assert isinstance(outbound(item)[0], OutboundTrunk)
        assert isinstance(inbound(item), InboundTrunk)
        assert isinstance(rule(item), DispatchRule)


async def test_reading_an_object_of_many_fields_takes_one_look_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    looked = 0
    fields = fields_of

    def counted(message: memoryview) -> Any:
        nonlocal looked
        for each in fields(message):
            looked += 1
            yield each

    monkeypatch.setattr(listing, "fields_of", counted)
    counts = []
    for times in (1, 2, 4):
        looked = 0
        outbound(OURS + text_field(14, b"\xff") * 5000 * times)
        counts.append(looked)
    assert counts[2] <= 4.1 * counts[0]


def test_what_is_kept_of_the_calls_that_a_rule_is_for_is_bounded() -> None:
    numbers = [f"+1555{each:07d}" for each in range(8_000)]
    theirs = rule(SIPDispatchRuleInfo(inbound_numbers=numbers, numbers=numbers).SerializeToString())
    assert (len(theirs.selection.callers), len(theirs.selection.numbers)) == (257, 8_000)
    assert Wildcards.of({"SDR_long": theirs}).for_any == ()


def test_a_rule_that_is_not_read_whole_is_not_taken_for_one_that_nothing_limits() -> None:
    numbers = [f"+1555{each:07d}" for each in range(100_000)]
    theirs = rule(SIPDispatchRuleInfo(inbound_numbers=numbers, numbers=numbers).SerializeToString())
    assert theirs.selection == Selection(RoomForm.UNKNOWN)
    found = Wildcards.of({"SDR_long": theirs})
    assert (found.for_any, found.by_number, found.contradicting) == ((), {}, ())
