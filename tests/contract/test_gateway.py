"""What the operator relies on in LiveKit, asked of the fake and of the real server alike."""

import asyncio
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from livekit.api import LiveKitAPI, ServerError
from livekit.protocol.sip import CreateSIPDispatchRuleRequest, SIPDispatchRule, SIPDispatchRuleIndividual

from byoc_operator.core.trunk import DispatchRule, InboundTrunk, Kind, Mask, OutboundTrunk, SipObject
from byoc_operator.errors import Gone, Occupied, Stalled
from byoc_operator.livekit_sip.gateway import SipGateway

_Object = TypeVar("_Object", bound=SipObject)


def outbound(number: str, **changes: Any) -> OutboundTrunk:
    return OutboundTrunk(
        **{"name": "out", "metadata": "", "address": "sip.example.com", "transport": "TLS", "numbers": (number,)}
        | changes
    )


def inbound(number: str, **changes: Any) -> InboundTrunk:
    return InboundTrunk(**{"name": "in", "metadata": "", "numbers": (number,)} | changes)


def rule(*trunk_ids: str, **changes: Any) -> DispatchRule:
    return DispatchRule(
        **{
            "name": "rule",
            "trunk_ids": trunk_ids,
            "room_prefix": "call-",
            "agent_name": "agent_support",
            "agent_metadata": "{}",
        }
        | changes
    )


def full_outbound(number: str, mask: Mask) -> OutboundTrunk:
    return outbound(
        number,
        metadata='{"owner": "a/b/c"}',
        address="sip.telnyx.com:5061",
        username=mask("user"),
        password=mask("pass word"),
        headers={"X-Telnyx-Username": mask("user"), "X-Team": "voice"},
        headers_to_attributes={"X-Call-Ref": "carrierCallId"},
        attributes_to_headers={"outcome": "X-Outcome"},
        include_headers="XHeaders",
        media_encryption="Required",
        codecs=("PCMU", "opus/48000"),
        only_listed_codecs=True,
        media_timeout_s=30,
        from_host="voice.example.com",
        destination_country="us",
    )


def full_inbound(number: str, mask: Mask) -> InboundTrunk:
    return inbound(
        number,
        metadata='{"owner": "a/b/c"}',
        allowed_addresses=("192.0.2.0/24", "2001:db8::/32"),
        allowed_numbers=("+15559990000",),
        username=mask("user"),
        password=mask("pass word"),
        headers_to_attributes={"X-Call": "call"},
        attributes_to_headers={"outcome": "X-Outcome"},
        include_headers="All",
        response_headers={"X-Answered-By": "agent"},
        realm="sip.example.com",
        ringing_status=480,
        ringing_timeout_s=60,
        max_call_duration_s=3600,
        noise_cancellation=True,
        media_encryption="Allowed",
        codecs=("G722",),
        only_listed_codecs=True,
        media_timeout_s=600,
    )


def by_id(listed: list[_Object], wanted_id: str) -> _Object | None:
    return next((each for each in listed if each.id == wanted_id), None)


@pytest.mark.parametrize("encryption", ["Disabled", "Allowed", "Required"])
async def test_trunks_come_back_as_they_were_sent(
    gateway: SipGateway, mask: Mask, number: str, encryption: str
) -> None:
    sent_out = replace(full_outbound(number, mask), media_encryption=encryption)
    sent_in = replace(full_inbound(number, mask), media_encryption=encryption)
    made_out, made_in = await gateway.create(sent_out), await gateway.create(sent_in)
    assert (made_out, made_in) == (sent_out, sent_in)
    assert by_id(await gateway.list_all(OutboundTrunk), made_out.id) == sent_out
    assert by_id(await gateway.list_all(InboundTrunk), made_in.id) == sent_in


async def test_aliases_come_back_as_they_were_sent_and_go_with_a_replace(gateway: SipGateway, number: str) -> None:
    bare = number.removeprefix("+")
    made = await gateway.create(inbound(number, numbers=(number, f"00{bare}", f"+0{bare}")))
    assert made.numbers == (number, f"00{bare}", f"+0{bare}")
    await gateway.replace(replace(made, numbers=(number,)))
    assert by_id(await gateway.list_all(InboundTrunk), made.id) == inbound(number)


