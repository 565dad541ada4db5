"""The manifest with which krew, the package manager of kubectl's plugins, installs `kubectl byoc`.

https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest
"""

import hashlib
from pathlib import Path
from typing import Any

import yaml

from plugin_file.archives import archive_name
from plugin_file.building import file_name
from plugin_file.wheels import MINORS, PLATFORMS

MANIFEST = "byoc.yaml"
"""krew takes the name of the plugin from the name of this file."""

_SHORT = "Phone numbers, SIP trunks and sealed credentials"
_DESCRIPTION = """\
Shows how the phone numbers of the BYOC operator are and why, finds the first
break in the chain of a call, places test calls, seals SIP credentials for Git
and looks after the sealing keys. It works with the rights of your kubeconfig.
"""


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as it is read."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if text.endswith("\n") else None)


_Dumper.add_representer(str, _text)


class ArchiveMissing(LookupError):
    """An archive of a platform is not there; the message says which, and what makes it."""


def krew_manifest(archives: Path, version: str, repository: str) -> str:
    """The manifest, with the checksums of the archives in a folder.

    `repository`: address of the repository, whose releases have the archives. Raises ArchiveMissing.
    """
    pythons = ", ".join(f"3.{minor}" for minor in MINORS)
    spec = {
        "version": f"v{version}",
        "homepage": repository,
        "shortDescription": _SHORT,
        "description": _DESCRIPTION,
        "caveats": f"Needs Python {pythons} on the PATH, and no package of Python.\n",
        "platforms": [_platform(each, archives, version, repository) for each in sorted(PLATFORMS)],
    }
    manifest = {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "byoc"},
        "spec": spec,
    }
    return yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=120)


def _platform(platform: str, archives: Path, version: str, repository: str) -> dict[str, Any]:
    name = archive_name(version, platform)
    try:
        content = archives.joinpath(name).read_bytes()
    except FileNotFoundError as exc:
        raise ArchiveMissing(f"{archives / name} is missing; `make plugins` makes all archives") from exc
    system, _, machine = platform.partition("-")
    return {
        "selector": {"matchLabels": {"os": system, "arch": machine}},
        "uri": f"{repository}/releases/download/v{version}/{name}",
        "sha256": hashlib.sha256(content).hexdigest(),
        "bin": file_name(platform),
    }
