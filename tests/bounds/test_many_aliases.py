"""What many aliases cost: work that grows with the number of objects, and no faster. Counted in calls, not timed."""

import sys
from types import FrameType
from typing import Any, Self

import pytest

from operated import World, manifest
from virtual_time import in_virtual_time

SIZES = (20, 40, 80)
ALIASES = 16
MOST = 2.3
"""Between linear (2) and quadratic (4): so much more work may twice as many objects be."""


class Calls:
    """Counts the Python functions that are called inside a `with`."""

    def __init__(self) -> None:
        self.count = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _see(self, _frame: FrameType, event: str, _arg: object) -> None:
        self.count += event == "call"


def spec_of(index: int, *, shared: bool) -> dict[str, Any]:
    """The number of an object, and its aliases: its own, or those of all."""
    aliases = [str(100 + each) if shared else f"0{index:04}{each:02}" for each in range(ALIASES)]
    return {"phoneNumber": f"+1555{index:07}", "inbound": {"aliases": aliases}}


@pytest.mark.parametrize("shared", [False, True], ids=["own aliases", "one set of aliases"])
def test_a_sweep_works_in_proportion_to_the_objects(shared: bool) -> None:  # noqa: FBT001 - a column of the table
    few, more, most = (_swept(size, shared=shared) for size in SIZES)
    assert more <= MOST * few
    assert most <= MOST * more


@in_virtual_time
async def _swept(size: int, *, shared: bool) -> int:
    world = await World.running()
    for index in range(size):
        world.api.apply(manifest(f"n{index}", **spec_of(index, shared=shared)))
    await world.settle()
    await world.elapse(5)
    in_step = sum(world.ready(f"n{index}") == ("True", "Synced") for index in range(size))
    assert in_step == (1 if shared else size)
    with Calls() as calls:
        await world.sweep()
    return calls.count