async def test_a_number_on_another_trunk_is_no_alias_with_or_without_plus(gateway: SipGateway, number: str) -> None:
    await gateway.create(inbound(number))
    for alias in (number, number.removeprefix("+")):
        with pytest.raises(Occupied):
            await gateway.create(inbound(number + "0", numbers=(number + "0", alias)))


@pytest.mark.parametrize("transport", ["TLS", "TCP", "UDP", "AUTO"])
async def test_every_transport_comes_back(gateway: SipGateway, number: str, transport: str) -> None:
    made = await gateway.create(outbound(number, transport=transport))
    assert made.transport == transport


async def test_a_rule_comes_back_as_it_was_sent(gateway: SipGateway) -> None:
    sent = rule("ST_nowhere", name="byoc:a/b/c", agent_metadata='{"agentId": "agent_support"}')
    made = await gateway.create(sent)
    assert made == sent
    assert by_id(await gateway.list_all(DispatchRule), made.id) == sent


def full_rule(*trunk_ids: str) -> DispatchRule:
    return rule(
        *trunk_ids,
        additional_agents=("agent_notes", "agent_quality"),
        attributes={"queue": "support", "größe": "8"},
        hide_caller_number=True,
        empty_timeout_s=30,
        departure_timeout_s=5,
        max_participants=3,
        room_metadata='{"tenant": "acme"}',
        room_tags={"team": "support"},
    )


async def test_a_rule_with_every_setting_comes_back_as_it_was_sent(gateway: SipGateway) -> None:
    made = await gateway.create(full_rule("ST_nowhere"))
    assert made == full_rule("ST_nowhere")
    assert by_id(await gateway.list_all(DispatchRule), made.id) == full_rule("ST_nowhere")


async def test_a_replace_clears_the_settings_of_a_rule(gateway: SipGateway) -> None:
    made = await gateway.create(full_rule("ST_nowhere"))
    await gateway.replace(rule("ST_nowhere", id=made.id))
    assert by_id(await gateway.list_all(DispatchRule), made.id) == rule("ST_nowhere")


async def test_ids_are_made_by_the_server(gateway: SipGateway, number: str) -> None:
    made = await gateway.create(outbound(number, id="ST_mine"))
    made_rule = await gateway.create(rule("ST_nowhere", id="SDR_mine"))
    assert made.id.startswith("ST_")
    assert made.id != "ST_mine"
    assert made_rule.id.startswith("SDR_")
    assert made_rule.id != "SDR_mine"


async def test_no_credential_text_comes_back(gateway: SipGateway, mask: Mask, number: str) -> None:
    made_out = await gateway.create(full_outbound(number, mask))
    made_in = await gateway.create(full_inbound(number, mask))
    listed_out = by_id(await gateway.list_all(OutboundTrunk), made_out.id)
    listed_in = by_id(await gateway.list_all(InboundTrunk), made_in.id)
    for trunk in (made_out, made_in, listed_out, listed_in):
        assert trunk is not None
        assert trunk.username is not None
        assert trunk.password is not None
        assert trunk.username.text is trunk.password.text is None
        assert trunk.password_listed
        assert "pass word" not in repr(trunk)


async def test_another_password_is_a_difference(gateway: SipGateway, mask: Mask, number: str) -> None:
    made = await gateway.create(full_outbound(number, mask))
    listed = by_id(await gateway.list_all(OutboundTrunk), made.id)
    assert listed == full_outbound(number, mask)
    assert listed != replace(full_outbound(number, mask), password=mask("pass word "))


async def test_a_credential_known_by_digest_only_cannot_be_written(
    gateway: SipGateway, mask: Mask, number: str
) -> None:
    made = await gateway.create(full_outbound(number, mask))
    with pytest.raises(ValueError, match=r"^username: only a digest is known"):
        await gateway.replace(made)


async def test_a_second_inbound_trunk_with_the_number_is_refused(gateway: SipGateway, number: str) -> None:
    first = await gateway.create(inbound(number))
    with pytest.raises(Occupied, match=f"NumberConflict: .*{first.id}"):
        await gateway.create(inbound(number))


async def test_inbound_numbers_are_compared_normalised(gateway: SipGateway, number: str) -> None:
    await gateway.create(inbound(number))
    spelled = f"{number[1:2]} ({number[2:5]}) {number[5:]}"
    with pytest.raises(Occupied):
        await gateway.create(inbound(spelled))


