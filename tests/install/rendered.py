"""Questions to what the operator's chart renders."""

from typing import Any

import pytest

Json = dict[str, Any]
NAME, NAMESPACE = "byoc-operator", "byoc-system"
POLICY_API = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
URL = "wss://livekit.example.com"
DEFAULTS: Json = {"livekit": {"url": URL}}
NAMESPACED: Json = {**DEFAULTS, "namespaces": ["voice"], "installationId": "one"}
LEAST: Json = {
    **NAMESPACED,
    "crds": {"enabled": False},
    "userRoles": {"enabled": False},
    "finalizerPolicy": "Off",
    "networkPolicy": {"enabled": False},
    "podDisruptionBudget": {"enabled": False},
}
EVERYTHING: Json = {
    "livekit": {
        "url": "ws://10.0.0.1:7443",
        "existingSecret": "keys",
        "timeoutSeconds": 2.5,
        "requestsPerMinute": 900,
        "proxy": "Environment",
        "certificateAuthority": {"configMap": "ca", "key": "bundle.pem"},
    },
    "sip": {"uri": "sip.voice.example:5061;transport=tcp", "addresses": ["203.0.113.10", "2001:db8::/32"]},
    "installationId": "new,old",
    "namespaces": ["byoc-system", "voice", "123"],
    "finalizerPolicy": "On",
    "sweepIntervalSeconds": 3000000,
    "secrets": "Labelled",
    "terminationHosts": [".twilio.com", "sip.telnyx.com"],
    "carriers": [{"name": "Mine", "hosts": ["pbx.example.com"], "signallingRanges": ["203.0.113.0/28"]}],
    "refusedHosts": "Remove",
    "adoption": "Allow",
    "unknownFields": "Keep",
    "orphans": "Delete",
    "retain": 20,
    "numberReservationSeconds": 60,
    "agentName": "agent",
    "roomPrefix": "room-",
    "credentialsMaxAgeDays": 90,
    "log": {"format": "text", "level": "DEBUG"},
    "sealing": {
        "policy": "Require",
        "createKeys": False,
        "requireAtAdmission": True,
        "admission": {"enabled": True, "certificates": "CertManager"},
    },
    "policies": {"metadata": True, "namespaces": {"enabled": True, "withoutAnnotation": "Allow"}},
    "replicaCount": 3,
    "image": {"repository": "registry.example:5000/byoc", "digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"},
    "imagePullSecrets": [{"name": "pull"}],
    "topologySpreadConstraints": [{"maxSkew": 2, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}],
    "nodeSelector": {"disk": "ssd"},
    "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
    "affinity": {"nodeAffinity": {}},
    "priorityClassName": "system-cluster-critical",
    "runtimeClassName": "gvisor",
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["livekit.example.com"]}],
    "dnsPolicy": "None",
    "dnsConfig": {"nameservers": ["10.0.0.10"], "searches": ["svc"], "options": [{"name": "ndots", "value": "2"}]},
    "strategy": {"type": "Recreate"},
    "startupProbe": {"periodSeconds": 5, "failureThreshold": 60},
    "livenessProbe": {"initialDelaySeconds": 10},
    "readinessProbe": {"successThreshold": 2},
    "serviceAccount": {"create": False, "name": "other", "annotations": {"a": "b"}},
    "networkPolicy": {"enabled": True, "dnsPorts": [8053], "egressPorts": [9443]},
    "openshift": {"enabled": "On"},
    "podAnnotations": {"a": "b"},
    "podLabels": {"c": "d", "team": "pods"},
    "commonLabels": {"team": "voice", "app.kubernetes.io/part-of": "phones", "app.kubernetes.io/name": "mine"},
    "service": {"annotations": {"prometheus.io/scrape": "true"}},
    "metrics": {
        "perNumber": True,
        "serviceMonitor": {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "namespace": "monitoring",
            "scrapeTimeout": "5s",
            "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}],
            "metricRelabelings": [{"action": "drop", "regex": "process_.*", "sourceLabels": ["__name__"]}],
        },
        "podMonitor": {"enabled": True, "interval": "1m"},
        "prometheusRule": {
            "enabled": True,
            "labels": {"release": "prometheus"},
            "runbooks": "https://git.example/r.md",
        },
        "dashboard": {"enabled": True, "namespace": "monitoring", "annotations": {"grafana_folder": "Voice"}},
    },
    "argocd": {"customizations": {"enabled": True}},
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
    "extraVolumes": [{"name": "extra", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "extra", "mountPath": "/extra"}],
    "extraObjects": [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "{{ .Release.Name }}-more", "namespace": "{{ .Release.Namespace }}"},
        }
    ],
    "global": {
        "of": "a parent chart",
        "imageRegistry": "mirror.example",
        "imagePullSecrets": ["shared", {"name": "pull"}],
        "nodeSelector": {"disk": "any", "pool": "voice"},
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}, {"key": "pool"}],
    },
}
POLICIES: Json = {"policies": {"metadata": True, "namespaces": {"enabled": True}}}
SEALING: Json = {**DEFAULTS, "sealing": {"requireAtAdmission": True, "admission": {"enabled": True}}}
SETS: dict[str, Json] = {
    "defaults": DEFAULTS,
    "namespaced": NAMESPACED,
    "least": LEAST,
    "everything": EVERYTHING,
    "sealing": SEALING,
    "policies": {**DEFAULTS, **POLICIES},
}
NETWORK_POLICY: Json = {"networkPolicy": {"enabled": True}}
EVERY_SET = pytest.mark.parametrize("values", SETS.values(), ids=SETS.keys())


def identity(found: Json) -> tuple[str, str, str, str]:
    metadata = found["metadata"]
    return found["apiVersion"], found["kind"], metadata.get("namespace", ""), metadata["name"]


def one(rendered: list[Json], kind: str) -> Json:
    (found,) = (each for each in rendered if each["kind"] == kind)
    return found
