"""Reads parts of a Deployment and of other objects as they are stored. What has another shape counts as absent."""

from collections.abc import Mapping
from typing import Any

DEFAULT_PORT = 8080
"""Of metrics and probes, where a pod does not name its port `http`."""


def at(value: object, *path: str) -> object:
    """The value below the keys of a path, None if there is none."""
    for name in path:
        value = mapping(value).get(name)
    return value


def mapping(value: object) -> Mapping[str, Any]:
    """The value if it is a map, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def items(value: object) -> list[Mapping[str, Any]]:
    """The maps of a list."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list) else []


def text(value: object) -> str:
    """The value if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def operators_container(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The operator's own container of a Deployment."""
    return container_of(at(raw, "spec", "template", "spec", "containers"))


def container_of(stored: object) -> Mapping[str, Any]:
    """The operator's own container: the one called so, else the first."""
    containers = items(stored)
    named = [each for each in containers if each.get("name") == "operator"]
    return next(iter([*named, *containers]), {})


def variables_of(raw: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The environment variables of the operator's container, by name."""
    return {text(each.get("name")): each for each in items(operators_container(raw).get("env"))}


def volume_of(raw: Mapping[str, Any], file: str) -> tuple[Mapping[str, Any], str]:
    """The volume whose mount has a file, and the path of the file in it. Both are empty if there is none."""
    volumes = {text(each.get("name")): each for each in items(at(raw, "spec", "template", "spec", "volumes"))}
    for mount in items(operators_container(raw).get("volumeMounts")):
        folder = text(mount.get("mountPath")).rstrip("/") + "/"
        volume = volumes.get(text(mount.get("name")))
        if volume is not None and folder != "/" and file.startswith(folder):
            return volume, file.removeprefix(folder)
    return {}, ""


def livekit_secret(raw: Mapping[str, Any]) -> str:
    """The Secret that is mounted where LIVEKIT_API_SECRET_FILE is, or that a variable is made of."""
    variables = variables_of(raw)
    direct = text(at(variables.get("LIVEKIT_API_SECRET"), "valueFrom", "secretKeyRef", "name"))
    if direct:
        return direct
    volume, _ = volume_of(raw, text(mapping(variables.get("LIVEKIT_API_SECRET_FILE")).get("value")))
    return text(at(volume, "secret", "secretName"))


def carriers_place(raw: Mapping[str, Any], file: str) -> tuple[str, str]:
    """The ConfigMap and the key in it that are mounted as a file. Both are empty if there is none."""
    volume, path = volume_of(raw, file)
    stored = mapping(volume.get("configMap"))
    keys = {text(each.get("path")): text(each.get("key")) for each in items(stored.get("items"))}
    return text(stored.get("name")), keys.get(path, path)


def http_port(container: Mapping[str, Any]) -> int:
    """The port of metrics and probes."""
    named = [each.get("containerPort") for each in items(container.get("ports")) if each.get("name") == "http"]
    return next((each for each in named if isinstance(each, int)), DEFAULT_PORT)