async def test_inbound_trunks_for_different_callers_may_share_a_number(gateway: SipGateway, number: str) -> None:
    await gateway.create(inbound(number, allowed_numbers=("+15550000001",)))
    await gateway.create(inbound(number, allowed_numbers=("+15550000002",)))
    await gateway.create(inbound(number))
    with pytest.raises(Occupied):
        await gateway.create(inbound(number, allowed_numbers=("+15550000002", "+15550000003")))


async def test_outbound_trunks_may_share_a_number(gateway: SipGateway, number: str) -> None:
    first, second = await gateway.create(outbound(number)), await gateway.create(outbound(number))
    assert first.id != second.id


@pytest.mark.parametrize("address", ["sip:sip.example.com", "sip.example.com;transport=tls", "a@b", ""])
async def test_an_address_that_is_no_host_is_rejected(gateway: SipGateway, number: str, address: str) -> None:
    with pytest.raises(Stalled, match=r"RejectedByLiveKit: LiveKit refuses: .*address") as refused:
        await gateway.create(outbound(number, address=address))
    assert not refused.value.server_wide


async def test_a_trunk_open_to_everybody_is_rejected(gateway: SipGateway) -> None:
    with pytest.raises(Stalled, match=r"RejectedByLiveKit: .*for security"):
        await gateway.create(replace(inbound(""), numbers=()))


async def test_a_second_rule_for_a_trunk_is_refused(gateway: SipGateway, number: str) -> None:
    trunk = await gateway.create(inbound(number))
    first = await gateway.create(rule(trunk.id))
    with pytest.raises(Occupied, match=f"NumberConflict: .*{first.id}"):
        await gateway.create(rule(trunk.id, name="second"))


async def test_conflicting_rules_of_others_do_not_block_ours(gateway: SipGateway, number: str) -> None:
    await make_conflicting_pair(gateway, number)
    ours = await gateway.create(rule(f"ST_ours_{number}"))
    assert by_id(await gateway.list_all(DispatchRule), ours.id) == ours
    with pytest.raises(Occupied):
        await gateway.create(rule(f"ST_ours_{number}"))


@pytest.mark.parametrize("server", ["real"], indirect=True)
async def test_without_the_old_field_they_would(gateway: SipGateway, server: Any, number: str) -> None:
    """If this fails, LiveKit has mended it: `trunk_ids` need no longer be sent twice."""
    await make_conflicting_pair(gateway, number)
    kind = SIPDispatchRule(dispatch_rule_individual=SIPDispatchRuleIndividual(room_prefix="x"))
    request = CreateSIPDispatchRuleRequest()
    request.dispatch_rule.rule.CopyFrom(kind)
    request.dispatch_rule.trunk_ids.append(f"ST_ours_{number}")
    async with LiveKitAPI(server.url, server.key, server.secret) as raw:
        with pytest.raises(ServerError, match="Dispatch rule for the same trunk"):
            await raw.sip.create_dispatch_rule(request)


async def make_conflicting_pair(gateway: SipGateway, number: str) -> None:
    """Two rules for one trunk: moving a rule onto a trunk is not checked."""
    await gateway.create(rule(f"ST_a_{number}"))
    moved = await gateway.create(rule(f"ST_b_{number}"))
    await gateway.replace(replace(moved, trunk_ids=(f"ST_a_{number}",)))


async def test_the_server_lets_a_trunk_move_to_a_number_that_is_taken(gateway: SipGateway, number: str) -> None:
    """Its hole, hence a check of our own before a number is taken onto a trunk."""
    other = number + "0"
    await gateway.create(inbound(number))
    moved = await gateway.create(inbound(other))
    assert (await gateway.replace(replace(moved, numbers=(number,)))).numbers == (number,)


async def test_a_replace_keeps_the_id_and_erases_what_is_not_sent(gateway: SipGateway, mask: Mask, number: str) -> None:
    made_out = await gateway.create(full_outbound(number, mask))
    made_in = await gateway.create(full_inbound(number, mask))
    made_rule = await gateway.create(rule(made_in.id))
    await gateway.replace(outbound(number, id=made_out.id))
    await gateway.replace(inbound(number, id=made_in.id))
    await gateway.replace(rule(made_in.id, id=made_rule.id, agent_name="agent_sales", agent_metadata=""))
    assert by_id(await gateway.list_all(OutboundTrunk), made_out.id) == outbound(number)
    assert by_id(await gateway.list_all(InboundTrunk), made_in.id) == inbound(number)
    listed_rule = by_id(await gateway.list_all(DispatchRule), made_rule.id)
    assert listed_rule == rule(made_in.id, agent_name="agent_sales", agent_metadata="")


