#!/usr/bin/env python3
"""Calls somebody from one of your numbers: how an application uses what the operator keeps in order.

    python docs/dial_out.py --namespace voice --from +12025550123 --to +442079460123 --dry-run

The number's object is found in Kubernetes by its namespace and phone number; its status has the ID of LiveKit's
outbound trunk, its spec the agent. Anybody can make an object with your number in a namespace of their own: never look
in all of them. The agent is sent to a room of its own and LiveKit dials the other side into it. Reads KUBECONFIG (or
runs in a pod) and LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET. Needs the packages kubernetes and livekit-api.
"""

import argparse
import asyncio
import json
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import MessageToDict
from kubernetes import client, config
from livekit import api
from livekit.protocol.agent_dispatch import CreateAgentDispatchRequest
from livekit.protocol.room import DeleteRoomRequest
from livekit.protocol.sip import CreateSIPParticipantRequest

KIND = ("byoc.talkifai.dev", "v1alpha1", "byocphonenumbers")


class CannotDial(Exception):
    """Why there is no call; says what to do about it."""


@dataclass(frozen=True)
class Call:
    """Two requests to LiveKit: the agent comes into the room, then the phone rings."""

    agent: CreateAgentDispatchRequest
    phone: CreateSIPParticipantRequest


def find_number(numbers: client.CustomObjectsApi, phone_number: str, namespace: str) -> dict[str, Any]:
    """The one Ready ByocPhoneNumber of a namespace with this number. Raises CannotDial where there is none, or two."""
    group, version, plural = KIND
    selector = f"spec.phoneNumber={phone_number}"
    found = numbers.list_namespaced_custom_object(group, version, namespace, plural, field_selector=selector)
    items: list[dict[str, Any]] = found["items"]
    if not items:
        raise CannotDial(f"no ByocPhoneNumber in namespace {namespace} has the number {phone_number}")
    # Of two objects with one number only one holds it; the other says NumberClaimed.
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
    """The requests for a call from a number; asks nobody. Raises CannotDial.

    `agent_name`: the agent's name in LiveKit, where it is not the agent id (BYOC_AGENT_NAME of the operator).
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
    return Call(
        agent=CreateAgentDispatchRequest(agent_name=agent_name or agent_id, room=room, metadata=json.dumps(metadata)),
        phone=CreateSIPParticipantRequest(
            sip_trunk_id=trunk_id,
            sip_call_to=to,
            room_name=room,
            participant_identity=f"sip_{to}",
            wait_until_answered=True,
        ),
    )


async def dial(call: Call) -> str:
    """Make the call and wait until it is answered; LiveKit's ID of the call. Raises api.TwirpError."""
    async with api.LiveKitAPI() as livekit:
        await livekit.agent_dispatch.create_dispatch(call.agent)  # makes the room, too
        try:
            participant = await livekit.sip.create_sip_participant(call.phone)
        except api.TwirpError:
            # Nobody answered: the agent must not wait in the room.
            await livekit.room.delete_room(DeleteRoomRequest(room=call.phone.room_name))
            raise
        return participant.sip_call_id


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit status."""
    parser = argparse.ArgumentParser(description="Call somebody from one of your numbers.")
    parser.add_argument("--from", dest="number", required=True, metavar="NUMBER", help="your number, E.164")
    parser.add_argument("--to", required=True, metavar="NUMBER", help="whom to call, E.164")
    parser.add_argument("--namespace", required=True, help="namespace of the number")
    parser.add_argument("--agent-name", default="", help="LiveKit agent name; absent: the id of the outbound agent")
    parser.add_argument("--dry-run", action="store_true", help="show the requests, send none")
    wanted = parser.parse_args(arguments)
    try:
        config.load_config()  # type: ignore[no-untyped-call]
        number = find_number(client.CustomObjectsApi(), wanted.number, wanted.namespace)
        call = plan_call(number, wanted.to, wanted.agent_name)
        if wanted.dry_run:
            requests = {"agentDispatch": MessageToDict(call.agent), "sipParticipant": MessageToDict(call.phone)}
            sys.stdout.write(json.dumps(requests, indent=2) + "\n")
        else:
            sys.stdout.write(f"answered: {asyncio.run(dial(call))}\n")
    except config.ConfigException as error:
        sys.stderr.write(f"no cluster: {error}; set KUBECONFIG\n")
        return 1
    except ValueError as error:
        sys.stderr.write(f"{error}: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET\n")
        return 1
    except (CannotDial, api.TwirpError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
