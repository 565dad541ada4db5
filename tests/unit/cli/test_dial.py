"""`kubectl byoc dial`: one call, its answer in words, and a room that is closed whatever happens."""

import asyncio
import json
import os
import signal
import sys
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import Result

from byoc_operator.api.conditions import Reason
from byoc_operator.cli import dial
from byoc_operator.cluster.fake import Refuse
from byoc_operator.errors import Failure, Stalled, Unavailable
from byoc_operator.livekit_sip.room_port import JobSeen, PhoneCall
from kubectl import Cluster
from operated import NAMESPACE, PHONE, manifest
from rooms_played import RoomsPlayed, refused

TO = "+442079460123"
LIVEKIT = {"LIVEKIT_URL": "http://livekit", "LIVEKIT_API_KEY": "key", "LIVEKIT_API_SECRET": "s" * 40}


def number(cluster: Cluster, name: str = "main", *, ready: bool = True, trunk: str = "ST_out", **spec: Any) -> None:
    cluster.api.apply(manifest(name, **{"phoneNumber": PHONE, "outboundAgentId": "agent_sales", **spec}))
    condition = {"type": "Ready", "status": str(ready), "reason": "Synced" if ready else "NumberClaimed"}
    status = {"conditions": [{**condition, "message": "as it is"}], "outboundTrunkId": trunk}
    cluster.api._objects["byocphonenumbers", NAMESPACE, name]["status"] = status


@pytest.fixture
def rooms(cluster: Cluster) -> RoomsPlayed:
    number(cluster)
    cluster.around["environ"] = LIVEKIT
    cluster.rooms = RoomsPlayed()
    return cluster.rooms


def dialled(cluster: Cluster, *args: str, yes: bool = True) -> Result:
    return cluster.run("dial", "main", "-n", NAMESPACE, "--to", TO, *(["--yes"] if yes else []), *args)


def test_the_phone_rings_once_the_agent_is_there_and_the_room_is_closed_after_the_call(
    cluster: Cluster, rooms: RoomsPlayed
) -> None:
    rooms.agent_comes_at = 3
    result = dialled(cluster)
    assert result.exit_code == 0
    assert "agent: agent_sales joined after 0.5 s" in result.stdout
    assert "answered: after 0.0 s, call SCL_1" in result.stdout
    assert "ended: 2 s after dialling" in result.stdout
    assert rooms.asked[:5] == ["open", *["participants"] * 3, "dial"]
    assert rooms.asked[-2:] == ["close", "aclose"]
    assert rooms.calls == [PhoneCall("ST_out", TO, 30, 600)]
    assert [(each.name, json.loads(each.metadata)) for each in rooms.agents] == [
        (
            "agent_sales",
            {
                "agentId": "agent_sales",
                "phoneNumber": PHONE,
                "direction": "outbound",
                "namespace": NAMESPACE,
                "name": "main",
                "to": TO,
            },
        )
    ]


def test_without_an_agent_nobody_is_called(cluster: Cluster, rooms: RoomsPlayed) -> None:
    rooms.agent_comes_at = 0
    result = dialled(cluster)
    assert result.exit_code == 1
    assert "nobody was called. No worker took the job within 15 s" in result.stderr
    assert "dial" not in rooms.asked
    assert not rooms.open_rooms


def test_an_agent_whose_job_failed_is_told(cluster: Cluster, rooms: RoomsPlayed) -> None:
    rooms.agent_comes_at, rooms.jobs_seen = 0, (JobSeen("agent_sales", "", "no worker has capacity"),)
    assert "no worker has capacity" in dialled(cluster).stderr


def test_a_call_without_an_agent(cluster: Cluster, rooms: RoomsPlayed) -> None:
    result = dialled(cluster, "--no-agent", "--timeout", "20s")
    assert (result.exit_code, rooms.agents) == (0, [])
    assert rooms.calls == [PhoneCall("ST_out", TO, 20, 600)]


