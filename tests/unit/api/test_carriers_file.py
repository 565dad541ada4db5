"""A file of presets: what it changes, and every kind of mistake with the line in which it stands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byoc_operator.api.built_in_carriers import BUILT_IN
from byoc_operator.api.carriers import Carrier, Preset
from byoc_operator.api.carriers_file import MAX_CARRIERS, MAX_FILE_BYTES, MAX_RANGES, WrongCarriers, extended
from byoc_operator.api.yaml_lines import MAX_VALUES
from strategies import QUICK

ADDED = """\
carriers:
  - name: Hausanlage
    hosts: [PBX.example.com, .branch.example.com, 203.0.113.7]
    signallingRanges: [203.0.113.7, 198.51.100.9/28]
    usernameHeader: X-User
    answersChallenge: false
"""


def preset(text: str, name: str) -> Preset:
    return next(each for each in extended(BUILT_IN, text).presets if each.carrier == name)


def test_an_added_carrier_is_recognised_by_its_hosts() -> None:
    carriers = extended(BUILT_IN, ADDED)
    for host in ("pbx.example.com", "x.branch.example.com", "203.0.113.7:5060"):
        found = carriers.preset_for(None, host)
        assert (found.carrier, found.username_header, found.answers_challenge) == ("Hausanlage", "X-User", False)
        assert found.signalling_ranges == ("203.0.113.7/32", "198.51.100.0/28")
    assert carriers.presets[:-1] == BUILT_IN.presets


def test_what_a_file_does_not_mention_of_a_built_in_carrier_stays() -> None:
    before = BUILT_IN.preset_for(Carrier.TELNYX, "")
    after = preset("carriers: [{name: Telnyx, signallingRanges: [192.0.2.1]}]", "Telnyx")
    assert after.signalling_ranges == ("192.0.2.1/32",)
    assert (after.hosts, after.username_header) == (before.hosts, before.username_header)


def test_an_empty_value_overrides_too() -> None:
    after = preset("carriers: [{name: Telnyx, signallingRanges: [], usernameHeader: ''}]", "Telnyx")
    assert (after.signalling_ranges, after.username_header) == ((), "")


def test_a_host_moves_from_a_built_in_carrier_that_gives_it_up() -> None:
    text = "carriers: [{name: Mine, hosts: [sip.telnyx.me]}, {name: Telnyx, hosts: [sip.telnyx.com]}]"
    carriers = extended(BUILT_IN, text)
    assert carriers.preset_for(None, "sip.telnyx.me").carrier == "Mine"
    assert carriers.preset_for(None, "sip.telnyx.com").carrier == "Telnyx"


def test_a_file_without_carriers_changes_nothing() -> None:
    assert extended(BUILT_IN, "carriers: []") == BUILT_IN


def _carrier(line: str) -> str:
    return f"carriers:\n  - name: A\n    hosts: [a.example.com]\n    {line}\n"


MISTAKES = {
    "nothing": ("", 1, "must have the list `carriers`"),
    "a comment only": ("# none\n", 1, "must have the list `carriers`"),
    "a list at the top": ("- name: A\n", 1, "must have the list `carriers`"),
    "another key": ("\ncarrier: []\n", 2, "carriers: is required"),
    "a key too many": ("carriers: []\nversion: 1\n", 2, "version: is not known; allowed: carriers"),
    "no list": ("carriers:\n", 1, "carriers: must be a list"),
    "a text for a carrier": ("carriers:\n  - A\n", 2, "carriers[0]: must be a map"),
    "no name": ("carriers:\n  - hosts: [a.example.com]\n", 2, "carriers[0].name: is required"),
    "an empty name": ("carriers:\n  - name: ''\n", 2, "at least 1 character"),
    "a long name": (f"carriers:\n  - name: {'a' * 65}\n", 2, "at most 64 characters"),
    "a name with a blank": ("carriers:\n  - name: ' A'\n", 2, "must not begin or end with a blank"),
    "an unseen character": ("carriers:\n  - name: A\u200b\n", 2, "must have visible characters only"),
    "a flag as name": ("carriers:\n  - name: yes\n", 2, "carriers[0].name: must be a text"),
    "Generic": ("carriers:\n  - name: Generic\n", 2, "must not be Generic"),
    "another spelling": ("carriers:\n  - name: TWILIO\n", 2, "must be written Twilio"),
    "a name twice": (f"{_carrier('tls: true')}  - name: a\n    hosts: [b]\n", 5, "a stands in the file twice"),
    "an added carrier without hosts": ("carriers:\n  - name: A\n", 2, "A needs `hosts`"),
    "an unknown field": (_carrier("ranges: []"), 4, "carriers[0].ranges: is not known; allowed: name, hosts"),
    "a URI as host": ("carriers:\n  - name: A\n    hosts:\n      - a\n      - sip:b\n", 5, "hosts[1]: must be a host"),
    "a star": ("carriers:\n  - name: A\n    hosts: ['*.example.com']\n", 3, "or .example.com for all hosts below"),
    "a host of a built-in carrier": (
        "carriers:\n  - name: A\n    hosts: [sip.telnyx.eu]\n",
        3,
        "sip.telnyx.eu is a host of Telnyx already",
    ),
    "a host twice": (_carrier("hosts: [b]"), 4, "has the key hosts twice"),
    "the same host twice": ("carriers:\n  - name: A\n    hosts: [b, B]\n", 3, "hosts[1]: b is a host of A already"),
    "no range": (_carrier("signallingRanges: [203.0.113.300]"), 4, "must be a CIDR or an address"),
    "a wide range": (_carrier("signallingRanges: [10.0.0.0/7]"), 4, "must not be wider than /8"),
    "too many ranges": (_carrier(f"signallingRanges: {['192.0.2.1'] * (MAX_RANGES + 1)}"), 4, "at most 256 items"),
    "a header with a colon": (_carrier("usernameHeader: 'X-User:'"), 4, "must be the name of a SIP header"),
    "a header of LiveKit": (_carrier("usernameHeader: From"), 4, "must not be a header that LiveKit writes itself"),
    "a codec with its rate": (
        _carrier("codecs: [PCMU/8000]"),
        4,
        "carriers[0].codecs[0]: must be the name of a codec in SDP without a clock rate, like PCMU",
    ),
    "no flag": (_carrier("tls: perhaps"), 4, "carriers[0].tls: must be true or false"),
    "no value": (_carrier("srtp:"), 4, "carriers[0].srtp: must be true or false"),
    "a digest that the CRD refuses": (
        "carriers:\n  - name: Twilio\n    answersChallenge: true\n",
        3,
        "must not be true: the CRD refuses",
    ),
    "no way of authentication": (_carrier("authentication: [None]"), 4, "must be 'Digest' or 'Addresses'"),
    "no month": (_carrier("read: 2026-13"), 4, "must be a month, like 2026-09"),
    "too many carriers": (
        "carriers:\n" + "".join(f"  - {{name: A{n}, hosts: [a{n}]}}\n" for n in range(MAX_CARRIERS + 1)),
        1,
        "at most 100 items",
    ),
    "no YAML": ("carriers:\n  - name: A\n   hosts: [b]\n", 3, "is no YAML"),
    "an open bracket": ("carriers: [\n", 2, "is no YAML"),
    "two documents": ("carriers: []\n---\ncarriers: []\n", 2, "is no YAML"),
    "a tab": ("carriers:\n\t- name: A\n", 2, "is no YAML"),
    "a control character": ("carriers: []\n# \x07\n", 2, "has a character that YAML does not allow"),
    "an anchor": ("carriers:\n  - &a\n    name: A\n", 2, "must not have anchors"),
    "an alias": ("carriers: *a\n", 1, "must not have anchors"),
    "a tag": ("carriers:\n  - !!python/name:os.system x\n", 2, "must not have YAML tags"),
    "a tag of a map": ("carriers:\n  - !A {name: A}\n", 2, "must not have YAML tags"),
    "a merge key": ("carriers:\n  - <<: {name: A}\n", 2, "must have texts as keys"),
    "a list as key": ("? [a]\n: b\n", 1, "must have texts as keys"),
    "too deep": ("carriers: " + "[" * 100_0, 1, "must not be deeper than 8"),
    "too many values": (f"carriers: [{'a,' * MAX_VALUES}]", 1, f"must not have more than {MAX_VALUES} values"),
    "too large": ("#" * (MAX_FILE_BYTES + 1), 1, "must not be larger than 65536 bytes"),
}


@pytest.mark.parametrize(("text", "line", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(WrongCarriers) as caught:
        extended(BUILT_IN, text)
    assert words in caught.value.message
    assert str(caught.value) == f"line {line}: {caught.value.message}"
    assert "\n" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 350


def line_of_mistake(text: str) -> int:
    """1 if there is none. Any other exception fails the test."""
    try:
        extended(BUILT_IN, text)
    except WrongCarriers as exc:
        return exc.line
    return 1


@QUICK
@given(st.text(max_size=400))
def test_any_text_is_taken_or_refused_by_its_line(text: str) -> None:
    assert 1 <= line_of_mistake(text) <= len(text.splitlines()) + 2


@QUICK
@given(st.lists(st.sampled_from([*"[]{}:,-&*!?|>#%\n\t '\"", "carriers", "name", "a", "  "]), max_size=60).map("".join))
def test_any_yaml_is_taken_or_refused(text: str) -> None:
    assert line_of_mistake(text) >= 1
