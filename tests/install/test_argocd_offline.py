"""What Argo CD says and offers for a number in each state, asked of Argo CD itself, without a cluster."""

import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from byoc_operator.api.conditions import Reason, Verdict, stamped, summarise
from byoc_operator.api.recorded_status import RecordedStatus
from byoc_operator.generate.argocd import ACTIONS, argocd_files
from testbed import tools
from testbed.argocd_parts import run_argocd

pytestmark = pytest.mark.install

ROOT = Path(__file__).parents[2]
ARGOCD_CM = ROOT / "deploy/argocd/argocd-cm.yaml"
PREFIX = "byoc.talkifai.dev"
GENERATION = 3
SYNCED = "LiveKit is in step."
CONFLICT = Verdict(Reason.NUMBER_CONFLICT, "LiveKit has an inbound trunk with this number: ST_other.")
NO_ANSWER = Verdict(Reason.LIVEKIT_UNAVAILABLE, "LiveKit does not answer.", stalled=False)
PLAN = Verdict(Reason.CHANGES_PENDING, "The operator would create the outboundTrunk.", stalled=False)
PAUSED = Verdict(Reason.PAUSED, "Nothing is written to LiveKit.", stalled=False)


def told(verdict: Verdict | None, activity: Reason = Reason.UPDATING, generation: int = GENERATION) -> dict[str, Any]:
    """The status that the operator would write, made by its own functions."""
    conditions = summarise(verdict, activity, None, has_credentials=False, message=SYNCED)
    stated = stamped(conditions, (), generation, "2026-11-24T10:00:00Z")
    return dict(RecordedStatus(observed_generation=generation, conditions=stated).json())


@dataclass(frozen=True)
class State:
    """A number as it may be found, and what Argo CD is to make of it."""

    health: str
    message: str
    offers: frozenset[str]
    status: dict[str, Any] | None = None
    annotations: dict[str, str] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """The object in a file."""
        annotations = {f"{PREFIX}/{key}": value for key, value in self.annotations.items()}
        number = {
            "apiVersion": f"{PREFIX}/v1alpha1",
            "kind": "ByocPhoneNumber",
            "metadata": {"name": "main", "namespace": "voice", "generation": GENERATION, **self.metadata}
            | ({"annotations": annotations} if annotations else {}),
            # An empty map and an empty list: Lua knows one kind of empty table for both.
            "spec": {"phoneNumber": "+12025550123", "terminationUri": "sip.example.com", "outbound": {"headers": {}}}
            | self.spec,
        }
        path = folder / "number.yaml"
        path.write_text(yaml.safe_dump(number | ({"status": self.status} if self.status else {})))
        return path


USUAL = frozenset({"refresh", "recreate", "pause"})
RESUME = frozenset({"resume"})
HOLD = frozenset({"pause"})
DELETED = {"deletionTimestamp": "2026-11-24T10:00:00Z", "finalizers": [f"{PREFIX}/finalizer"]}
OBSERVE = {"managementPolicy": "Observe"}

STATES = {
    "just created": State("Progressing", "Waiting for the operator", USUAL, {"observedGeneration": -1}),
    "created before the CRD had defaults": State("Progressing", "Waiting for the operator", USUAL),
    "observed without a word": State(
        "Progressing", "Waiting for the operator", USUAL, {"observedGeneration": GENERATION}
    ),
    "syncing": State(
        "Progressing", "being created", USUAL, told(Verdict(Reason.CREATING, "being created", stalled=False))
    ),
    "Ready": State("Healthy", SYNCED, USUAL, told(None)),
    "Ready for an older spec": State(
        "Progressing", "Waiting for the operator", USUAL, told(None, generation=GENERATION - 1)
    ),
    "Stalled": State("Degraded", CONFLICT.message, USUAL, told(CONFLICT)),
    "Stalled for an older spec": State(
        "Progressing", "Waiting for the operator", USUAL, told(CONFLICT, generation=GENERATION - 1)
    ),
    "retrying": State("Progressing", NO_ANSWER.message, USUAL, told(NO_ANSWER, Reason.RETRYING)),
    "paused": State("Suspended", "Paused", RESUME, told(PAUSED), {"paused": "true"}),
    "paused, the operator has not seen it": State("Suspended", "Paused", RESUME, told(None), {"paused": "true"}),
    "resumed, the operator has not seen it": State("Progressing", PAUSED.message, USUAL, told(PAUSED)),
    "not paused in so many words": State("Healthy", SYNCED, USUAL, told(None), {"paused": "false"}),
    "Observe with a plan": State("Suspended", PLAN.message, HOLD, told(PLAN), spec=OBSERVE),
    "Observe with a plan for an older spec": State(
        "Progressing", "Waiting for the operator", HOLD, told(PLAN, generation=GENERATION - 1), spec=OBSERVE
    ),
    "Observe without a plan": State("Healthy", SYNCED, HOLD, told(None), spec=OBSERVE),
    "adoption that would erase something": State("Suspended", PLAN.message, USUAL, told(PLAN)),
    "deleting": State("Progressing", "", frozenset(), told(None), metadata=DELETED),
    "deleting while stalled": State("Progressing", "", frozenset(), told(CONFLICT), metadata=DELETED),
    "deleting while paused": State("Progressing", "", frozenset(), told(PAUSED), {"paused": "true"}, DELETED),
}