@pytest.mark.parametrize(
    ("code", "words", "told", "means"),
    [
        (407, "Proxy Authentication Required", "SIP 407 Proxy Authentication Required", "refuses the credentials"),
        (486, "Busy Here", "SIP 486 Busy Here", "is busy"),
        (None, "", "no SIP answer", "Nobody answered in time"),
        (None, "tls: handshake failure", "no SIP answer tls: handshake failure", "spec.transport"),
        (None, "requested sip trunk does not exist", "no SIP answer requested", "does not know the outbound trunk"),
    ],
)
def test_what_the_carrier_answers_is_told_with_what_it_means(
    cluster: Cluster, rooms: RoomsPlayed, code: int | None, words: str, told: str, means: str
) -> None:
    rooms.failure = refused(code, words)
    result = dialled(cluster)
    assert result.exit_code == 7
    assert f"answer: {told}" in result.stdout
    assert means in result.stderr
    assert not rooms.open_rooms


def test_ctrl_c_closes_the_room(cluster: Cluster, rooms: RoomsPlayed) -> None:
    rooms.interrupts = True
    with pytest.raises(asyncio.CancelledError):
        dialled(cluster)
    assert not rooms.open_rooms
    assert rooms.asked[-3:] == ["dial", "close", "aclose"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGHUP, 130)])
def test_a_signal_during_the_call_closes_the_room(
    cluster: Cluster, rooms: RoomsPlayed, number: signal.Signals, code: int
) -> None:
    rooms.talks, sent = 1000, list[signal.Signals]()

    def meanwhile() -> None:
        if rooms.calls and not sent:
            sent.append(number)
            os.kill(os.getpid(), number)

    cluster.meanwhile = meanwhile
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # parallel test workers ignore it
    try:
        result = dialled(cluster)
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.exit_code == code
    assert "answered" in result.stdout
    assert not rooms.open_rooms


def test_a_call_is_placed_where_the_event_loop_handles_no_signals(
    cluster: Cluster, rooms: RoomsPlayed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "sys", SimpleNamespace(platform="win32", stdin=sys.stdin))
    monkeypatch.delattr(signal, "SIGHUP")
    assert dialled(cluster).exit_code == 0
    assert not rooms.open_rooms


def test_the_id_of_a_call_is_whatever_livekit_says(cluster: Cluster, rooms: RoomsPlayed) -> None:
    rooms.call_id = "\x1b[2J\n" * 10_000
    result = dialled(cluster)
    assert result.exit_code == 0
    assert result.stdout.isprintable() or set(filter(lambda each: not each.isprintable(), result.stdout)) == {"\n"}
    assert max(map(len, result.stdout.splitlines())) < 150
    assert len(result.stdout.splitlines()) == 3


def test_a_call_that_livekit_never_ends_is_ended(cluster: Cluster, rooms: RoomsPlayed) -> None:
    rooms.talks = 10**9
    result = dialled(cluster)
    assert result.exit_code == 1
    assert "LiveKit should have ended the call after 600 s, and has not; the room was closed" in result.stderr
    assert not rooms.open_rooms
    assert sum(cluster.waited) < 700


def test_a_room_that_cannot_be_closed_is_named(cluster: Cluster, rooms: RoomsPlayed) -> None:
    rooms.close_fails = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "The connection to LiveKit was lost.")
    result = dialled(cluster)
    assert f"the room {next(iter(rooms.open_rooms))} could not be closed" in result.stderr


def test_a_livekit_that_is_down_is_told_and_the_room_closed(cluster: Cluster, rooms: RoomsPlayed) -> None:
    rooms.open_fails = Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit did not answer in time.", outcome_unknown=True)
    result = dialled(cluster)
    assert (result.exit_code, rooms.asked) == (1, ["open", "close", "aclose"])
    assert "LiveKit did not answer in time." in result.stderr


