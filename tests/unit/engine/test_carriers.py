"""The file of presets reaches the numbers at a sweep."""

from dataclasses import replace
from pathlib import Path

from byoc_operator.core.trunk import Kind, Masked
from operated import USER, World
from virtual_time import in_virtual_time

FILE = "carriers: [{{name: Hausanlage, hosts: [sip.example.com], signallingRanges: [{}], usernameHeader: {}}}]"


def write(file: Path, ranges: str = "203.0.113.0/28", header: str = "X-User") -> Path:
    file.write_text(FILE.format(ranges, header))
    return file


async def running(file: Path) -> World:
    world = await World.running(carriers_file=write(file))
    await world.apply(terminationUri="sip.example.com")
    await world.elapse(2)
    return world


@in_virtual_time
async def test_a_changed_file_reaches_a_number_at_the_next_sweep_with_one_write(tmp_path: Path) -> None:
    file = tmp_path / "carriers.yaml"
    world = await running(file)
    assert [trunk.allowed_addresses for trunk in world.inbound()] == [("203.0.113.0/28",)]
    before = world.ids()
    world.forget_counts()
    write(file, ranges="198.51.100.0/28")
    await world.sweep()
    assert [trunk.allowed_addresses for trunk in world.inbound()] == [("198.51.100.0/28",)]
    assert world.livekit_writes() == [("replace", Kind.INBOUND_TRUNK)]
    assert world.ids() == before


@in_virtual_time
async def test_a_file_that_stays_the_same_writes_nothing(tmp_path: Path) -> None:
    world = await running(tmp_path / "carriers.yaml")
    world.forget_counts()
    await world.sweep()
    await world.sweep()
    assert (world.livekit_writes(), world.api_writes()) == ([], [])


@in_virtual_time
async def test_a_restart_with_the_same_file_writes_nothing(tmp_path: Path) -> None:
    world = await running(tmp_path / "carriers.yaml")
    world.forget_counts()
    await world.restart()
    await world.sweep()
    assert world.livekit_writes() == []


@in_virtual_time
async def test_the_status_names_an_added_carrier(tmp_path: Path) -> None:
    world = await running(tmp_path / "carriers.yaml")
    assert world.status()["carrier"] == "Hausanlage"


@in_virtual_time
async def test_the_header_of_an_added_carrier_is_a_credential(tmp_path: Path) -> None:
    world = await running(tmp_path / "carriers.yaml")
    (trunk,) = world.outbound()
    assert isinstance(trunk.headers["X-User"], Masked)
    assert trunk.headers["X-User"] == trunk.username
    assert USER not in str(world.raw())


@in_virtual_time
async def test_another_header_of_a_carrier_is_one_write(tmp_path: Path) -> None:
    file = tmp_path / "carriers.yaml"
    world = await running(file)
    world.forget_counts()
    write(file, header="X-Login")
    await world.sweep()
    assert world.livekit_writes() == [("replace", Kind.OUTBOUND_TRUNK)]
    assert list(world.outbound()[0].headers) == ["X-Login"]
    world.forget_counts()
    await world.sweep()
    assert world.livekit_writes() == []


@in_virtual_time
async def test_a_file_that_becomes_wrong_leaves_the_numbers_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "carriers.yaml"
    world = await running(file)
    world.forget_counts()
    file.write_text("carriers: [")
    await world.sweep()
    assert (world.livekit_writes(), world.ready()) == ([], ("True", "Synced"))
    assert "line 2" in world.engine.carriers_problem


@in_virtual_time
async def test_digest_is_refused_for_a_carrier_that_the_file_says_cannot_answer(tmp_path: Path) -> None:
    file = tmp_path / "carriers.yaml"
    file.write_text("carriers: [{name: Hausanlage, hosts: [sip.example.com], answersChallenge: false}]")
    world = await World.running(carriers_file=file)
    await world.apply(terminationUri="sip.example.com", inbound={"authentication": "Digest"})
    assert world.ready() == ("False", "InvalidSpec")
    assert "must be None with Hausanlage" in world.message()
    file.write_text("carriers: []")
    await world.sweep()
    assert world.ready() == ("True", "Synced")


@in_virtual_time
async def test_a_challenge_that_becomes_unanswered_leaves_livekit_as_it_is_where_refused_hosts_go(
    tmp_path: Path,
) -> None:
    file = tmp_path / "carriers.yaml"
    file.write_text("carriers: []")
    world = await World.running(carriers_file=file)
    world.installation = replace(world.installation, removes_refused=True)
    await world.restart()
    await world.apply(terminationUri="sip.example.com", inbound={"authentication": "Digest"})
    before, ids = world.livekit.objects(), world.ids()
    world.forget_counts()
    file.write_text("carriers: [{name: Hausanlage, hosts: [sip.example.com], answersChallenge: false}]")
    await world.sweep()
    assert world.ready() == ("False", "InvalidSpec")
    assert (world.livekit_writes(), world.livekit.objects(), world.ids()) == ([], before, ids)
