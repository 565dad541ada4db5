"""What the tests of the policies store: rows of what a namespace may use, absurd and usual metadata, whose it is."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integration.scene import BASE, LABEL
from manifests import manifest, merged
from security.tenant import Tenant
from testbed.bed import Bed
from testbed.http_probe import Answer

MERGE = "application/merge-patch+json"
FREE = dict.fromkeys(("numbers", "agents", "hosts"), "*")
PHONE = "+12025550123"
TOO_MUCH, MANY_OWNERS = 100, 20

Json = dict[str, Any]


# --- what a namespace may use -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A number in a namespace with annotations (None: without). `refused`: words of the refusal; none: it is taken."""

    allowed: Mapping[str, str] | None
    spec: Mapping[str, Any]
    refused: tuple[str, ...] = ()


def _numbers(allowed: str, phone: str, *refused: str) -> Row:
    return Row({**FREE, "numbers": allowed}, {"phoneNumber": phone}, refused)


def _alias(allowed: str, alias: str, *refused: str) -> Row:
    spec = {"phoneNumber": PHONE, "inbound": {"aliases": [alias]}}
    return Row({**FREE, "numbers": allowed}, spec, refused)


def _hosts(allowed: str, uri: str, *refused: str) -> Row:
    return Row({**FREE, "hosts": allowed}, {"terminationUri": uri}, refused)


def _agents(allowed: str, inbound: str, outbound: str, *refused: str) -> Row:
    return Row({**FREE, "agents": allowed}, {"inboundAgentId": inbound, "outboundAgentId": outbound}, refused)


def _more_agents(allowed: str, *agents: str, refused: tuple[str, ...] = ()) -> Row:
    return Row({**FREE, "agents": allowed}, {"inbound": {"additionalAgentIds": [*agents]}}, refused)


NOTHING = "allows: nothing"
MANY = ",".join(f"+1303555{index:04}" for index in range(4000))
ROWS = {
    "nothing is said of the namespace": Row(None, {}, ("spec.phoneNumber: ", "is not allowed in namespace ", NOTHING)),
    "only numbers are said": Row({"numbers": "*"}, {}, ("spec.terminationUri: host ", NOTHING)),
    "anything": Row(FREE, {}),
    "the number itself": _numbers(PHONE, PHONE),
    "a longer number": _numbers(PHONE, f"{PHONE}4", f"allows: {PHONE}"),
    "a beginning without a star": _numbers("+1202555", PHONE, "allows: +1202555"),
    "a beginning": _numbers("+1202555*", PHONE),
    "another beginning": _numbers("+1202556*", PHONE, "spec.phoneNumber: +12025550123 is not", "allows: +1202556*"),
    "a country of one digit": _numbers("+1*", PHONE),
    "+12 is not +13": _numbers("+12*", "+13035550123", "allows: +12*"),
    "+1 is not +44": _numbers("+1*", "+442079460123", "allows: +1*"),
    "+44 is not +4": _numbers("+44*", "+4930123456", "allows: +44*"),
    "a missing plus": _numbers("1202555*", PHONE, NOTHING),
    "a plus alone": _numbers("+", PHONE, NOTHING),
    "a plus and a star": _numbers("+*", PHONE, NOTHING),
    "two stars": _numbers("+1202555**", PHONE, NOTHING),
    "a star in the middle": _numbers("+1*555*", PHONE, NOTHING),
    "a regular expression": _numbers("+1.*", PHONE, NOTHING),
    "an empty annotation": _numbers("", PHONE, NOTHING),
    "a blank annotation": _numbers("  ", PHONE, NOTHING),
    "commas only": _numbers(",,", PHONE, NOTHING),
    "an alias of ours": _alias("+1202555*, +100", "100"),
    "an alias that is a number of ours": _alias("+1202555*", "12025550199"),
    "an alias that is nobody's": _alias("+1202555*", "100", "spec.inbound.aliases: 100 is not", "allows: +1202555*"),
    "an alias that is the number of others": _alias("+1202555*", "442079460123", "442079460123 is not allowed"),
    "a comma at the end": _numbers("+44*,", PHONE, "allows: +44*"),
    "the second of several": _numbers("+44* ,\n +1202555*", PHONE),
    "none of several": _numbers("+44*,+1202556*", PHONE, "allows: +44*, +1202556*"),
    "blanks within a number": _numbers("+1 202 555*", PHONE),
    "the last of thousands": _numbers(f"{MANY},{PHONE}", PHONE),
    "none of thousands": _numbers(MANY, PHONE, "allows: +13035550000, +13035550001, ", " …"),
    "blanks for commas": _numbers("+44* +1202555*", PHONE, NOTHING),
    "the host itself": _hosts("sip.example.com", "sip.example.com"),
    "a host below": _hosts("example.com", "SIP.Example.COM.:5061"),
    "a host below, with a dot": _hosts(" .Example.com. ", "sip.example.com:5061"),
    "a host that ends alike": _hosts("example.com", "badexample.com", "host badexample.com", "allows: example.com"),
    "a host above": _hosts("sip.example.com", "example.com", "allows: sip.example.com"),
    "a host that begins alike": _hosts("example.com", "example.com.evil.net", "host example.com.evil.net"),
    "hosts below a star": _hosts("*.example.com", "a.sip.example.com"),
    "a star and a dot": _hosts(".*, *., *.*, **", "sip.example.com", NOTHING),
    "a star within a host": _hosts("sip*.example.com", "sip1.example.com", NOTHING),
    "an empty list of hosts": _hosts("", "sip.example.com", NOTHING),
    "dots only": _hosts(".,..", "sip.example.com", NOTHING),
    "a top level": _hosts("com", "sip.example.com"),
    "IPv4": _hosts("203.0.113.7", "203.0.113.7:5060"),
    "another IPv4": _hosts("203.0.113.7", "203.0.113.77", "host 203.0.113.77"),
    "IPv6": _hosts("2001:db8::1", "[2001:DB8::1]:5061"),
    "IPv6 in brackets": _hosts("[2001:db8::1]", "[2001:db8::1]:5061"),
    "another IPv6": _hosts("2001:db8::1", "[2001:db8::11]:5061", "host 2001:db8::11"),
    "no agents": _agents("", "", ""),
    "an agent that is not named": _agents("", "agent_support", "", "spec.inboundAgentId: agent_support", NOTHING),
    "both agents": _agents("agent_support, agent_sales", "agent_support", "agent_sales"),
    "one of two": _agents("agent_support", "agent_support", "agent_sales", "spec.outboundAgentId: agent_sales"),
    "an agent in another case": _agents("agent_support", "Agent_Support", "", "allows: agent_support"),
    "an agent that begins alike": _agents("agent", "agent_support", "", "allows: agent"),
    "agents of one beginning": _agents("acme-*", "acme-a", "acme-"),
    "agents of another beginning": _agents("acme-*", "acme", "", "allows: acme-*"),
    "more agents": _more_agents("agent_*, acme", "acme", "agent_b"),
    "one of more agents": _more_agents(
        "agent_*", "agent_b", "acme", refused=("spec.inbound.additionalAgentIds: acme is not", "allows: agent_*")
    ),
    "a star that is not at the end": _agents("*-acme", "x-acme", "", "allows: *-acme"),
}


