"""Environment and files of a played pod, fetched from the API server as kubelet does.

A pod is `{"metadata": …, "spec": …}` with name and namespace in its metadata.
"""

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path

from testbed.bed import Bed
from testbed.pod_spec import Json, NotPlayed, only

_KUBELET_SECRET_MODE = 0o644


def environment(bed: Bed, pod: Json) -> dict[str, str]:
    """Variables as the container gets them: the cluster's own, `envFrom`, then `env`, the later the stronger."""
    (container,) = pod["spec"]["containers"]
    found = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(bed.api_server.port)}
    found |= {"HOME": "/", "HOSTNAME": pod["metadata"]["name"]}
    if pod["spec"].get("enableServiceLinks", True):
        found |= _service_links(bed, pod)
    for source in container.get("envFrom", ()):
        only(source, {"configMapRef", "secretRef", "prefix"}, "envFrom")
        kind, reference = (
            ("configmap", source["configMapRef"]) if "configMapRef" in source else ("secret", source["secretRef"])
        )
        values = _content(bed, pod, kind, reference)
        found |= {source.get("prefix", "") + key: value.decode() for key, value in values.items()}
    for variable in container.get("env", ()):
        if (value := _value(bed, pod, variable)) is not None:
            found[variable["name"]] = value
    return found


def mounts(bed: Bed, pod: Json, folder: Path) -> list[str | Path]:
    """Arguments for bubblewrap that mount the pod's volumes; a Path is a place in the container.

    Files are written below `folder`, with the owner and the mode that kubelet gives them.
    """
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes", ())}
    (container,) = pod["spec"]["containers"]
    mounted = {mount["name"] for mount in container.get("volumeMounts", ())}
    if mounted != set(volumes):
        raise NotPlayed(f"volumes {sorted(volumes)}, mounted are {sorted(mounted)}")
    arguments: list[str | Path] = []
    for mount in container.get("volumeMounts", ()):
        volume, place = volumes[mount["name"]], Path(mount["mountPath"])
        if "emptyDir" in volume:
            only(volume["emptyDir"], {"medium", "sizeLimit"}, f"volume {volume['name']}")
            arguments += ["--perms", "1777", "--tmpfs", place]
        else:
            arguments += ["--ro-bind", str(_written(bed, pod, volume, folder / volume["name"])), place]
    return arguments


def _value(bed: Bed, pod: Json, variable: Json) -> str | None:
    only(variable, {"name", "value", "valueFrom"}, f"env {variable['name']}")
    source = variable.get("valueFrom", {})
    only(source, {"fieldRef", "secretKeyRef", "configMapKeyRef"}, f"env {variable['name']}")
    if "fieldRef" in source:
        return _field(pod, source["fieldRef"]["fieldPath"])
    for kind, name in (("secret", "secretKeyRef"), ("configmap", "configMapKeyRef")):
        if reference := source.get(name):
            value = _content(bed, pod, kind, reference).get(reference["key"])
            if value is None and not reference.get("optional"):
                raise LookupError(f"{kind} {reference['name']} has no key {reference['key']}")
            return None if value is None else value.decode()
    value = variable.get("value", "")
    if "$(" in value:
        raise NotPlayed(f"env {variable['name']}: variables in a value")
    return str(value)


def _field(pod: Json, path: str) -> str:
    fields = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "spec.serviceAccountName": pod["spec"]["serviceAccountName"],
    }
    if path not in fields:
        raise NotPlayed(f"fieldRef {path}")
    return str(fields[path])


def _service_links(bed: Bed, pod: Json) -> dict[str, str]:
    """`<SERVICE>_SERVICE_HOST` and its like for every Service of the namespace: names that may look like settings."""
    found: dict[str, str] = {}
    for service in _get(bed, pod, "services")["items"]:
        address, name = service["spec"].get("clusterIP"), service["metadata"]["name"].upper().replace("-", "_")
        if address in (None, "", "None"):
            continue
        port = service["spec"]["ports"][0]["port"]
        found |= {f"{name}_SERVICE_HOST": address, f"{name}_SERVICE_PORT": str(port)}
        found |= {f"{name}_PORT": f"tcp://{address}:{port}", f"{name}_PORT_{port}_TCP_ADDR": address}
    return found


