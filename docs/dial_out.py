#!/usr/bin/env python3
"""Calls somebody from one of your numbers: an example of an application that uses the operator's numbers.

    python docs/dial_out.py --namespace voice --from +12025550123 --to +442079460123 --dry-run

The program finds the ByocPhoneNumber in Kubernetes by its namespace and phone number. The status has the ID of
LiveKit's outbound trunk, and the spec has the agent. Do not search all namespaces: anybody can create an object with
your number in a namespace of their own. The program sends the agent into a new room, and LiveKit dials the other side
only when the agent is there. So nobody hears silence, and no agent joins a room that is closed. If the attempt ends
in any other way (a refusal, Ctrl-C), the program closes the room, which ends the call and the agent's job. The
program reads KUBECONFIG (or runs in a pod) and LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET. It needs the
packages kubernetes and livekit-api.
"""

import argparse
import asyncio
import json
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import urllib3
from google.protobuf.json_format import MessageToDict
from kubernetes import client, config
from livekit import api
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.models import ParticipantInfo
from livekit.protocol.room import CreateRoomRequest, DeleteRoomRequest, ListParticipantsRequest
from livekit.protocol.sip import CreateSIPParticipantRequest

KIND = ("byoc.talkifai.dev", "v1alpha1", "byocphonenumbers")
API_SERVER_S = 10
AGENT_S = 15.0
"""How long an agent may take to join the room. An agent that runs needs a second or two."""

EMPTY_S = 30
"""After so many seconds LiveKit itself closes the room if nobody is in it."""

LOOK_S = 0.25
INTERRUPTED = 130
"""The exit status after Ctrl-C, as in a shell."""

REFUSALS = {
    401: "the carrier refuses the credentials: compare user name and password in the Secret with the carrier's",
    403: "the carrier forbids the call: is the number assigned to this trunk, and may it call there?",
    404: "the carrier does not know the number that was called",
    407: "the carrier refuses the credentials: compare user name and password in the Secret with the carrier's",
    408: "the carrier did not answer in time",
    480: "nobody can be reached there now",
    486: "the other side is busy",
    488: "the carrier does not take the media that was offered: compare spec.mediaEncryption with the carrier's SRTP",
    503: "the carrier cannot take calls now",
    603: "the other side declined",
}


class CannotDial(Exception):
    """The call cannot be placed. The message says why, and what to do."""


@dataclass(frozen=True)
class Call:
    """Two requests to LiveKit: a room with its agent, then the phone rings.

    A room that is created without its agent also starts the workers that are registered without a name.
    """

    room: CreateRoomRequest
    phone: CreateSIPParticipantRequest


def find_number(numbers: client.CustomObjectsApi, phone_number: str, namespace: str) -> dict[str, Any]:
    """The one Ready ByocPhoneNumber of a namespace with this number. Raises CannotDial where there is none, or two."""
    group, version, plural = KIND
    selector = f"spec.phoneNumber={phone_number}"
    try:
        found = numbers.list_namespaced_custom_object(
            group, version, namespace, plural, field_selector=selector, _request_timeout=API_SERVER_S
        )
    except client.ApiException as error:
        raise CannotDial(
            f"the API server refuses to list numbers in {namespace}: {error.status} {error.reason}"
        ) from None
    except urllib3.exceptions.HTTPError as error:
        raise CannotDial(f"the API server does not answer ({type(error).__name__})") from None
    items: list[dict[str, Any]] = found["items"]
    if not items:
        raise CannotDial(f"no ByocPhoneNumber in namespace {namespace} has the number {phone_number}")
    # If two objects name the number, only the holder is Ready; the other one reports NumberClaimed.
    ready = [item for item in items if _ready(item).get("status") == "True"]
    if not ready:
        why = "; ".join(f"{item['metadata']['name']}: {_why_not(item)}" for item in items)
        raise CannotDial(f"no ByocPhoneNumber in namespace {namespace} with the number {phone_number} is Ready ({why})")
    if len(ready) > 1:
        names = ", ".join(item["metadata"]["name"] for item in ready)
        raise CannotDial(f"several ByocPhoneNumbers in namespace {namespace} have the number {phone_number}: {names}")
    return ready[0]


def _ready(number: dict[str, Any]) -> dict[str, Any]:
    """The condition Ready, empty if there is none."""
    conditions: list[dict[str, Any]] = number.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == "Ready"), {})


def _why_not(number: dict[str, Any]) -> str:
    ready = _ready(number)
    return f"{ready['reason']}: {ready['message']}" if ready else "the operator has not seen it yet"


