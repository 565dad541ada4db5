"""A namespaced install loses its rights with the namespace: a warning before, reports of the loss and of the end."""

import logging

import pytest

from byoc_operator.api.conditions import Reason
from byoc_operator.cluster.answers import Forbidden
from byoc_operator.cluster.fake import Refuse
from byoc_operator.engine.rights import Rights
from operated import NAME, NAMESPACE, World, manifest
from virtual_time import in_virtual_time

FORBIDDEN = Refuse(403, 'byocphonenumbers "n" is forbidden: User "operator" cannot patch resource')
DENIED = Refuse(403, 'admission webhook "w" denied the request: on Fridays')


class Answers:
    """The API server's answer to one question; None: it refuses to say."""

    def __init__(self, *, allowed: bool | None) -> None:
        self.allowed = allowed
        self.asked = 0

    async def request(self, method: str, path: str, **more: object) -> dict[str, object]:
        self.asked += 1
        assert (method, path.rpartition("/")[2]) == ("POST", "selfsubjectaccessreviews")
        assert more["resource"] == "selfsubjectaccessreviews"
        if self.allowed is None:
            raise Forbidden(Reason.KUBERNETES_REFUSED, "POST selfsubjectaccessreviews: 403")
        return {"status": {"allowed": self.allowed}}


@pytest.mark.parametrize(
    ("namespaces", "allowed", "warns"),
    [((NAMESPACE,), False, True), ((NAMESPACE,), None, True), ((NAMESPACE,), True, False), ((), False, False)],
)
@in_virtual_time
async def test_the_start_says_that_a_namespace_may_take_the_rights_along(
    namespaces: tuple[str, ...], *, allowed: bool | None, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    api = Answers(allowed=allowed)
    with caplog.at_level(logging.WARNING):
        await Rights(namespaces, api).look()  # type: ignore[arg-type]
    assert ("delete its numbers first" in caplog.text) == warns
    assert api.asked == len(namespaces)


@pytest.mark.parametrize("watched", [(NAMESPACE,), ()], ids=["namespaced", "everywhere"])
@in_virtual_time
async def test_rights_that_are_gone_are_told_once_a_namespace_and_again_when_they_go_again(
    watched: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world = await World.running(namespaces=watched)
    for round_ in range(2):
        for count in range(3):
            world.api.apply(manifest(f"n{count}", phoneNumber=f"+1555010000{count}"))
        await world.elapse(2)
        for _ in range(6):
            world.api.inject(FORBIDDEN, "PATCH", "byocphonenumbers")
        for count in range(3):
            world.api.delete(NAMESPACE, f"n{count}")
        await world.elapse(600)
        assert (world.api.numbers(), world.livekit.objects()) == ([], [])
        told = [each for each in world.troubles if each.startswith("RightsGone")]
        assert len(told) == (round_ + 1 if watched else 0)
        assert all(NAMESPACE in each and "forbidden" in each and "docs/outlives.md" in each for each in told)
    assert ("has the right again to let numbers of namespace voice go" in caplog.text) == bool(watched)


@in_virtual_time
async def test_what_admission_refuses_is_no_right_that_is_gone() -> None:
    world = await World.running(namespaces=(NAMESPACE,))
    await world.apply()
    for _ in range(3):
        world.api.inject(DENIED, "PATCH", "byocphonenumbers")
    world.api.delete(NAMESPACE, NAME)
    await world.elapse(600)
    assert world.api.numbers() == []
    assert [each for each in world.troubles if each.startswith("RightsGone")] == []