def _written(bed: Bed, pod: Json, volume: Json, folder: Path) -> Path:
    """The volume as a folder of files."""
    folder.mkdir(parents=True)
    folder.parent.chmod(0o755)
    only(volume, {"name", "secret", "configMap", "projected"}, f"volume {volume['name']}")
    source = volume.get("projected")
    if source is None:
        kind = "secret" if "secret" in volume else "configMap"
        reference = dict(volume[kind])
        mode = reference.pop("defaultMode", _KUBELET_SECRET_MODE)
        reference["name"] = reference.pop("secretName", None) or reference["name"]
        sources = [{kind: reference}]
    else:
        only(source, {"sources", "defaultMode"}, f"volume {volume['name']}")
        sources, mode = source["sources"], source.get("defaultMode", _KUBELET_SECRET_MODE)
    for part in sources:
        for path, content, is_token in _files(bed, pod, part):
            _write(folder / path, content, mode, pod, is_token=is_token)
    return folder


def _files(bed: Bed, pod: Json, source: Json) -> Iterator[tuple[str, bytes, bool]]:
    """Path, content and whether it is the token, of each file of one source of a projected volume."""
    only(source, {"secret", "configMap", "downwardAPI", "serviceAccountToken"}, "projected source")
    if token := source.get("serviceAccountToken"):
        yield token["path"], _token(bed, pod, token), True
    if downward := source.get("downwardAPI"):
        for item in downward["items"]:
            only(item, {"path", "fieldRef"}, "downwardAPI")
            yield item["path"], _field(pod, item["fieldRef"]["fieldPath"]).encode(), False
    for kind in ("secret", "configMap"):
        if reference := source.get(kind):
            only(reference, {"name", "items", "optional"}, f"volume of {kind}")
            content = _content(bed, pod, kind.lower(), reference)
            items = reference.get("items") or [{"key": key, "path": key} for key in content]
            for item in items:
                only(item, {"key", "path"}, f"volume of {kind} {reference['name']}")
                if item["key"] not in content:
                    raise LookupError(f"{kind} {reference['name']} has no key {item['key']}")
                yield item["path"], content[item["key"]], False


def _token(bed: Bed, pod: Json, wanted: Json) -> bytes:
    only(wanted, {"path", "expirationSeconds", "audience"}, "serviceAccountToken")
    audience = [f"--audience={wanted['audience']}"] if "audience" in wanted else []
    account, namespace = pod["spec"]["serviceAccountName"], pod["metadata"]["namespace"]
    duration = f"--duration={wanted['expirationSeconds']}s"
    made = bed.kubectl("create", "token", account, f"--namespace={namespace}", duration, *audience)
    return made.stdout.strip().encode()


def _write(path: Path, content: bytes, mode: int, pod: Json, *, is_token: bool) -> None:
    """As kubelet does: root's files, in the pod's group if it has one; the token belongs to the pod's user alone."""
    path.write_bytes(content)
    user = {**pod["spec"]["securityContext"], **pod["spec"]["containers"][0]["securityContext"]}
    group = user.get("fsGroup")
    if os.geteuid() == 0:
        os.chown(path, user["runAsUser"] if is_token else 0, -1 if group is None else group)
    path.chmod(0o600 if is_token else mode if group is None else mode | 0o040)


def _content(bed: Bed, pod: Json, kind: str, reference: Json) -> dict[str, bytes]:
    """The keys of a Secret or ConfigMap. Raises LookupError if there is none and one must be."""
    found = _get(bed, pod, kind, reference["name"])
    if not found and not reference.get("optional"):
        raise LookupError(f"there is no {kind} {reference['name']} in {pod['metadata']['namespace']}")
    if kind == "secret":
        return {key: base64.b64decode(value) for key, value in found.get("data", {}).items()}
    return {key: value.encode() for key, value in found.get("data", {}).items()}


def _get(bed: Bed, pod: Json, *what: str) -> Json:
    """An object or a list; empty if there is none."""
    done = bed.kubectl("get", *what, "-n", pod["metadata"]["namespace"], "-o", "json", "--ignore-not-found")
    found: Json = json.loads(done.stdout or "{}")
    return found
