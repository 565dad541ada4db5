"""Builds the CustomResourceDefinition from the models and the rules."""

from collections.abc import Iterable
from typing import Any

from .names import GROUP, KIND, PLURAL, VERSION
from .openapi import Schema, spec_schema, status_schema
from .rule import Rule
from .rules import RULES

DESCRIPTION = (
    "A phone number held at a carrier of your own (BYOC), kept in step in LiveKit: an outbound trunk, an inbound trunk "
    "and a dispatch rule that brings calls to the agent of the number."
)

_READY = '.status.conditions[?(@.type=="Ready")]'


def build_crd() -> dict[str, Any]:
    """The CRD as a JSON object, with its keys in the order that people are used to."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": KIND.lower(),
                "shortNames": ["bpn"],
                "categories": ["byoc"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "selectableFields": [{"jsonPath": ".spec.phoneNumber"}],
        "additionalPrinterColumns": _columns(),
        "schema": {"openAPIV3Schema": _root_schema()},
    }


def _columns() -> list[dict[str, Any]]:
    shown = (
        ("Number", ".spec.phoneNumber"),
        ("Ready", f"{_READY}.status"),
        ("Reason", f"{_READY}.reason"),
        ("Agent", ".spec.inboundAgentId"),
    )
    wide = (
        ("Carrier", ".status.carrier"),
        ("Termination", ".spec.terminationUri"),
        ("Origination", ".status.originationUri"),
        ("Inbound", ".status.inboundTrunkId"),
        ("Outbound", ".status.outboundTrunkId"),
        ("Message", f"{_READY}.message"),
    )
    return [
        *({"name": name, "type": "string", "jsonPath": path} for name, path in shown),
        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        *({"name": name, "type": "string", "jsonPath": path, "priority": 1} for name, path in wide),
    ]


def _root_schema() -> Schema:
    status = status_schema()
    # kstatus compares this with metadata.generation, so an object that the operator has not seen is not healthy.
    status["default"] = {"observedGeneration": -1}
    return {
        "description": DESCRIPTION,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": _with_rules(spec_schema(), RULES),
            "status": status,
        },
    }


def _with_rules(spec: Schema, rules: Iterable[Rule]) -> Schema:
    for rule in rules:
        node = _node(spec, rule.node)
        node.setdefault("x-kubernetes-validations", []).append(_validation(rule))
    return spec


def _node(spec: Schema, path: str) -> Schema:
    node = spec
    for name in path.removesuffix("[]").split(".") if path else ():
        node = node["properties"][name]
    return node["items"] if path.endswith("[]") else node


def _validation(rule: Rule) -> dict[str, str]:
    validation = {"rule": rule.cel, "message": rule.message}
    if rule.message_cel:
        validation["messageExpression"] = rule.message_cel
    if rule.reason:
        validation["reason"] = rule.reason
    if rule.field:
        validation["fieldPath"] = f".{rule.field}"
    return validation
