"""Every answer to a call means something, and says what to change where."""

import pytest

from byoc_operator.diagnosis import sip_answers
from byoc_operator.diagnosis.agent_answers import why_absent
from byoc_operator.diagnosis.sip_answers import SIP_ANSWERS, meaning_of


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (401, "sipPasswordSecretRef"),
        (403, "assigned to this trunk"),
        (404, "does not know the number"),
        (407, "sipPasswordSecretRef"),
        (408, "spec.terminationUri"),
        (480, "Nobody can be reached"),
        (486, "busy"),
        (487, "--timeout"),
        (488, "spec.mediaEncryption"),
        (503, "cannot take calls now"),
        (603, "declined"),
        (302, "elsewhere"),
        (499, "The carrier refuses the call"),
        (599, "cannot take calls now"),
        (699, "declined"),
        (0, "The call failed"),
        (999, "The call failed"),
    ],
)
def test_a_sip_answer_means_something(code: int, said: str) -> None:
    meaning = meaning_of(code, "whatever the carrier wrote")
    assert said in f"{meaning.says} {meaning.remedy}"


@pytest.mark.parametrize(
    ("words", "meaning"),
    [
        ("max auth retry attempts reached", SIP_ANSWERS[407]),
        ("requested sip trunk does not exist", sip_answers.NO_TRUNK),
        ("no response from servers", sip_answers.NO_SIP_SERVICE),
        ("tls: first record does not look like a TLS handshake", sip_answers.NO_TLS),
        ("x509: certificate signed by unknown authority", sip_answers.NO_TLS),
        ("dial tcp 192.0.2.1:5061: connect: connection refused", sip_answers.NOBODY_LISTENS),
        ("lookup sip.example.com: no such host", sip_answers.NO_HOST),
        ("context deadline exceeded", sip_answers.NO_ANSWER),
        ("deadline_exceeded", sip_answers.NO_ANSWER),
        ("", sip_answers.NO_ANSWER),
    ],
)
def test_a_call_without_a_sip_answer_means_something(words: str, meaning: sip_answers.Meaning) -> None:
    assert meaning_of(None, words) == meaning


def test_unknown_words_lead_to_a_log() -> None:
    assert "livekit-sip" in meaning_of(None, "strange").remedy


@pytest.mark.parametrize("meaning", [*SIP_ANSWERS.values(), sip_answers.NO_ANSWER, sip_answers.NO_TRUNK])
def test_every_meaning_is_a_sentence_with_a_remedy(meaning: sip_answers.Meaning) -> None:
    assert meaning.says.endswith(".")
    assert meaning.remedy.endswith((".", "?"))


@pytest.mark.parametrize(
    ("failures", "taken", "unnamed", "said"),
    [
        (("no worker has capacity",), True, False, "could not start the agent sales: no worker has capacity"),
        ((), True, False, "took the job of the agent sales, but did not join the room within 15 s"),
        ((), False, True, "registered without a name"),
        ((), False, False, "or all are at their load limit"),
    ],
)
def test_an_agent_that_does_not_come_is_explained(
    failures: tuple[str, ...], said: str, *, taken: bool, unnamed: bool
) -> None:
    assert said in why_absent("sales", 15, failures, taken=taken, unnamed=unnamed).says