async def test_a_replace_returns_what_is_stored(gateway: SipGateway, mask: Mask, number: str) -> None:
    made = await gateway.create(outbound(number))
    replaced = await gateway.replace(replace(full_outbound(number, mask), id=made.id))
    assert replaced.id == made.id
    assert replaced == full_outbound(number, mask)


async def test_replacing_what_is_gone_says_so(gateway: SipGateway, number: str) -> None:
    with pytest.raises(Gone):
        await gateway.replace(outbound(number, id="ST_gone"))
    with pytest.raises(Gone):
        await gateway.replace(inbound(number, id="ST_gone"))
    with pytest.raises(Gone):
        await gateway.replace(rule("ST_any", id="SDR_gone"))


async def test_a_trunk_is_not_replaced_by_one_of_the_other_direction(gateway: SipGateway, number: str) -> None:
    made = await gateway.create(outbound(number))
    with pytest.raises(Gone):
        await gateway.replace(inbound(number, id=made.id))


async def test_metadata_changes_alone(gateway: SipGateway, mask: Mask, number: str) -> None:
    made_out = await gateway.create(full_outbound(number, mask))
    made_in = await gateway.create(full_inbound(number, mask))
    await gateway.set_metadata(Kind.OUTBOUND_TRUNK, made_out.id, "retained")
    await gateway.set_metadata(Kind.INBOUND_TRUNK, made_in.id, "retained")
    assert by_id(await gateway.list_all(OutboundTrunk), made_out.id) == replace(made_out, metadata="retained")
    assert by_id(await gateway.list_all(InboundTrunk), made_in.id) == replace(made_in, metadata="retained")


async def test_metadata_of_a_trunk_that_is_gone_is_no_failure(gateway: SipGateway) -> None:
    await gateway.set_metadata(Kind.OUTBOUND_TRUNK, "ST_gone", "retained")
    await gateway.set_metadata(Kind.INBOUND_TRUNK, "ST_gone", "retained")


async def test_deleting_twice_succeeds_twice(gateway: SipGateway, number: str) -> None:
    made_out, made_in = await gateway.create(outbound(number)), await gateway.create(inbound(number))
    made_rule = await gateway.create(rule(made_in.id))
    for _ in range(2):
        await gateway.delete(Kind.DISPATCH_RULE, made_rule.id)
        await gateway.delete(Kind.INBOUND_TRUNK, made_in.id)
        await gateway.delete(Kind.OUTBOUND_TRUNK, made_out.id)
    assert by_id(await gateway.list_all(OutboundTrunk), made_out.id) is None
    assert by_id(await gateway.list_all(InboundTrunk), made_in.id) is None
    assert by_id(await gateway.list_all(DispatchRule), made_rule.id) is None


async def test_a_rule_outlives_its_trunk(gateway: SipGateway, number: str) -> None:
    trunk = await gateway.create(inbound(number))
    left = await gateway.create(rule(trunk.id))
    await gateway.delete(Kind.INBOUND_TRUNK, trunk.id)
    assert by_id(await gateway.list_all(DispatchRule), left.id) == left


async def test_lists_are_ordered_by_id(gateway: SipGateway, number: str) -> None:
    await asyncio.gather(*(gateway.create(outbound(number)) for _ in range(5)))
    ids = [trunk.id for trunk in await gateway.list_all(OutboundTrunk)]
    assert ids == sorted(ids)


async def test_a_wrong_key_is_told(misled: Any) -> None:
    for gateway in (misled.wrong_key, misled.wrong_secret):
        with pytest.raises(Stalled, match="LiveKitUnauthorized") as refused:
            await gateway.list_all(OutboundTrunk)
        assert refused.value.server_wide


async def test_a_wrong_path_is_not_taken_for_an_object_that_is_gone(misled: Any) -> None:
    with pytest.raises(Stalled, match="LiveKitMisconfigured") as refused:
        await misled.wrong_path.delete(Kind.DISPATCH_RULE, "SDR_any")
    assert refused.value.server_wide
