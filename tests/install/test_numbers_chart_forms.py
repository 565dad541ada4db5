"""The forms of the chart of the numbers are those of the operator."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from byoc_operator.api import grammar
from byoc_operator.api.rule import Rule, TextForm
from byoc_operator.api.rules import RULES
from byoc_operator.generate.numbers_chart import chart_rules, text_form

pytestmark = pytest.mark.install
TEXT_RULES = [rule for rule in RULES if isinstance(rule.form, TextForm)]
(_ADDRESS_FORM,) = (rule["text"] for rule in chart_rules()["each"] if rule["node"] == "inbound.allowedAddresses[]")
_WIDE = chart_rules()["together"]["tooWide"]["wide"]
_GROUPS = st.one_of(st.sampled_from(["0", "0000", "ffff", "FFFF", "1", "db8", "12345", ""]))
_QUADS = st.lists(st.sampled_from(["0", "7", "01", "255", "256", "203"]), min_size=3, max_size=5).map(".".join)
_COLONS = st.lists(_GROUPS, min_size=2, max_size=9).map(":".join)
_MIXED = st.builds("{}:{}".format, _COLONS, _QUADS)
_ADDRESSES = st.one_of(
    _QUADS, _COLONS, _MIXED, st.ip_addresses().map(str), st.ip_addresses(v=6).map(lambda ip: ip.exploded)
)
_CIDRS = st.builds(
    "{}/{}".format, _ADDRESSES, st.sampled_from(["0", "7", "8", "08", "15", "16", "32", "33", "129", ""])
)
_ENDPOINTS = st.builds(
    "{}{}".format,
    st.one_of(_ADDRESSES, _ADDRESSES.map("[{}]".format), st.from_regex(grammar.HOST_NAME, fullmatch=True)),
    st.sampled_from(["", ":", ":0", ":5061", ":65535", ":65536", ":a"]),
)
_STORAGES = st.builds(
    "http{}://{}{}".format,
    st.sampled_from(["", "s"]),
    _ENDPOINTS | st.sampled_from(["localhost", "a.LocalHost.:80", "a" * 254, "[::1]", "[fe80::1]:80", "127.0.0.1"]),
    st.sampled_from(["", "/", "/a/../b", "/a?b"]),
)
_TEXTS = st.one_of(
    st.text(max_size=20), _ADDRESSES, _CIDRS, _ENDPOINTS, _STORAGES, st.from_regex(r"[a-zA-Z0-9._ -]{0,6}")
)


def fits(form: Mapping[str, Any], text: str) -> bool:
    """As the template judges it."""
    return all(_found(pattern, text) for pattern in form.get("all", ())) and not any(
        _found(pattern, text) for pattern in form.get("none", ())
    )


def _found(pattern: str, text: str) -> bool:
    pattern = re.sub(r"\\x\{([0-9a-f]+)\}", lambda code: f"\\U{int(code[1], 16):08x}", pattern)  # Go's notation
    # In Go `$` is the end of the text; in Python it is also before a line break at the end.
    return (
        re.search(pattern.replace("$)", r"\Z)").removesuffix("$") + (r"\Z" if pattern.endswith("$") else ""), text)
        is not None
    )


@pytest.mark.parametrize("rule", TEXT_RULES, ids=lambda rule: f"{rule.node}: {rule.message[:24]}")
@settings(max_examples=300, deadline=None)
@given(text=_TEXTS)
@example(text="::ffff:203.0.113.7")
@example(text="0:0:0:0:0:ffff::1")
@example(text="0::ffff:0")
@example(text="0::ffff:0/0")
@example(text="::ffff:0")
@example(text="::FFFF:1.2.3.4")
@example(text="::ffff:1.2.3.4/96")
@example(text="0:0::0:ffff:1:2")
@example(text="0:0:0:0:0:ffff::")
@example(text="0:0:0:0:ffff::1")
@example(text="fe80::1%eth0")
@example(text="fe80::%eth0/10")
@example(text="203.0.113.007")
@example(text="10.0.0.0/08")
@example(text="1:2:3:4:5:6:7::")
@example(text="1:2:3:4:5:6:7:8::")
@example(text="[::ffff:203.0.113.7]")
@example(text="[::ffff:203.0.113.7]:5060")
@example(text="[2001:DB8::1]")
@example(text="user\ufeff")
@example(text="\u3000user")
@example(text="us\u200der")
@example(text="us\ud800er")
@example(text="username")
@example(text="a" * 253 + ".b")
def test_the_chart_and_the_operator_accept_the_same_texts(rule: Rule, text: str) -> None:
    bound = 64 if rule.node.startswith("inbound") else 253 if rule.node == "outbound.fromHost" else 320
    text = text[:bound]  # longer ones do not pass the schema
    assert rule.holds is not None
    assert isinstance(rule.form, TextForm)
    assert fits(text_form(rule.form), text) == rule.holds(text)


@settings(max_examples=1000, deadline=None)
@given(text=_CIDRS)
@example(text="0::ffff:0/0")
@example(text="::ffff:0:0/8")
@example(text="0:0:0:0:0:ffff::/7")
@example(text="2001:DB8::/15")
@example(text="::1.2.3.4/0")
def test_the_chart_and_the_operator_find_the_same_ranges_wide(text: str) -> None:
    mapped = grammar.is_cidr(text) != fits(_ADDRESS_FORM, text)
    assert not mapped
    if grammar.is_cidr(text):
        assert _found(_WIDE, text) == grammar.is_wide(text)
