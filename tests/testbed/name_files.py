"""How a played pod finds names: /etc/hosts and /etc/resolv.conf, as kubelet writes them."""

from pathlib import Path

from testbed.pod_spec import Json


def name_files(spec: Json, folder: Path) -> list[str | Path]:
    """Arguments for bubblewrap that mount the files which the pod asks for; a Path is a place in the container."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    asked = {}
    if aliases := spec.get("hostAliases"):
        lines = [f"{each['ip']}\t{' '.join(each['hostnames'])}" for each in aliases]
        asked["hosts"] = ["127.0.0.1\tlocalhost", "::1\tlocalhost", *lines]
    if config := spec.get("dnsConfig"):
        asked["resolv.conf"] = _resolver(config)
    arguments: list[str | Path] = []
    for name, lines in asked.items():
        (folder / name).write_text("".join(f"{line}\n" for line in lines))
        arguments += ["--ro-bind", str(folder / name), Path("/etc") / name]
    return arguments


def _resolver(config: Json) -> list[str]:
    options = [":".join(filter(None, (each["name"], each.get("value")))) for each in config.get("options", ())]
    lists = (("search", config.get("searches")), ("options", options))
    return [
        *(f"nameserver {address}" for address in config.get("nameservers", ())),
        *(f"{name} {' '.join(values)}" for name, values in lists if values),
    ]
