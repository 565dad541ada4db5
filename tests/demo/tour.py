"""The steps of the tour. Each shows what a user would type, and checks in LiveKit itself what came of it."""

import json
import secrets
import time

from demo.livekit_view import has_password
from demo.stage import NAMESPACE, Stage

TWILIO = "deploy/samples/twilio.yaml"
TELNYX = "deploy/samples/telnyx.yaml"
NAME = "main-support"
NUMBER = "+12025550123"
IN_NAMESPACE = ("-n", NAMESPACE)
OBJECT = f"bpn {NAME}"
_VERSION = ".status.credentials.resourceVersion"


def two_numbers(stage: Stage) -> None:
    """Apply and wait."""
    stage.heading("Two phone numbers from YAML")
    stage.say(
        "A number is one object. Its SIP password is in a Secret. These are the samples for Twilio and Telnyx as they "
        "are in the repository."
    )
    stage.run("create", "namespace", NAMESPACE)
    stage.run("apply", "-f", TWILIO, "-f", TELNYX)
    stage.run("wait", "--for=condition=Ready", "bpn", "--all", *IN_NAMESPACE, "--timeout=30s")
    stage.run("get", "bpn", *IN_NAMESPACE)
    stage.say("ORIGINATION is what you paste at your carrier. INBOUND and OUTBOUND are LiveKit's trunk IDs:")
    stage.run("get", "bpn", *IN_NAMESPACE, "-o", "wide")
    lists = stage.show_livekit()
    stage.check(
        "LiveKit has an outbound trunk, an inbound trunk and a dispatch rule for each number",
        "bpn",
        holds=(len(lists.outbound), len(lists.inbound), len(lists.rules)) == (2, 2, 2),
    )


def another_agent(stage: Stage) -> None:
    """A change in place."""
    stage.heading("Another agent for incoming calls")
    stage.say("LiveKit's objects are replaced in place: the IDs stay, and running calls go on.")
    before = stage.livekit.lists().ids
    patch = _json({"spec": {"inboundAgentId": "agent_night_shift"}})
    stage.run("patch", "bpn", NAME, *IN_NAMESPACE, "--type=merge", "-p", patch)
    stage.expect("LiveKit sends the calls to agent_night_shift", OBJECT, lambda: _agent(stage) == "agent_night_shift")
    stage.check("all IDs are the same", OBJECT, holds=stage.livekit.lists().ids == before)


def another_password(stage: Stage) -> None:
    """Rotation of a password."""
    stage.heading("A new SIP password")
    stage.say("Only the Secret changes. It carries our label, so the operator sees it at once.")
    before = stage.read(NAME, _VERSION)
    password = secrets.token_urlsafe(18)
    patch = _json({"stringData": {"password": password}})
    stage.run("patch", "secret", "twilio-sip", *IN_NAMESPACE, "-p", patch, secret=password)
    stage.expect(
        "LiveKit has the new password (compared, not printed)",
        OBJECT,
        lambda: has_password(stage.livekit.lists().outbound_of(NUMBER), password),
    )
    stage.expect(
        "the status names the Secret's new version", OBJECT, lambda: stage.read(NAME, _VERSION) not in ("", before)
    )


def refresh(stage: Stage) -> None:
    """The annotation that replaces everything in place."""
    stage.heading("Refresh on request")
    stage.say("Any new value of this annotation writes all LiveKit objects of the number anew. The IDs stay.")
    before, replaced = stage.livekit.lists().ids, stage.replaced()
    asked = str(int(time.time()))
    stage.run("annotate", "bpn", NAME, *IN_NAMESPACE, f"byoc.talkifai.dev/refresh={asked}")
    stage.expect(
        f"status.lastHandledRefresh is {asked}",
        OBJECT,
        lambda: stage.read(NAME, ".status.lastHandledRefresh") == asked,
    )
    # /metrics gives the same answer for a moment, so the counter may lag behind the status.
    stage.expect("two trunks and a rule were written anew", OBJECT, lambda: stage.replaced() - replaced == 3)
    stage.check("all IDs are the same", OBJECT, holds=stage.livekit.lists().ids == before)


def repair(stage: Stage) -> None:
    """Somebody deletes a trunk in LiveKit."""
    stage.heading("Somebody deletes a trunk in LiveKit")
    stage.say("Behind the operator's back. Here it compares every 2 seconds; by default every 5 minutes.")
    lost = stage.read(NAME, ".status.inboundTrunkId")
    stage.say(f"(a call to LiveKit's API deletes {lost})")
    stage.livekit.delete_trunk(lost)

    def made_again() -> str | None:
        trunk = stage.livekit.lists().inbound_of(NUMBER)
        return trunk.sip_trunk_id if trunk else None

    made = stage.expect("LiveKit has an inbound trunk for the number again", OBJECT, made_again)
    stage.expect(
        f"status and dispatch rule name the new trunk, {made}",
        OBJECT,
        lambda: stage.read(NAME, ".status.inboundTrunkId") == made and stage.livekit.lists().rule_of(made),
    )
    events = stage.run_describe(NAME)
    stage.check("the Event Repaired tells of it", OBJECT, holds="Repaired" in events)


def wrong_manifest(stage: Stage) -> None:
    """The API server refuses."""
    stage.heading("A mistake is refused before it is stored")
    stage.say("The rules are in the CRD, so the API server itself answers, even while the operator is down.")
    patch = {"spec": {"terminationUri": "sip:your-trunk.pstn.twilio.com;transport=tls"}}
    refusal = stage.run_refused("patch", "bpn", NAME, *IN_NAMESPACE, "--type=merge", "-p", _json(patch))
    meant = "write terminationUri: your-trunk.pstn.twilio.com" in refusal
    stage.check("the answer says what to write instead", OBJECT, holds=meant)


def delete(stage: Stage) -> None:
    """Everything goes."""
    stage.heading("Delete")
    stage.say("kubectl returns when LiveKit's objects are gone: a finalizer waits for that.")
    stage.run("delete", "bpn", "--all", *IN_NAMESPACE, "--timeout=30s")
    lists = stage.show_livekit()
    stage.check("LiveKit is empty", "bpn", holds=not lists.ids)


STEPS = (two_numbers, another_agent, another_password, refresh, repair, wrong_manifest, delete)
"""The tour in its order."""


def _json(patch: object) -> str:
    return json.dumps(patch, separators=(",", ":"))


def _agent(stage: Stage) -> str:
    """Name of the agent that LiveKit sends the number's calls to, empty if there is none."""
    lists = stage.livekit.lists()
    trunk = lists.inbound_of(NUMBER)
    rule = lists.rule_of(trunk.sip_trunk_id) if trunk else None
    return rule.room_config.agents[0].agent_name if rule else ""
