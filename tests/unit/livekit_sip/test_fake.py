"""Faults and back doors of the fake; what it shares with LiveKit is in `tests/contract`."""

import asyncio
import secrets
from dataclasses import replace

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.core.masking import make_mask
from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, OutboundTrunk
from byoc_operator.errors import Occupied, Unavailable
from byoc_operator.livekit_sip.fake import FakeLiveKit
from byoc_operator.livekit_sip.faults import ApplyLate, Hang, LoseReply, Refuse

MASK = make_mask(secrets.token_bytes(32))
OUT = OutboundTrunk("out", "{}", "sip.example.com", "TLS", ("+15550100000",), MASK("user"), MASK("pass"))
IN = InboundTrunk("in", "{}", ("+15550100000",))


async def test_a_refused_call_changes_nothing_and_the_next_one_works() -> None:
    livekit = FakeLiveKit()
    livekit.inject(Refuse(Unavailable(Reason.LIVEKIT_UNAVAILABLE, "down")), "create", Kind.OUTBOUND_TRUNK)
    await livekit.create(IN)
    with pytest.raises(Unavailable, match="down"):
        await livekit.create(OUT)
    assert [each.name for each in livekit.objects()] == ["in"]
    await livekit.create(OUT)
    assert livekit.count() == {("create", Kind.OUTBOUND_TRUNK): 2, ("create", Kind.INBOUND_TRUNK): 1}


async def test_a_lost_reply_is_applied_all_the_same() -> None:
    livekit = FakeLiveKit()
    livekit.inject(LoseReply())
    with pytest.raises(Unavailable) as lost:
        await livekit.create(OUT)
    assert lost.value.outcome_unknown
    assert livekit.objects() == [OUT]


async def test_a_late_call_is_applied_when_the_test_says_so() -> None:
    livekit = FakeLiveKit()
    livekit.inject(ApplyLate())
    with pytest.raises(Unavailable):
        await livekit.create(OUT)
    assert await livekit.list_all(OutboundTrunk) == []
    livekit.apply_late()
    assert await livekit.list_all(OutboundTrunk) == [OUT]


async def test_a_late_call_is_applied_before_a_later_one() -> None:
    livekit = FakeLiveKit()
    livekit.inject(ApplyLate(after_calls=2))
    with pytest.raises(Unavailable):
        await livekit.create(IN)
    assert await livekit.list_all(InboundTrunk) == []
    with pytest.raises(Occupied):
        await livekit.create(IN)


async def test_a_call_hangs_until_released_and_delays_nobody_else() -> None:
    livekit, released = FakeLiveKit(), asyncio.Event()
    livekit.inject(Hang(released))
    hanging = asyncio.create_task(livekit.create(OUT))
    await asyncio.sleep(0)
    await livekit.create(IN)
    assert not hanging.done()
    released.set()
    assert (await hanging) == OUT


async def test_the_password_in_use_can_be_asked_for() -> None:
    livekit = FakeLiveKit()
    made = await livekit.create(OUT)
    assert livekit.stored_password(made.id) == "pass"
    await livekit.replace(replace(OUT, id=made.id, password=MASK("new")))
    assert livekit.stored_password(made.id) == "new"
    assert livekit.stored_password((await livekit.create(IN)).id) is None


async def test_a_server_that_lists_no_passwords() -> None:
    livekit = FakeLiveKit(lists_passwords=False)
    made = await livekit.create(OUT)
    (listed,) = await livekit.list_all(OutboundTrunk)
    assert made == OUT
    assert listed.password is None
    assert not listed.password_listed


async def test_back_doors_are_no_calls() -> None:
    livekit = FakeLiveKit()
    foreign = livekit.put(IN)
    livekit.put(replace(IN, id="ST_chosen"))
    livekit.put(DispatchRule("wildcard", (), "x-", "", ""))
    livekit.edit(foreign, name="edited", extra=("auth_realm",))
    livekit.drop("ST_chosen")
    assert [each.name for each in livekit.objects()] == ["wildcard", "edited"]
    assert livekit.calls == []


async def test_a_seed_repeats_the_ids() -> None:
    first, second = FakeLiveKit(seed=1), FakeLiveKit(seed=1)
    assert (await first.create(IN)).id == (await second.create(IN)).id
