"""The webhook's certificates, and where they are kept."""

import asyncio
import base64
from pathlib import Path

import pytest
from cryptography import x509

from byoc_operator.admission.certificates import (
    AUTHORITY_LIFE,
    CERTIFICATE_LIFE,
    RENEWED_AT,
    Certificates,
    renewed,
)
from byoc_operator.admission.storage import CERTIFICATE_SECRET, MountedCertificates, Serving, SharedCertificates
from byoc_operator.admission.webhook_configuration import WebhookConfiguration
from byoc_operator.cluster.fake import FakeApi
from byoc_operator.errors import OperatorError, Unavailable
from webhook_parts import NAMES, NOW, SYSTEM, at, put_configuration


def authorities(found: Certificates) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(found.authorities)


def trusted(found: Certificates, by: Certificates) -> bool:
    """Whether who trusts the authorities of `by` takes the certificate of `found`."""
    certificate = x509.load_pem_x509_certificate(found.certificate)
    return any(_issued(certificate, each) for each in authorities(by))


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    if certificate.issuer != authority.subject:
        return False
    certificate.verify_directly_issued_by(authority)
    return True


# Certificates


def test_nothing_is_renewed_before_two_thirds_of_its_life() -> None:
    first = renewed(None, NAMES, NOW)
    assert renewed(first, NAMES, at(59)) is first
    second = renewed(first, NAMES, at(61))
    assert second.certificate != first.certificate
    assert second.authorities == first.authorities
    assert trusted(second, by=first)


def test_for_a_whole_decade_and_more_each_certificate_is_trusted_before_it_is_served() -> None:
    known = renewed(None, NAMES, NOW)
    for day in range(0, 2 * AUTHORITY_LIFE.days, 10):
        now = at(day)
        found = renewed(known, NAMES, now)
        assert trusted(found, by=known), "the API server hears of an authority only after it is stored"
        ends = x509.load_pem_x509_certificate(found.certificate).not_valid_after_utc
        assert now + CERTIFICATE_LIFE / 4 < ends
        assert all(now < each.not_valid_after_utc for each in authorities(found))
        assert len(authorities(found)) <= 2
        known = found
    assert known.authorities != renewed(None, NAMES, NOW).authorities


def test_when_both_are_due_the_certificate_is_by_the_authority_that_is_trusted_already() -> None:
    known = renewed(None, NAMES, NOW)
    found = renewed(known, NAMES, at(AUTHORITY_LIFE.days * RENEWED_AT + 1))
    assert len(authorities(found)) == 2
    assert found.certificate != known.certificate
    assert trusted(found, by=known)


@pytest.mark.parametrize("names", [("other.svc",), (*NAMES, "::1")])
def test_other_names_make_another_certificate_by_the_same_authority(names: tuple[str, ...]) -> None:
    first = renewed(None, NAMES, NOW)
    second = renewed(first, names, NOW)
    assert second.authorities == first.authorities
    assert second.certificate != first.certificate


@pytest.mark.parametrize("spoiled", ["authorities", "authority_key", "certificate", "key"])
@pytest.mark.parametrize("content", [b"", b"no PEM", "other"])
def test_what_is_spoiled_is_made_anew(spoiled: str, content: bytes | str) -> None:
    first, other = renewed(None, NAMES, NOW), renewed(None, NAMES, NOW)
    parts = {name: getattr(first, name) for name in ("authorities", "authority_key", "certificate", "key")}
    parts[spoiled] = getattr(other, spoiled) if content == "other" else content
    found = renewed(Certificates(**parts), NAMES, NOW)
    assert trusted(found, by=found)
    assert renewed(found, NAMES, NOW) is found


# Where they are kept


async def test_all_replicas_serve_the_certificate_that_one_of_them_made() -> None:
    api = FakeApi()
    replicas = [SharedCertificates(api, SYSTEM, NAMES, lambda: NOW) for _ in range(3)]
    first = [await _or_none(each) for each in replicas]
    found = {each.certificate for each in first if each} | {(await each.current()).certificate for each in replicas}
    assert len(found) == 1
    assert api.requests["POST", "secrets"] == 1
    stored = api._objects["secrets", SYSTEM, CERTIFICATE_SECRET]
    assert stored["type"] == "kubernetes.io/tls", "numbers never use a Secret of this type"


async def test_of_replicas_that_make_one_at_the_same_time_the_slower_takes_that_of_the_faster() -> None:
    api = FakeApi()
    replicas = [SharedCertificates(api, SYSTEM, NAMES, lambda: NOW) for _ in range(2)]
    first = await asyncio.gather(*(_or_none(each) for each in replicas))
    assert first.count(None) == 1
    again = [await each.current() for each in replicas]
    assert again[0] == again[1] == next(each for each in first if each)


async def test_a_certificate_that_is_due_is_replaced_once() -> None:
    api, now = FakeApi(), [NOW]
    replicas = [SharedCertificates(api, SYSTEM, NAMES, lambda: now[0]) for _ in range(2)]
    first = await replicas[0].current()
    now[0] = at(70)
    await asyncio.gather(*(_or_none(each) for each in replicas))
    again = [await each.current() for each in replicas]
    assert again[0] == again[1]
    assert again[0].certificate != first.certificate
    assert again[0].authorities == first.authorities


async def _or_none(source: SharedCertificates) -> Serving | None:
    try:
        return await source.current()
    except Unavailable:
        return None


async def test_the_configuration_is_written_only_where_it_differs() -> None:
    api = FakeApi()
    put_configuration(api, [{}, {"caBundle": "b2xk"}])
    installation = WebhookConfiguration(api, "byoc-operator-sealing")
    await installation.trust(b"PEM")
    await installation.trust(b"PEM")
    webhooks = api._objects["mutatingwebhookconfigurations", "", "byoc-operator-sealing"]["webhooks"]
    assert [each["clientConfig"]["caBundle"] for each in webhooks] == [base64.b64encode(b"PEM").decode()] * 2
    assert len(api.writes) == 1


async def test_a_missing_file_of_the_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"BYOC_ADMISSION_CERTIFICATE_FOLDER: .*tls\.crt"):
        await MountedCertificates(tmp_path).current()