def entry(fields: Json, manager: str = "m") -> Json:
    when = {"operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1"}
    return {"manager": manager, "apiVersion": "byoc.talkifai.dev/v1alpha1", **when, "fieldsV1": fields}


def deep(levels: int) -> Json:
    fields: Json = {}
    for _ in range(levels):
        fields = {"f:a": fields}
    return fields


def flat(count: int, within: int = 0) -> Json:
    return {f"f:k{index}": flat(within) for index in range(count)}


def managed(*entries: Json) -> Json:
    return {"managedFields": list(entries)}


def owners(count: int, name: str = "n") -> Json:
    owners = [{"apiVersion": "v1", "kind": "Pod", "name": name, "uid": f"u{index}"} for index in range(count)]
    return {"ownerReferences": owners}


MANAGED = "metadata.managedFields must have at most 32 entries"
ABSURD: dict[str, tuple[Json, str]] = {
    "17 finalizers": ({"finalizers": ["example.com/x"] * 17}, "at most 16 entries, and would have 17"),
    "our finalizer 17 times": ({"finalizers": ["byoc.talkifai.dev/finalizer"] * 17}, "metadata.finalizers must have"),
    "17 owners": (owners(17), "metadata.ownerReferences must have at most 16 entries, and would have 17"),
    "a long owner": (owners(1, "n" * 254), "no text of more than 253 characters"),
    "65 labels": ({"labels": {f"l{index}": "" for index in range(65)}}, "metadata.labels must have at most 64 entries"),
    "65 annotations": (
        {"annotations": {f"l{index}": "" for index in range(65)}},
        "metadata.annotations must have at most",
    ),
    "long annotations": ({"annotations": {"a": "x" * 98_304}}, "at most 98304 characters in all"),
    "33 managers": (managed(*(entry({"f:spec": {}}, f"m{index}") for index in range(33))), MANAGED),
    "7 levels": (managed(entry(deep(7))), MANAGED),
    "500 levels": (managed(entry(deep(500))), MANAGED),
    "a long field": (managed(entry({"f:" + "x" * 65_536: {}})), MANAGED),
}
HUGE: dict[str, tuple[Json, str]] = {
    "220,000 finalizers": ({"finalizers": ["ab"] * 220_000}, "at most 16 entries, and would have 220000"),
    "60,000 flat fields": (managed(entry(flat(60_000))), MANAGED),
    "10,000 fields in two levels": (managed(entry(flat(64, 200))), MANAGED),
    "60,000 fields in two levels": (managed(entry(flat(64, 1000))), "cost limit exceeded"),
}
USUAL: dict[str, Json] = {
    "16 finalizers": {"finalizers": ["example.com/x"] * 16},
    "16 owners": owners(16, "n" * 253),
    "64 labels": {"labels": {**LABEL, **{f"l{index}": "" for index in range(62)}}},
    "64 annotations": {"annotations": {f"l{index}": "x" * 1000 for index in range(64)}},
    "30 managers": managed(*(entry({"f:spec": {"f:friendlyName": {}}}, f"m{index}") for index in range(30))),
    "6 levels": managed(entry(deep(6))),
}
FROM_BEFORE: dict[str, Json] = {
    "plain": {},
    "finalizers": {"finalizers": ["example.com/x"] * TOO_MUCH},
    "owners": owners(MANY_OWNERS),
    "labels": {"labels": {f"l{index}": "" for index in range(TOO_MUCH)}},
    "annotations": {"annotations": {f"l{index}": "x" * 2000 for index in range(TOO_MUCH)}},
    "long": {"annotations": {"a": "x" * 150_000}},
}
CHANGED_BEFORE: dict[str, Json] = {
    "deep": {"metadata": managed(entry(deep(300)))},
    "flat": {"metadata": managed(entry(flat(10_000)))},
    "managers": {"metadata": managed(*(entry({"f:spec": {}}, f"m{index}") for index in range(TOO_MUCH)))},
}


