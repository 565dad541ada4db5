"""A certificate of a stranger may be anything."""

import ssl
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from byoc_operator.diagnosis.certificate import accepted, refused
from byoc_operator.diagnosis.check import State
from byoc_operator.diagnosis.exchange import Session
from byoc_operator.diagnosis.target import Role, Target
from sip_servers import HOST, Authority

TARGET = Target(Role.TERMINATION, HOST, 5061, "TLS")
CODES = [9, 10, 18, 19, 20, 21, 62, 64, 1, 28]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("certificates")
    Authority(folder).serving(HOST, "192.0.2.1")
    return ssl.PEM_cert_to_DER_cert((folder / "server.pem").read_text().partition("-----BEGIN PRIVATE")[0])


def problem(code: int) -> ssl.SSLCertVerificationError:
    exc = ssl.SSLCertVerificationError(1, "certificate verify failed")
    exc.verify_code, exc.verify_message = code, "words of \x1b[2J OpenSSL" * 100
    return exc


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("code", CODES)
def test_every_problem_has_a_remedy(certificate: bytes, code: int, role: Role) -> None:
    target = Target(role, HOST, 5061, "TLS")
    for shown in (certificate, b"no certificate", None):
        check = refused(target, problem(code), shown)
        assert check.state is State.BAD
        assert check.remedy
        assert check.says.isprintable()
        assert len(check.says) < 400


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 600), st.binary(min_size=1, max_size=8), st.sampled_from(CODES))
def test_no_certificate_makes_it_fail(certificate: bytes, place: int, put: bytes, code: int) -> None:
    changed = certificate[:place] + put + certificate[place + len(put) :]
    refused(TARGET, problem(code), changed)
    assert accepted(TARGET, Session("TLSv1.3", changed), 0).state is State.OK
