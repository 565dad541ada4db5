"""What users keep in Git stays what the cluster holds: neither the API server nor the operator changes a manifest."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

from testbed.bed import Bed
from testbed.installed import start_operator

ROOT = Path(__file__).parents[2]
SAMPLES = sorted((ROOT / "deploy/samples").glob("*.yaml"))
_REASONS = {"observe": "ChangesPending", "sealed": "SealingKeyUnknown"}
"""Where the operator's work ends otherwise than in step: the sealed sample holds placeholders of no cluster's key."""
EVERY_SAMPLE = pytest.mark.parametrize("sample", SAMPLES, ids=[path.stem for path in SAMPLES])
SETTINGS = {"BYOC_INSTALLATION_ID": "no-diff", "BYOC_SWEEP_INTERVAL_SECONDS": "1"}
_SETTLED = '{.status.conditions[?(@.type=="Ready")].reason}'

Json = dict[str, Any]


@dataclass(frozen=True)
class Applied:
    """A bed whose samples were applied in one way, and are compared and applied again in the same."""

    bed: Bed
    way: tuple[str, ...]

    def kubectl(self, verb: str, sample: Path, *, check: bool = True) -> CompletedProcess[str]:
        """`kubectl apply` or `diff` of a file."""
        return self.bed.kubectl(verb, *self.way, "-f", str(sample), check=check)


@pytest.fixture(scope="module")
def operated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    """A bed with the operator and the samples' namespace."""
    with Bed.start(tmp_path_factory.mktemp("no-diff")) as bed:
        operator = start_operator(bed, SETTINGS)
        try:
            bed.kubectl("create", "namespace", "voice")
            yield bed
        finally:
            operator.stop()


@pytest.fixture(scope="module", params=[(), ("--server-side",)], ids=["client-side", "server-side"])
def applied(operated: Bed, request: pytest.FixtureRequest) -> Iterator[Applied]:
    """Every sample, applied in one of the two ways, and the operator has done with it what there was to do."""
    way = Applied(operated, request.param)
    for sample in SAMPLES:
        way.kubectl("apply", sample)
        reason = _REASONS.get(sample.stem, "Synced")
        settled = f"--for=jsonpath={_SETTLED}={reason}"
        operated.kubectl("wait", settled, "--timeout=20s", "-n", "voice", *_numbers(sample))
    yield way
    for sample in SAMPLES:
        operated.kubectl("delete", "-f", str(sample))


def _numbers(sample: Path) -> list[str]:
    things = yaml.safe_load_all(sample.read_text())
    return [f"bpn/{thing['metadata']['name']}" for thing in things if thing["kind"] == "ByocPhoneNumber"]


def _stored(bed: Bed, sample: Path) -> dict[tuple[str, str], tuple[str, Any, Json]]:
    """Version, generation and spec of everything in a file, as stored, by kind and name."""
    found: Json = json.loads(bed.kubectl("get", "-f", str(sample), "-o", "json").stdout)
    return {
        (thing["kind"], thing["metadata"]["name"]): (
            thing["metadata"]["resourceVersion"],
            thing["metadata"].get("generation"),
            thing.get("spec", {}),
        )
        for thing in found.get("items", [found])
    }


@EVERY_SAMPLE
def test_no_sample_differs_from_git_once_the_operator_has_worked(applied: Applied, sample: Path) -> None:
    """Both ways in which Argo CD compares: the three-way merge, and the server's own answer to an apply."""
    compared = applied.kubectl("diff", sample, check=False)
    assert (compared.returncode, compared.stdout) == (0, ""), compared.stdout + compared.stderr


@EVERY_SAMPLE
def test_applying_a_sample_again_stores_nothing_new(applied: Applied, sample: Path) -> None:
    before = _stored(applied.bed, sample)
    assert len(before) == len(list(yaml.safe_load_all(sample.read_text())))
    applied.kubectl("apply", sample)
    assert _stored(applied.bed, sample) == before


@EVERY_SAMPLE
def test_a_stored_spec_holds_what_git_says(applied: Applied, sample: Path) -> None:
    """Lists are as in Git to the last entry: a default filled in there would differ in Argo CD for ever."""
    stored = _stored(applied.bed, sample)
    for thing in yaml.safe_load_all(sample.read_text()):
        _, _, spec = stored[thing["kind"], thing["metadata"]["name"]]
        assert _only_added(thing.get("spec", {}), spec)


def _only_added(asked: Any, stored: Any) -> bool:
    """Whether nothing but keys of maps was added."""
    if isinstance(asked, dict):
        return all(key in stored and _only_added(asked[key], stored[key]) for key in asked)
    return bool(asked == stored)