# --- whose it is ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Estate:
    """A tenant with rights in a namespace for each row, and what it had in `home` before the policies came."""

    home: Tenant
    namespaces: Mapping[str, str]
    owners: list[Json]

    def create(self, row: str) -> Answer:
        """Ask whether the number of a row would be taken."""
        spec = merged({**BASE, "phoneNumber": PHONE}, ROWS[row].spec)
        path = self.home.numbers_path.replace(self.home.namespace, self.namespaces[row])
        return self.home.request("POST", f"{path}?dryRun=All", manifest("a", self.namespaces[row], spec))

    def patch(self, name: str, change: Json | bytes, *, dry: bool = False) -> Answer:
        """Merge-patch a number at home."""
        path = f"{self.home.numbers_path}/{name}" + ("?dryRun=All" if dry else "")
        return self.home.request("PATCH", path, change, MERGE)


def namespace_of(estate: Estate, row: str) -> tuple[Json, Json]:
    """The namespace of a row, and the tenant's rights there."""
    name = estate.namespaces[row]
    allowed = ROWS[row].allowed or {}
    annotations = {f"byoc.talkifai.dev/allowed-{what}": text for what, text in allowed.items()}
    subject = {"kind": "ServiceAccount", "name": "attacker", "namespace": estate.home.namespace}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"}
    return (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "attacker", "namespace": name},
            "roleRef": role,
            "subjects": [subject],
        },
    )


def with_owners(estate: Estate, metadata: Json) -> Json:
    """The metadata with as many owners that are there: the garbage collector takes away who has none."""
    return metadata | (
        {"ownerReferences": estate.owners[: len(metadata["ownerReferences"])]} if "ownerReferences" in metadata else {}
    )


def owners_there(bed: Bed, home: Tenant) -> list[Json]:
    """References to objects that are there."""
    items = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"owner-{index}", "namespace": home.namespace}}
        for index in range(MANY_OWNERS + 1)
    ]
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
    bed.kubectl("create", "-f", "-", stdin=listed)
    made = json.loads(bed.kubectl("-n", home.namespace, "get", "configmaps", "-o", "json").stdout)["items"]
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": each["metadata"]["name"], "uid": each["metadata"]["uid"]}
        for each in made
    ]


def updated(estate: Estate, kind: str, metadata: Json) -> Answer:
    """Update a number or a labelled Secret: at creation the API server makes managedFields itself."""
    if kind == "number":
        return estate.patch("plain", {"metadata": metadata}, dry=True)
    labels = {**LABEL, **metadata.get("labels", {})}
    made = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "labelled", "labels": LABEL}}
    estate.home.request("POST", estate.home.secrets_path, made)
    entries = [{**entry, "apiVersion": "v1"} for entry in metadata.get("managedFields", ())]
    metadata = {**metadata, "labels": labels} | ({"managedFields": entries} if entries else {})
    path = f"{estate.home.secrets_path}/labelled?dryRun=All"
    return estate.home.request("PATCH", path, {"metadata": metadata}, MERGE)