def ask(question: str, number: Path, *more: str) -> str:
    """An answer of `argocd admin settings resource-overrides` with our `argocd-cm`."""
    command = ("admin", "settings", "resource-overrides", question, str(number), *more)
    return run_argocd(*command, "--argocd-cm-path", str(ARGOCD_CM), home=number.parent).stdout


def run(action: str, state: State, folder: Path) -> list[str]:
    """The lines that an action takes away (<) and adds (>), blanks apart."""
    answer = ask("run-action", state.write(folder), action)
    return [f"{line[0]} {line[1:].strip()}" for line in answer.splitlines() if line.startswith(("<", ">"))]


@pytest.mark.parametrize("name", STATES)
def test_argo_cd_judges_a_number_as_kstatus_does(name: str, tmp_path: Path) -> None:
    state = STATES[name]
    lines = dict(line.split(": ", 1) for line in ask("health", state.write(tmp_path)).splitlines() if ": " in line)
    assert lines["STATUS"] == state.health
    assert state.message in lines["MESSAGE"]


@pytest.mark.parametrize(
    "name", ["Ready", "Stalled", "paused", "deleting", "deleting while paused", "Observe with a plan"]
)
def test_argo_cd_offers_only_actions_that_do_something(name: str, tmp_path: Path) -> None:
    state = STATES[name]
    rows = [line.split() for line in ask("list-actions", state.write(tmp_path)).splitlines()[1:]]
    assert {row[0] for row in rows} == set(ACTIONS)
    assert {action for action, disabled in rows if disabled == "false"} == state.offers


@pytest.mark.parametrize("action", ["refresh", "recreate"])
def test_refresh_and_recreate_write_the_time_as_a_new_value(action: str, tmp_path: Path) -> None:
    key = f"{PREFIX}/{action}"
    before = {action: "2026-11-24T10:00:00Z"}
    gone, came = run(action, State("", "", USUAL, told(None), before), tmp_path)
    assert gone == f'< {key}: "2026-11-24T10:00:00Z"'
    assert re.fullmatch(rf'> {key}: "\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ"', came)


def test_pause_sets_the_annotation_and_nothing_else(tmp_path: Path) -> None:
    assert run("pause", STATES["Stalled"], tmp_path) == ["> annotations:", f'> {PREFIX}/paused: "true"']


def test_resume_takes_the_annotation_away_and_leaves_the_others(tmp_path: Path) -> None:
    state = State("", "", RESUME, told(PAUSED), {"paused": "true", "refresh": "1"})
    assert run("resume", state, tmp_path) == [f'< {PREFIX}/paused: "true"']


def test_the_snippet_is_a_patch_for_kustomize_as_the_docs_say(tmp_path: Path) -> None:
    (patches,) = re.findall(r"`(patches: \[.*\])`", (ROOT / "docs/argocd.md").read_text())
    shutil.copy(ARGOCD_CM, tmp_path)
    own = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "argocd-cm"}, "data": {"url": "of-argocd"}}
    (tmp_path / "install.yaml").write_text(yaml.safe_dump(own))
    (tmp_path / "kustomization.yaml").write_text(f"namespace: argocd\nresources: [install.yaml]\n{patches}\n")
    built = subprocess.run(
        [str(tools.find(tools.KUBECTL)), "kustomize", str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    snippet = yaml.safe_load(ARGOCD_CM.read_text())["data"]
    assert yaml.safe_load(built.stdout)["data"] == {"url": "of-argocd", **snippet}


def test_the_files_that_argo_cd_reads_are_those_made_from_the_scripts() -> None:
    assert {path: (ROOT / path).read_text() for path in argocd_files(ROOT)} == argocd_files(ROOT)