def plan_call(number: dict[str, Any], to: str, agent_name: str = "") -> Call:
    """The requests for a call from a number; sends nothing. Raises CannotDial.

    `agent_name`: the agent's name in LiveKit if it is not the agent id (BYOC_AGENT_NAME of the operator).
    """
    spec, status = number["spec"], number.get("status", {})
    trunk_id = status.get("outboundTrunkId")
    if not trunk_id:
        raise CannotDial(f"{spec['phoneNumber']} has no outbound trunk ({_why_not(number)})")
    agent_id = spec.get("outboundAgentId")
    if not agent_id:
        raise CannotDial(f"{spec['phoneNumber']} has no agent for outgoing calls: set spec.outboundAgentId")
    room = f"outbound-{uuid.uuid4().hex[:12]}"
    metadata = {
        "agentId": agent_id,
        "phoneNumber": spec["phoneNumber"],
        "direction": "outbound",
        "namespace": number["metadata"]["namespace"],
        "name": number["metadata"]["name"],
        "to": to,
    }
    agent = {"agent_name": agent_name or agent_id, "metadata": json.dumps(metadata)}
    return Call(
        room=CreateRoomRequest(
            name=room, empty_timeout=EMPTY_S, departure_timeout=EMPTY_S, agents=[RoomAgentDispatch(**agent)]
        ),
        phone=CreateSIPParticipantRequest(
            sip_trunk_id=trunk_id,
            sip_call_to=to,
            room_name=room,
            participant_identity=f"sip_{to}",
            wait_until_answered=True,
        ),
    )


async def dial(call: Call, agent_s: float = AGENT_S) -> str:
    """Place the call and wait until it is answered; LiveKit's ID of the call. Raises CannotDial.

    If the call is not answered, for whatever cause, the room is closed.
    """
    async with api.LiveKitAPI() as livekit:
        try:
            await livekit.room.create_room(call.room)
            await _agent_is_there(livekit, call, agent_s)
            return (await livekit.sip.create_sip_participant(call.phone)).sip_call_id
        except BaseException as error:  # also after Ctrl-C the phone must stop ringing
            await _close(livekit, call.phone.room_name)
            if isinstance(error, api.TwirpError):
                raise CannotDial(_meaning(error)) from error
            if isinstance(error, TimeoutError | aiohttp.ClientError):
                raise CannotDial(_no_answer(error)) from error
            raise


async def _agent_is_there(livekit: api.LiveKitAPI, call: Call, within_s: float) -> None:
    """Wait for the agent. Raises CannotDial if none comes."""
    looked_for = ListParticipantsRequest(room=call.phone.room_name)
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        found = (await livekit.room.list_participants(looked_for)).participants
        if any(each.kind == ParticipantInfo.Kind.AGENT for each in found):
            return
        await asyncio.sleep(LOOK_S)
    name = call.room.agents[0].agent_name
    raise CannotDial(f"no agent came within {within_s:g} s: does a worker run that is registered as {name}?")


async def _close(livekit: api.LiveKitAPI, room: str) -> None:
    """Close the room, which ends the call and the agent's job. Reports a failure: somebody may still be in the room."""
    try:
        await livekit.room.delete_room(DeleteRoomRequest(room=room))
    except api.TwirpError as error:
        if error.code != api.TwirpErrorCode.NOT_FOUND:
            sys.stderr.write(f"the room {room} could not be closed: {error.message}\n")
    except (TimeoutError, aiohttp.ClientError) as error:
        sys.stderr.write(f"the room {room} could not be closed: {type(error).__name__}\n")


def _meaning(error: api.TwirpError) -> str:
    """What a refusal means, and what to do about it."""
    if "max auth retry attempts" in error.message:  # livekit-sip answered, and the carrier asked again
        return REFUSALS[407]
    code = error.sip_status_code if isinstance(error, api.SipCallError) else None
    if code is None:
        return f"LiveKit does not make the call: {error.message} ({error.code})"
    return f"the call failed with SIP {code}: {REFUSALS.get(code, error.sip_status or error.message)}"


def _no_answer(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return "LiveKit cannot be reached: check LIVEKIT_URL"
    return (
        f"there was no answer in time ({type(error).__name__}): does the carrier listen at spec.terminationUri with "
        "spec.transport (TLS to a port without TLS ends like this)?"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    wanted = _parser().parse_args(arguments)
    try:
        config.load_config()  # type: ignore[no-untyped-call]
        number = find_number(client.CustomObjectsApi(), wanted.number, wanted.namespace)
        call = plan_call(number, wanted.to, wanted.agent_name)
        if wanted.dry_run:
            requests = {"room": MessageToDict(call.room), "sipParticipant": MessageToDict(call.phone)}
            sys.stdout.write(json.dumps(requests, indent=2) + "\n")
        else:
            sys.stdout.write(f"answered: {asyncio.run(dial(call, wanted.agent_timeout))}\n")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: the room is closed\n")
        return INTERRUPTED
    except config.ConfigException as error:
        sys.stderr.write(f"no cluster: {error}; set KUBECONFIG\n")
    except ValueError as error:
        sys.stderr.write(f"{error}: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET\n")
    except CannotDial as error:
        sys.stderr.write(f"{error}\n")
    else:
        return 0
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Call somebody from one of your numbers.")
    parser.add_argument("--from", dest="number", required=True, metavar="NUMBER", help="your number, E.164")
    parser.add_argument("--to", required=True, metavar="NUMBER", help="whom to call, E.164")
    parser.add_argument("--namespace", required=True, help="namespace of the number")
    parser.add_argument("--agent-name", default="", help="LiveKit agent name; absent: the id of the outbound agent")
    parser.add_argument(
        "--agent-timeout", type=float, default=AGENT_S, metavar="SECONDS", help="how long to wait for the agent"
    )
    parser.add_argument("--dry-run", action="store_true", help="show the requests, send none")
    return parser


if __name__ == "__main__":
    sys.exit(main())
