"""The objects that a run creates: phone numbers as a user would write them, and their Secrets."""

import base64
from typing import Any

GROUP = "byoc.talkifai.dev"
BASE = f"/apis/{GROUP}/v1alpha1"
PLURAL = "byocphonenumbers"
FINALIZER = f"{GROUP}/finalizer"
REFRESH = f"{GROUP}/refresh"
LABEL = f"{GROUP}/sip-credentials"
MERGE_PATCH = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"

USERNAME = "bench-user"
PASSWORD = "p4ssw0rd-of-the-bench"
FIRST_NUMBER = 4_152_000_000
ADDRESSES = ["54.172.60.0/30", "54.244.51.0/30", "54.171.127.192/30", "35.156.191.128/30"]

Object = dict[str, Any]


def numbers_path(namespace: str, name: str = "") -> str:
    """Address of a number, or of all in a namespace."""
    path = f"{BASE}/namespaces/{namespace}/{PLURAL}"
    return f"{path}/{name}" if name else path


def secrets_path(namespace: str, name: str = "") -> str:
    """Address of a Secret, or of all in a namespace."""
    path = f"/api/v1/namespaces/{namespace}/secrets"
    return f"{path}/{name}" if name else path


def number(namespace: str, index: int, secret: str) -> Object:
    """The number of that index, with calls in both directions and credentials."""
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "ByocPhoneNumber",
        "metadata": {"name": f"number-{index:05}", "namespace": namespace},
        "spec": {
            "phoneNumber": f"+1{FIRST_NUMBER + index}",
            "terminationUri": "bench.pstn.twilio.com",
            "friendlyName": f"Bench line {index}",
            "inboundAgentId": "agent_support",
            "outboundAgentId": "agent_sales",
            "sipPasswordSecretRef": {"name": secret},
            "inbound": {"allowedAddresses": ADDRESSES},
        },
    }


def secret_name(index: int) -> str:
    """Name of the Secret of that index."""
    return f"carrier-{index:05}"


def secret(namespace: str, name: str) -> Object:
    """A labelled Secret with SIP credentials."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: "true"}},
        "data": {"username": encoded(USERNAME), "password": encoded(PASSWORD)},
    }


def foreign_secret(namespace: str, index: int, size: int) -> Object:
    """A Secret of `size` bytes without the operator's label."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"foreign-{index:05}", "namespace": namespace},
        "data": {"blob": encoded("x" * size)},
    }


def encoded(text: str) -> str:
    """As Secrets hold it."""
    return base64.b64encode(text.encode()).decode()
