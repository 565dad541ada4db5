"""What of a pod template is played; anything else is refused, so that no test passes because something was ignored."""

from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]

_PLACING = frozenset(
    {
        "affinity",
        "nodeSelector",
        "priorityClassName",
        "runtimeClassName",
        "schedulerName",
        "tolerations",
        "topologySpreadConstraints",
    }
)
"""Where a pod runs, and by which runtime: the business of the scheduler and of the node."""

_POD = frozenset(
    {
        "automountServiceAccountToken",
        "containers",
        "dnsConfig",
        "dnsPolicy",
        "enableServiceLinks",
        "hostAliases",
        "imagePullSecrets",
        "restartPolicy",
        "securityContext",
        "serviceAccount",
        "serviceAccountName",
        "terminationGracePeriodSeconds",
        "volumes",
    }
)
_CONTAINER = frozenset(
    {
        "args",
        "command",
        "env",
        "envFrom",
        "image",
        "imagePullPolicy",
        "lifecycle",
        "livenessProbe",
        "name",
        "ports",
        "readinessProbe",
        "resources",
        "securityContext",
        "startupProbe",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "volumeMounts",
    }
)
_HTTP_PROBE = frozenset(
    {"failureThreshold", "httpGet", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds"}
)
_POD_USER = frozenset({"fsGroup", "runAsGroup", "runAsNonRoot", "runAsUser", "seccompProfile"})
_LOCKED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
"""What the player always does; a container that does not ask for it would have it easier in a real cluster."""


class NotPlayed(RuntimeError):
    """The Deployment asks for something that the player does not do."""


def only(found: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise NotPlayed for a key that is not known."""
    if unknown := sorted(set(found) - set(known)):
        raise NotPlayed(f"{where}: {', '.join(unknown)}")


def checked(template: Json) -> Json:
    """The pod template, once all of it is known to be played. Raises NotPlayed."""
    spec = template["spec"]
    only(spec, _POD | _PLACING, "pod")
    if len(spec["containers"]) != 1:
        raise NotPlayed("more than one container")
    if spec.get("automountServiceAccountToken") is not False:
        raise NotPlayed("a token that is mounted without being asked for")
    if spec["restartPolicy"] != "Always":
        raise NotPlayed(f"restartPolicy {spec['restartPolicy']}")
    # ClusterFirst with a configuration would be the cluster's own and more; the bed has no DNS of its own.
    if (spec["dnsPolicy"], "dnsConfig" in spec) not in (("ClusterFirst", False), ("None", True)):
        raise NotPlayed(f"dnsPolicy {spec['dnsPolicy']}, dnsConfig {spec.get('dnsConfig')}")
    only(spec.get("dnsConfig", {}), {"nameservers", "searches", "options"}, "dnsConfig")
    _check_user(spec)
    _check_container(spec["containers"][0])
    return template


def _check_container(container: Json) -> None:
    only(container, _CONTAINER, "container")
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        only(container[name], _HTTP_PROBE, name)
        only(container[name]["httpGet"], {"path", "port", "scheme"}, f"{name}.httpGet")
    lifecycle = container.get("lifecycle", {})
    only(lifecycle, {"preStop"}, "lifecycle")
    only(lifecycle.get("preStop", {}), {"sleep"}, "preStop")
    for mount in container.get("volumeMounts", ()):
        only(mount, {"name", "mountPath", "readOnly"}, f"volumeMount {mount['name']}")
    texts = [*container.get("command", ()), *container.get("args", ())]
    if any("$(" in text for text in texts):
        raise NotPlayed("variables in arguments")


def _check_user(spec: Json) -> None:
    pod, container = spec["securityContext"], spec["containers"][0]["securityContext"]
    only(pod, _POD_USER, "pod securityContext")
    only(container, _POD_USER | set(_LOCKED), "container securityContext")
    for name, wanted in _LOCKED.items():
        if container.get(name) != wanted:
            raise NotPlayed(f"{name} is {container.get(name)}, not {wanted}")
    user = {**pod, **container}
    if not (user.get("runAsNonRoot") is True and user.get("runAsUser") and "runAsGroup" in user):
        raise NotPlayed("a user that the image chooses")
