#!/usr/bin/env python3
"""Calls somebody from one of your numbers: how an application uses what the operator keeps in order.

    python docs/dial_out.py --from +12025550123 --to +442079460123 --dry-run

The number's object is found in Kubernetes by its phone number; its status has the ID of LiveKit's outbound trunk, its
spec the agent. The agent is sent to a room of its own and LiveKit dials the other side into it. Reads KUBECONFIG (or
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


def find_number(numbers: client.CustomObjectsApi, phone_number: str, namespace: str | None = None) -> dict[str, Any]:
    """The ByocPhoneNumber with this number, in one namespace or in all. Raises CannotDial."""
    selector = f"spec.phoneNumber={phone_number}"
    found: Any
    if namespace:
        found = numbers.list_namespaced_custom_object(*KIND[:2], namespace, KIND[2], field_selector=selector)
    else:
        found = numbers.list_cluster_custom_object(*KIND, field_selector=selector)
    # Of two objects with one number only one holds it; the other says NumberClaimed and has no trunk.
    items: list[dict[str, Any]] = found["items"]
    if not items:
        raise CannotDial(f"no ByocPhoneNumber has the number {phone_number}")
    return next((item for item in items if item.get("status", {}).get("outboundTrunkId")), items[0])


def plan_call(number: dict[str, Any], to: str, agent_name: str = "") -> Call:
    """The requests for a call from a number; asks nobody. Raises CannotDial.

    `agent_name`: the agent's name in LiveKit, where it is not the agent id (BYOC_AGENT_NAME of the operator).
    """
    spec, status = number["spec"], number.get("status", {})
    trunk_id = status.get("outboundTrunkId")
    if not trunk_id:
        ready = [each for each in status.get("conditions", []) if each["type"] == "Ready"]
        why = f"{ready[0]['reason']}: {ready[0]['message']}" if ready else "the operator has not seen it yet"
        raise CannotDial(f"{spec['phoneNumber']} has no outbound trunk ({why})")
    agent_id = spec.get("outboundAgentId")
    if not agent_id:
        raise CannotDial(f"{spec['phoneNumber']} has no agent for outgoing calls: set spec.outboundAgentId")
    room = f"outbound-{uuid.uuid4().hex[:12]}"
    metadata = {"agentId": agent_id, "phoneNumber": spec["phoneNumber"], "direction": "outbound", "to": to}
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
    parser.add_argument("--namespace", help="where to look for the number; absent: everywhere")
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
