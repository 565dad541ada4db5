"""A refusal is logged once, its end is logged, and the memory for refusals is bounded."""

import logging

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.answers import Asked, Forbidden, Invalid
from byoc_operator.cluster.refusals import FORGOTTEN_S, TOLD_AGAIN_S, Refusals
from operated import World, manifest
from virtual_time import in_virtual_time

NUMBERS, STATUS = "byocphonenumbers", "byocphonenumbers/status"
RBAC = (
    'byocphonenumbers.byoc.talkifai.dev "a" is forbidden: User "system:serviceaccount:byoc-system:operator" cannot '
    'patch resource "byocphonenumbers/status" in API group "byoc.talkifai.dev" in the namespace "voice"'
)
POLICY = (
    "byocphonenumbers.byoc.talkifai.dev \"main\" is forbidden: ValidatingAdmissionPolicy 'labels' with binding "
    "'labels' denied request: a label is missing"
)
PATCH = Asked("patch", "byoc.talkifai.dev", STATUS, "voice", "a")
NO_RIGHT = Forbidden(Reason.KUBERNETES_REFUSED, f"PATCH {STATUS}: 403: {RBAC}", words=RBAC, missing_right=True)


def gauge(world: World, verb: str, resource: str) -> float | None:
    return world.ports.metrics.registry.get_sample_value("byoc_refused_requests", {"verb": verb, "resource": resource})


def told(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.getMessage() for record in caplog.records if record.levelno >= logging.INFO)


def test_a_right_is_told_once_and_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    refusals = Refusals(lambda: 0.0)
    for number in range(1000):
        refusals.answered(PATCH._replace(name=f"n{number}"), NO_RIGHT)
    assert told(caplog, "the API server refuses") == 1
    assert refusals.problems() == [f"the API server refuses: patch {STATUS}: 403: {RBAC}"]
    assert refusals.counts() == {("patch", STATUS): 1}
    refusals.answered(PATCH, Invalid(Reason.KUBERNETES_REFUSED, "an older CRD"))
    assert (refusals.problems(), refusals.counts()) == ([], {})
    assert told(caplog, f"patch {STATUS} is no longer refused") == 1


def test_a_right_that_is_given_in_one_namespace_is_still_missing_in_another() -> None:
    refusals = Refusals(lambda: 0.0)
    for namespace in ("a", "b"):
        refusals.answered(PATCH._replace(namespace=namespace), NO_RIGHT)
    refusals.answered(PATCH._replace(namespace="a"), None)
    assert [what.namespace for what in refusals.missing()] == ["b"]


def test_a_right_that_comes_and_goes_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    for _ in range(50):
        refusals.answered(PATCH, NO_RIGHT)
        refusals.answered(PATCH, None)
    assert told(caplog, "the API server refuses") == 1
    now[0] += TOLD_AGAIN_S
    refusals.answered(PATCH, NO_RIGHT)
    assert told(caplog, "the API server refuses") == 2


def test_what_nobody_tries_any_more_is_forgotten() -> None:
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    refusals.answered(PATCH, NO_RIGHT)
    refusals.denied(PATCH, "uid", POLICY)
    now[0] += FORGOTTEN_S + 1
    assert (refusals.problems(), refusals.counts()) == ([], {})


def test_the_words_are_bounded_and_visible(caplog: pytest.LogCaptureFixture) -> None:
    refusals = Refusals(lambda: 0.0)
    refusals.denied(PATCH, "uid", "403: denied\x1b[31m\n\u202e" + "x" * 100_000)
    (line,) = [record.getMessage() for record in caplog.records]
    assert len(line) < 700
    assert line.isprintable()


def test_causes_and_places_are_bounded() -> None:
    refusals = Refusals(lambda: 0.0)
    for number in range(3000):
        refusals.denied(PATCH, f"uid-{number}", "the same for all")
        refusals.denied(PATCH, "one", f"another cause {chr(0x4E00 + number)}")
    assert sum(refusals.counts().values()) <= 1000 + 64


@in_virtual_time
async def test_a_status_that_may_not_be_written_is_told_in_an_event(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = await World.running()
    world.api.without = {("patch", STATUS)}
    world.api.apply(manifest())
    await world.elapse(240)
    assert world.event_reasons() == ["KubernetesRefused"]
    assert "cannot patch resource" in world.api.events[0]["note"]
    assert told(caplog, "the API server refuses") == 1
    assert any("patch byocphonenumbers/status" in each for each in world.engine.problems())
    assert gauge(world, "patch", STATUS) == 1
    world.api.without = set()
    await world.elapse(10)
    assert world.ready() == ("True", "Synced")
    assert (world.engine.problems(), gauge(world, "patch", STATUS)) == ([], None)