@pytest.mark.parametrize(
    ("fault", "closes"),
    [
        (Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit did not answer in time.", outcome_unknown=True), True),
        (Unavailable(Reason.LIVEKIT_UNAVAILABLE, "LiveKit cannot be reached."), False),
        (Stalled(Reason.LIVEKIT_UNAUTHORIZED, "LiveKit does not accept the API key."), False),
    ],
)
def test_a_room_that_never_was_is_not_closed(
    cluster: Cluster, rooms: RoomsPlayed, fault: Failure, *, closes: bool
) -> None:
    rooms.open_fails = fault
    result = dialled(cluster)
    assert (result.exit_code, "close" in rooms.asked) == (1, closes)
    assert result.stderr == f"kubectl byoc: {fault.message}\n"


def test_in_a_pipe_nothing_is_dialled_without_yes(cluster: Cluster, rooms: RoomsPlayed) -> None:
    result = dialled(cluster, yes=False)
    assert (result.exit_code, rooms.asked) == (2, [])
    assert "--yes" in result.stderr


@pytest.mark.parametrize(("answer", "code", "called"), [(True, 0, 1), (False, 1, 0)])
def test_a_person_at_a_terminal_is_asked(
    cluster: Cluster, rooms: RoomsPlayed, monkeypatch: pytest.MonkeyPatch, *, answer: bool, code: int, called: int
) -> None:
    asked: list[str] = []

    def confirm(text: str, **_: object) -> bool:
        asked.append(text)
        return answer

    monkeypatch.setattr(dial, "_can_ask", lambda: True)
    monkeypatch.setattr(click, "confirm", confirm)
    assert dialled(cluster, yes=False).exit_code == code
    assert len(rooms.calls) == called
    (question,) = asked
    assert all(text in question for text in (TO, PHONE, "ST_out", "charges"))


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"ready": False}, "NumberClaimed: as it is"),
        ({"trunk": ""}, "has no outbound trunk"),
        ({"outboundAgentId": ""}, "set spec.outboundAgentId"),
    ],
)
def test_a_number_that_cannot_call_is_told(
    cluster: Cluster, rooms: RoomsPlayed, spec: dict[str, Any], told: str
) -> None:
    number(cluster, **spec)
    result = dialled(cluster)
    assert (result.exit_code, rooms.asked) == (1, [])
    assert told in result.stderr


def test_of_two_objects_with_the_number_the_ready_one_calls(cluster: Cluster, rooms: RoomsPlayed) -> None:
    number(cluster, "other", ready=False, trunk="ST_other")
    assert cluster.run("dial", PHONE, "-n", NAMESPACE, "--to", TO, "--yes").exit_code == 0
    assert [call.trunk_id for call in rooms.calls] == ["ST_out"]
    number(cluster, "other", trunk="ST_other")
    assert "several objects are Ready" in cluster.run("dial", PHONE, "-n", NAMESPACE, "--to", TO, "--yes").stderr


@pytest.mark.parametrize("args", [("--to", "442079460123"), ("--timeout", "1s"), ("--timeout", "90s")])
def test_wrong_input(cluster: Cluster, rooms: RoomsPlayed, args: tuple[str, ...]) -> None:
    result = cluster.run("dial", "main", "-n", NAMESPACE, "--yes", "--to", TO, *args)
    assert (result.exit_code, rooms.asked) == (2, [])
    assert args[0] in result.stderr


def test_without_a_key_for_livekit(cluster: Cluster, rooms: RoomsPlayed) -> None:
    cluster.around["environ"] = {}
    result = dialled(cluster)
    assert (result.exit_code, rooms.asked) == (1, [])
    assert "--livekit-key-file" in result.stderr


def test_a_missing_right_on_the_operator_is_told(cluster: Cluster, rooms: RoomsPlayed) -> None:
    cluster.around["environ"] = {}
    cluster.api.without = {("list", "deployments")}
    result = dialled(cluster)
    assert (result.exit_code, rooms.asked) == (3, [])
    assert "no key for LiveKit is known (Deployment: you may not read this)" in result.stderr


def test_a_number_of_another_namespace_is_found_where_one_is_told_to_look(cluster: Cluster, rooms: RoomsPlayed) -> None:
    asked = ("dial", PHONE, "--to", TO, "--yes", "--no-agent")
    missed = cluster.run(*asked, "-n", "sales")
    assert f"there is no ByocPhoneNumber {PHONE} in the namespace sales; -A looks in all namespaces" in missed.stderr
    assert (missed.exit_code, rooms.asked) == (1, [])
    assert cluster.run(*asked, "-A").exit_code == 0


def test_without_rights(cluster: Cluster, rooms: RoomsPlayed) -> None:
    cluster.api.inject(Refuse(403, "no"), "GET", "byocphonenumbers")
    assert dialled(cluster).exit_code == 3
    assert rooms.asked == []
