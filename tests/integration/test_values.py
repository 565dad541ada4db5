"""Values that look alike and differ, on the real LiveKit."""

from integration.scene import Scene, findings


def test_an_ipv6_address_stands_in_brackets_in_from(scene: Scene) -> None:
    bare = scene.number("bare", outbound={"fromHost": "2001:db8::1"})
    bracketed = scene.number("bracketed", outbound={"fromHost": "[2001:db8::1]"})
    scene.ready("bare")
    scene.ready("bracketed")
    assert [scene.held(phone).outbound[0].from_host for phone in (bare, bracketed)] == ["[2001:db8::1]"] * 2


def test_a_number_of_telnyx_newest_region_has_its_particulars(scene: Scene) -> None:
    scene.secret({"username": "alice", "password": "first-password"})
    phone = scene.number(terminationUri="sip.telnyx.me", carrier=None, sipPasswordSecretRef={"name": "sip"})
    number = scene.ready()
    held = scene.held(phone)
    assert number["status"]["carrier"] == "Telnyx"
    assert held.outbound[0].headers["X-Telnyx-Username"] == "alice"
    assert "185.246.42.128/32" in held.inbound[0].allowed_addresses
    assert "InboundOpen" not in findings(number)


def test_names_in_many_writings_are_kept_as_they_are(scene: Scene) -> None:
    name = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u260e\ufe0f"
    phone = scene.number(friendlyName=name)
    scene.ready()
    assert scene.held(phone).outbound[0].name == name
