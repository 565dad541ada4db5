"""Marks that an earlier object of the same name left in LiveKit, and forged marks."""

import pytest

from byoc_operator.core.ownership import Mark, Owner, parse_mark
from byoc_operator.core.trunk import Kind
from operated import NAME, NAMESPACE, PHONE, World
from virtual_time import in_virtual_time


@in_virtual_time
async def test_a_retained_trunk_stays_with_its_number_when_the_name_is_used_again() -> None:
    world = await World.running()
    await world.apply(deletionPolicy="Retain")
    kept = {each.id: each for each in world.livekit.objects()}
    world.api.delete(NAMESPACE, NAME)
    await world.settle()
    await world.apply(phoneNumber="+15550100000")
    assert world.ready() == ("True", "Synced")
    trunks = [each for each in world.livekit.objects() if each.id in kept and each.kind is not Kind.DISPATCH_RULE]
    assert [trunk.numbers for trunk in trunks] == [(PHONE,), (PHONE,)]


@pytest.mark.parametrize("value", ['"\\ud800"', '{"a":1}', f'"{"x" * 600}"'], ids=["surrogate", "object", "long"])
def test_what_others_write_into_a_mark_never_comes_back_out_of_it(value: str) -> None:
    found = parse_mark(f'{{"managedBy":"byoc-operator","owner":"i/n/m","recreate":{value}}}')
    assert found == Mark(Owner("i", "n", "m"))
    assert found is not None
    assert found.dump().encode()
