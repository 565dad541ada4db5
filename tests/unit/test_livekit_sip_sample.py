"""The sample of livekit-sip: its configuration has only fields that livekit-sip reads, and its parts fit together."""

from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "deploy" / "samples" / "livekit-sip"

FIELDS: dict[str, frozenset[str]] = {
    "": frozenset(
        [
            "redis",
            "api_key",
            "api_secret",
            "ws_url",
            "health_port",
            "prometheus_port",
            "pprof_port",
            "sip_port",
            "sip_port_listen",
            "sip_hostname",
            "outbound_route_headers",
            "sip_ringing_interval",
            "tcp",
            "tls",
            "rtp_port",
            "logging",
            "cluster_id",
            "max_cpu_utilization",
            "max_active_calls",
            "sip_trunk_ids",
            "use_external_ip",
            "local_net",
            "nat_1_to_1_ip",
            "listen_ip",
            "udp_max_payload",
            "media_use_external_ip",
            "media_nat_1_to_1_ip",
            "media_timeout",
            "media_timeout_initial",
            "symmetric_rtp",
            "codecs",
            "hide_inbound_port",
            "add_record_route",
            "audio_dtmf",
            "enable_jitter_buffer",
            "enable_opus",
            "opus",
        ]
    ),
    "tls": frozenset(
        ["port", "port_listen", "certs", "key_log", "min_version", "max_version", "cipher_suites", "alpn"]
    ),
    "tls.certs": frozenset({"cert_file", "key_file"}),
    "redis": frozenset(["address", "username", "password", "db", "use_tls"]),
}
"""Fields of the configuration by section. Source: livekit/sip `pkg/config/config.go` at 007e3b3 (2026-08)."""


def one(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return loaded


@pytest.fixture
def config() -> dict[str, Any]:
    return one("config.yaml")


@pytest.fixture
def pod() -> dict[str, Any]:
    spec: dict[str, Any] = one("livekit-sip.yaml")["spec"]["template"]["spec"]
    return spec


def test_the_configuration_has_only_fields_that_livekit_sip_reads(config: dict[str, Any]) -> None:
    assert set(config) <= FIELDS[""]
    assert set(config["tls"]) <= FIELDS["tls"]
    assert set(config["redis"]) <= FIELDS["redis"]
    assert all(set(cert) == FIELDS["tls.certs"] for cert in config["tls"]["certs"])


def test_the_configuration_has_no_key(config: dict[str, Any]) -> None:
    assert not {"api_key", "api_secret"} & set(config)


def test_it_does_not_say_its_address_twice(config: dict[str, Any]) -> None:
    assert not (config.get("use_external_ip") and config.get("nat_1_to_1_ip"))


def test_the_certificate_is_mounted_where_the_configuration_looks(config: dict[str, Any], pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    secrets = {volume["name"]: volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume}
    assert secrets["tls"] == one("certificate.yaml")["spec"]["secretName"]
    (cert,) = config["tls"]["certs"]
    assert (cert["cert_file"], cert["key_file"]) == (f"{mounts['tls']}/tls.crt", f"{mounts['tls']}/tls.key")


def test_the_ports_of_the_pod_and_the_service_are_those_of_the_configuration(
    config: dict[str, Any], pod: dict[str, Any]
) -> None:
    (container,) = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports["sip-tls"] == config["tls"]["port"]
    assert ports["sip-tcp"] == ports["sip-udp"] == config["sip_port"]
    assert ports["health"] == config["health_port"]
    (service,) = one("load-balancer.yaml")["spec"]["ports"]
    assert (service["targetPort"], service["port"]) == ("sip-tls", config["tls"]["port"])


def test_the_service_selects_the_pods_and_keeps_the_callers_address() -> None:
    service = one("load-balancer.yaml")["spec"]
    labels = one("livekit-sip.yaml")["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= labels.items()
    assert service["externalTrafficPolicy"] == "Local"


def test_the_external_secret_gives_the_label_to_the_secret_that_it_makes() -> None:
    external = yaml.safe_load((FOLDER.parent / "external-secrets" / "external-secret.yaml").read_text())
    template = external["spec"]["target"]["template"]
    assert template["metadata"]["labels"] == {"byoc.talkifai.dev/sip-credentials": "true"}
    assert {each["secretKey"] for each in external["spec"]["data"]} == {"username", "password"}
