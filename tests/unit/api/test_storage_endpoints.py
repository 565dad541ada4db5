"""Where the endpoint of a storage may lead: compared with what Python's `ipaddress` says of each address."""

import ipaddress

from hypothesis import example, given
from hypothesis import strategies as st

from byoc_operator.api.grammar import is_address, is_storage_url
from byoc_operator.api.validation import problems
from manifests import BASE, KEYS, merged

_NEAR_LOCAL = st.sampled_from(
    ["127.0.0.0/8", "126.0.0.0/8", "128.0.0.0/8", "0.0.0.0/8", "169.254.0.0/16", "169.0.0.0/8", "10.0.0.0/8"]
).flatmap(lambda network: st.ip_addresses(network=network))
_GROUPS = st.sampled_from(["0", "0000", "00", "1", "0001", "10", "fe80", "FEBF", "fec0", "fe8", "ffff", "7f00", "db8"])
_IPV6 = st.one_of(
    st.lists(_GROUPS, min_size=8, max_size=8).map(":".join),
    st.builds(
        lambda before, after: f"{':'.join(before)}::{':'.join(after)}",
        st.lists(_GROUPS, max_size=4),
        st.lists(_GROUPS, max_size=3),
    ),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
)
_ZEROS = ipaddress.ip_network("0.0.0.0/8")


def refusals(endpoint: str) -> list[str]:
    storage = {"s3": {"bucket": "calls", "endpoint": endpoint, **KEYS}}
    return [problem.message for problem in problems(merged(BASE, {"inbound": {"recording": storage}}))]


def is_local(text: str) -> bool:
    address = ipaddress.ip_address(text)
    return address.is_loopback or address.is_link_local or address.is_unspecified or address in _ZEROS


@given(_NEAR_LOCAL | _IPV6, st.sampled_from(["http", "https"]), st.sampled_from(["", ":9000", "/", ":80/a"]))
@example("::", "http", "")
@example("0:0:0:0:0:0:0:1", "http", ":6379")
@example("0::0:0:1", "https", "/")
@example("::1:0", "http", "")
@example("::ffff:7f00:1", "http", "")
def test_an_address_is_refused_exactly_if_it_is_local(address: object, scheme: str, rest: str) -> None:
    text = str(address)
    url = f"{scheme}://{f'[{text}]' if ':' in text else text}{rest}"
    assert is_storage_url(url) == is_address(text)
    if is_address(text):
        assert [refusal.split(":")[0] for refusal in refusals(url)] == [
            "must not lead to the machine on which egress runs or to its link"
        ] * is_local(text)


@given(st.text("0123456789abcdefx.", min_size=1, max_size=16).filter(lambda host: host[-1] in "0123456789."))
@example("0x7f.1")
@example("017700000001")
@example("2130706433")
@example("127.0.0.1.")
def test_a_host_that_ends_in_a_number_is_an_address(host: str) -> None:
    """Some resolvers read such a host as an IPv4 address in another spelling (WHATWG URL, `inet_aton`)."""
    last = host.removesuffix(".").rpartition(".")[2]
    if is_address(host) or not last[:1].isdigit():
        return
    assert refusals(f"http://{host}"), host
