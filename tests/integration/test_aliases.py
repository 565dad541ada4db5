"""Aliases on the real API server and the real LiveKit."""

import secrets

from livekit.protocol.sip import SIPInboundTrunkInfo

from integration.scene import Scene, condition


def _fresh_alias() -> str:
    """Digits that no number and no other test has."""
    return "0" + "".join(secrets.choice("0123456789") for _ in range(12))


def _numbers(scene: Scene, phone: str) -> list[str]:
    (trunk,) = scene.held(phone).inbound
    return list(trunk.numbers)


def _aliases(scene: Scene, *aliases: str, name: str = "a") -> None:
    scene.change(name, inbound={"aliases": list(aliases)})


def test_aliases_come_are_repaired_and_go_with_the_same_trunk(scene: Scene) -> None:
    one, other = _fresh_alias(), "+" + _fresh_alias()
    phone = scene.number(inbound={"aliases": [one, other]})
    number = scene.ready()
    before = scene.held(phone).ids
    assert _numbers(scene, phone) == [phone, one, other]
    assert number["status"]["aliases"] == sorted([f"+{one}", other])
    (trunk,) = scene.held(phone).inbound
    del trunk.numbers[1:]
    scene.sip.put_inbound(trunk)
    scene.until(lambda: _numbers(scene, phone) == [phone, one, other], "the aliases are back")
    _aliases(scene, other)
    scene.until(lambda: _numbers(scene, phone) == [phone, other], "one alias is gone")
    _aliases(scene)
    scene.until(lambda: _numbers(scene, phone) == [phone], "no alias is left")
    scene.until(lambda: "aliases" not in scene.get()["status"], "nor in the status")
    assert scene.held(phone).ids == before


def test_of_two_objects_one_has_the_alias_and_the_other_its_number(scene: Scene) -> None:
    alias = _fresh_alias()
    first = scene.number("first", inbound={"aliases": [alias]})
    scene.ready("first")
    second = scene.number("second", inbound={"aliases": [f"+{alias}"]})
    number = scene.told("AliasUnavailable", "second")
    assert f"+{alias} is held by ByocPhoneNumber first as an alias" in condition(number)["message"]
    assert (_numbers(scene, first), _numbers(scene, second)) == ([first, alias], [second])
    assert scene.held(second).counts == (1, 1, 1)
    _aliases(scene, name="first")
    scene.ready("second")
    assert (_numbers(scene, first), _numbers(scene, second)) == ([first], [second, f"+{alias}"])


def test_the_number_of_another_object_is_no_alias_with_or_without_plus(scene: Scene) -> None:
    first = scene.number("first")
    scene.ready("first")
    before = scene.held(first).bytes
    second = scene.number("second", inbound={"aliases": [first.removeprefix("+")]})
    assert "as its number" in condition(scene.told("AliasUnavailable", "second"))["message"]
    assert (_numbers(scene, second), scene.held(first).bytes) == ([second], before)


def test_an_alias_of_a_foreign_trunk_is_left_out_until_it_goes(scene: Scene) -> None:
    alias = _fresh_alias()
    foreign = scene.sip.create_inbound(SIPInboundTrunkInfo(name="theirs", numbers=[alias]))
    phone = scene.number(inbound={"aliases": [alias]})
    assert foreign in condition(scene.told("AliasUnavailable"))["message"]
    assert _numbers(scene, phone) == [phone]
    scene.sip.delete(foreign)
    scene.ready()
    assert _numbers(scene, phone) == [phone, alias]
