"""What a test sees and does: a namespace of its own as its user has it, LiveKit, and the operator between them."""

import base64
import itertools
import json
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest
import yaml

from integration.deployment import USER, Deployment
from integration.sip import Held, Sip
from manifests import manifest, merged
from testbed.audit import AuditEntry
from testbed.http_probe import get

_API = "/apis/byoc.talkifai.dev/v1alpha1"
_POLL_S = 0.05
LIST_WITHIN_S = 30.0
"""An API server that was started a moment ago refuses to list until its rights and its CRDs are loaded."""
_DOMAIN = "byoc.talkifai.dev"
BASE = {"terminationUri": "your-trunk.pstn.twilio.com", "inboundAgentId": "agent_support"}
LABEL = {f"{_DOMAIN}/sip-credentials": "true"}
GOOD_SECRET = {"username": "alice", "password": "first-password"}

_Found = TypeVar("_Found")
_fresh = itertools.count(secrets.randbelow(10_000))

Json = dict[str, Any]


def fresh_number() -> str:
    """A phone number that no other test of this run has. Numbers that tests write out have another area code."""
    return f"+1458555{next(_fresh) % 10_000:04}"


class Scene:
    """One test's namespace. What a user would do goes through kubectl; polling asks the API server directly."""

    def __init__(self, deployment: Deployment, namespace: str) -> None:
        self.deployment = deployment
        self.bed = deployment.bed
        self.proxy = deployment.proxy
        self.sip = Sip(self.bed.livekit)
        self.namespace = namespace
        kubeconfig = yaml.safe_load(self.bed.kubeconfig.read_text())
        self._token: str = kubeconfig["users"][0]["user"]["token"]

    # Actions of the user

    def kubectl(self, *args: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl in the namespace; its output."""
        done = self.bed.kubectl("-n", self.namespace, *args, stdin=stdin, check=check, timeout_s=60)
        return done.stdout + done.stderr

    def number(self, name: str = "a", **changes: Any) -> str:
        """Create a number: `BASE` and these fields, None takes one away. Its phone number, fresh unless given."""
        spec = merged({"phoneNumber": fresh_number(), **BASE}, changes)
        self.kubectl("create", "-f", "-", stdin=json.dumps(manifest(name, self.namespace, spec)))
        return str(spec["phoneNumber"])

    def numbers(self, count: int, **changes: Any) -> dict[str, str]:
        """Create many numbers in one go: name → phone number."""
        made = {f"n{index:03}": fresh_number() for index in range(count)}
        items = [
            manifest(name, self.namespace, merged({"phoneNumber": phone, **BASE}, changes))
            for name, phone in made.items()
        ]
        self.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
        return made

    def secret(
        self, data: Mapping[str, str | bytes], *, name: str = "sip", labelled: bool = True, type_: str = "Opaque"
    ) -> str:
        """Create or change a Secret; its resourceVersion."""
        encoded = {
            key: base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
            for key, value in data.items()
        }
        metadata = {"name": name, "namespace": self.namespace, "labels": LABEL if labelled else {}}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": type_, "data": encoded}
        applied = self.bed.kubectl("apply", "-o", "json", "-f", "-", stdin=json.dumps(body)).stdout
        return str(json.loads(applied)["metadata"]["resourceVersion"])

    def change(self, name: str = "a", /, **spec: Any) -> None:
        """Merge-patch the spec; None takes a field away."""
        self.kubectl("patch", "bpn", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def annotate(self, *wishes: str, name: str = "a") -> None:
        """`refresh=1` sets one of our annotations, `paused-` takes it away."""
        self.kubectl("annotate", "bpn", name, "--overwrite", *(f"{_DOMAIN}/{wish}" for wish in wishes))

    def wipe_status(self, name: str = "a") -> None:
        """Empty the status."""
        self.kubectl("patch", "bpn", name, "--subresource=status", "--type=merge", "-p", '{"status": null}')

    def delete(self, name: str = "a") -> None:
        """Delete a number and wait until it is gone."""
        self.kubectl("delete", "bpn", name, "--wait=false")
        self.until(lambda: self.find(name) is None, f"{name} is gone")

    # What the user sees in the cluster

    def find(self, name: str = "a") -> Json | None:
        """A number, None if there is none."""
        answer = self._get(f"{_API}/namespaces/{self.namespace}/byocphonenumbers/{name}")
        return answer if answer.get("kind") == "ByocPhoneNumber" else None

    def get(self, name: str = "a") -> Json:
        """A number that is there."""
        found = self.find(name)
        assert found is not None, f"there is no number {name}"
        return found

    def all(self) -> list[Json]:
        """All numbers of the namespace."""
        path = f"{_API}/namespaces/{self.namespace}/byocphonenumbers"

        def listed() -> list[list[Json]]:
            answer = self._get(path)
            return [answer["items"]] if "items" in answer else []

        found = self.found_within(listed, LIST_WITHIN_S)
        assert found, "the API server lists no numbers"
        return found[0]

    def events(self, name: str = "a") -> list[tuple[str, str]]:
        """Reason and note of the Events about a number, oldest first."""
        items = self._get(f"/apis/events.k8s.io/v1/namespaces/{self.namespace}/events")["items"]
        mine = [event for event in items if event["regarding"].get("name") == name]
        return [(event["reason"], event["note"]) for event in sorted(mine, key=lambda event: event["eventTime"])]

    def events_are_posted(self) -> None:
        """Wait until no Event waits in the operator."""
        self.until(lambda: self.deployment.process.metrics()["byoc_events_waiting"] == 0, "all Events are posted", 60)

    def held(self, phone: str) -> Held:
        """What LiveKit holds for a phone number."""
        return self.sip.of(phone)

    # Waiting

    def until(self, probe: Callable[[], _Found], what: str, within_s: float = 60) -> _Found:
        """Wait until the probe finds something; else fail, with the objects and the end of the operator's log."""
        found = self.found_within(probe, within_s)
        if not found:
            pytest.fail(f"not within {within_s:.0f} s: {what}\n{self._story()}")
        return found

    def found_within(self, probe: Callable[[], _Found], within_s: float) -> _Found:
        """What the probe found last, when it found something or the time was over."""
        deadline = time.monotonic() + within_s
        while not (found := probe()) and time.monotonic() < deadline:
            time.sleep(_POLL_S)
        return found

    def told(self, reason: str, name: str = "a", within_s: float = 60) -> Json:
        """The number, once its Ready condition has this reason for the spec as it is."""

        def probe() -> Json | None:
            number = self.find(name)
            current = number and number["status"]["observedGeneration"] == number["metadata"]["generation"]
            return number if number and current and condition(number)["reason"] == reason else None

        found = self.until(probe, f"{name} says {reason}", within_s)
        assert found is not None
        return found

    def ready(self, name: str = "a", within_s: float = 60) -> Json:
        """The number, once it is in step."""
        return self.told("Synced", name, within_s)

    def all_ready(self, count: int, within_s: float = 120) -> list[Json]:
        """All numbers, once `count` of them are in step."""

        def probe() -> list[Json] | None:
            found = self.all()
            good = [number for number in found if condition(number)["reason"] == "Synced"]
            return found if len(good) == len(found) == count else None

        return self.until(probe, f"{count} numbers are in step", within_s) or []

    def after_a_sweep(self) -> None:
        """Wait for the end of a sweep that began later than now."""
        before = self.deployment.sweeps()
        self.until(lambda: self.deployment.sweeps() >= before + 2, "two sweeps have ended")

    # Proving

    def one_each(self, phones: Iterable[str], kinds: tuple[int, int, int] = (1, 1, 1)) -> None:
        """Every number has exactly these many objects in LiveKit, and its status names them."""
        named = {number["spec"]["phoneNumber"]: recorded(number) for number in self.all()}
        held = {phone: self.held(phone) for phone in phones}
        assert {phone: each.counts for phone, each in held.items()} == dict.fromkeys(held, kinds)
        assert {phone: each.ids for phone, each in held.items()} == {phone: named[phone] for phone in held}

    # Counting

    def writes(self) -> list[AuditEntry]:
        """The writes of the operator to the API server in this namespace."""
        return [entry for entry in self.bed.writes_by(USER) if entry.namespace == self.namespace]

    @contextmanager
    def counted(self) -> Iterator[Counter[str]]:
        """LiveKit calls by method made meanwhile, filled in at the end."""
        before = Counter(self.proxy.calls)
        counts: Counter[str] = Counter()
        yield counts
        counts.update(Counter(self.proxy.calls) - before)

    def _get(self, path: str) -> Json:
        answer = get(self.bed.api_server.port, path, authority=self.bed.api_server.certificate, token=self._token)
        found: Json = json.loads(answer.body or "{}")
        return found

    def _story(self) -> str:
        stored = self._get(f"{_API}/namespaces/{self.namespace}/byocphonenumbers").get("items", [])  # none without it
        told = [json.dumps({**number, "metadata": brief(number)}, indent=1) for number in stored[:3]]
        return "\n".join([*told, "— end of the operator's log —", self.deployment.log_tail()])


def brief(number: Json) -> Json:
    """The metadata without `managedFields`."""
    return {key: value for key, value in number["metadata"].items() if key != "managedFields"}


def condition(number: Json, type_: str = "Ready") -> Json:
    """One condition; empty reason and message if it is absent."""
    found = [each for each in number["status"].get("conditions", ()) if each["type"] == type_]
    return found[0] if found else {"status": "", "reason": "", "message": ""}


def findings(number: Json) -> list[str]:
    """Codes of the findings."""
    return [finding["code"] for finding in number["status"].get("findings", ())]


def recorded(number: Json) -> tuple[str, ...]:
    """The LiveKit IDs in the status: outbound, inbound, rule; those that are there."""
    status = number["status"]
    return tuple(status[name] for name in ("outboundTrunkId", "inboundTrunkId", "dispatchRuleId") if name in status)


def livekit_writes(counts: Counter[str]) -> dict[str, int]:
    """The counted calls that change something."""
    return {method: count for method, count in counts.items() if not method.startswith("List")}
