"""The value that each look returns."""

import pytest

from byoc_operator.diagnosis.check import Check, State, worst

OK, WARNING = Check("a", State.OK, "works"), Check("b", State.OK, "works until Monday", "renew it")
BAD, UNKNOWN = Check("c", State.BAD, "refused", "open the port"), Check("d", State.UNKNOWN, "no answer")


@pytest.mark.parametrize(
    ("checks", "state"),
    [
        ((), State.OK),
        ((OK, WARNING), State.OK),
        ((OK, UNKNOWN), State.UNKNOWN),
        ((UNKNOWN, BAD, OK), State.BAD),
    ],
)
def test_the_worst_check_decides(checks: tuple[Check, ...], state: State) -> None:
    assert worst(checks) is state


def test_a_check_that_is_ok_and_has_a_remedy_warns() -> None:
    assert [check.warns for check in (OK, WARNING, BAD, UNKNOWN)] == [False, True, False, False]
