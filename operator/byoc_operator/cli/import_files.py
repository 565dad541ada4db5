"""Writes what was imported: YAML documents on standard output, or one file for each number."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..api.printable import printable
from ..api.resource import Key
from ..api.secret_references import INBOUND_CREDENTIALS, RECORDING_STORAGES
from ..core.trunk import Kind
from .exit_codes import ExitCode, Refused
from .import_proof import Imported
from .output import as_yaml
from .terminal import show_document

_PRIVATE, _SHARED = 0o600, 0o644

_NAMED, _MOST = 3, 300
"""How many files, and characters of a reason, are told."""

_STUB = (
    "# Fill in: LiveKit's {what} not in this manifest, because {why}.\n"
    "# Until then the operator leaves the {kind} as it is and says SecretInvalid.\n"
    "# `kubectl byoc seal {name} -n {namespace}{purpose}` prints this Secret sealed.\n"
)
_BOTH_WAYS = (
    "# The operator writes this password to the inbound trunk too. If callers must prove another one, put it into\n"
    "# a second Secret and name that in spec.inbound.credentialsSecretRef before you apply this.\n"
)
_PLAIN = "# The credentials are in plain text. Do not keep this in Git; `kubectl byoc seal` makes sealed ones.\n"


@dataclass(frozen=True, slots=True)
class WrittenSecret:
    """A Secret, ready to be written. `comment`: above it. `plain`: whether it has credentials in plain text."""

    manifest: dict[str, Any]
    comment: str = ""
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Written:
    """One imported number, ready to be written, with the Secrets that it needs."""

    imported: Imported
    secrets: tuple[WrittenSecret, ...] = ()

    def text(self) -> str:
        """The YAML documents of this number."""
        ids = " ".join(f"{each.kind.label} {each.id};" for each in self.imported.found.objects).rstrip(";")
        parts = [f"---\n# In LiveKit: {ids}\n", as_yaml(self.imported.manifest)]
        for secret in self.secrets:
            parts += [f"---\n{secret.comment}", as_yaml(secret.manifest)]
        return "".join(parts)

    @property
    def plain(self) -> bool:
        """Whether credentials stand there in plain text."""
        return any(secret.plain for secret in self.secrets)


def stub_comment(why: str, key: Key, reference: str, *, both_ways: bool) -> str:
    """What stands above a Secret without values. `key`: of the Secret. `reference`: its path in the spec.

    `both_ways`: whether callers must prove what stands in it as well.
    """
    what, kind, purpose = "password and user name are", Kind.OUTBOUND_TRUNK, ""
    if reference == INBOUND_CREDENTIALS:
        kind = Kind.INBOUND_TRUNK
    for storage, path in RECORDING_STORAGES.items():
        if reference == path:
            what, kind, purpose = "keys of the recordings' storage are", Kind.DISPATCH_RULE, f" --for {storage}"
    told = _STUB.format(
        what=what, why=printable(why, _MOST), kind=kind.label, name=key.name, namespace=key.namespace, purpose=purpose
    )
    return told + _BOTH_WAYS if both_ways else told


def plain_comment() -> str:
    """What stands above a Secret in plain text."""
    return _PLAIN


def show_all(written: Sequence[Written]) -> None:
    """All documents on standard output."""
    for each in written:
        show_document(each.text())


def write_all(written: Sequence[Written], directory: str, *, force: bool) -> list[str]:
    """One file for each number; their names. Nothing is written if one exists and `force` is not given."""
    folder = Path(directory)
    paths = {folder / f"{each.imported.key.name}.yaml": each for each in written}  # a DNS label is a safe file name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = [path.name for path in paths if os.path.lexists(path)]
        if there and not force:
            more = f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
            message = f"{directory} has {', '.join(there[:_NAMED])}{more} already; --force overwrites"
            raise Refused(message, ExitCode.USAGE)
        for path, each in paths.items():
            _write(path, each, force=force)
    except OSError as exc:
        raise Refused(f"-o {directory}: the files cannot be written ({type(exc).__name__})", ExitCode.USAGE) from None
    return [path.name for path in paths]


def _write(path: Path, written: Written, *, force: bool) -> None:
    """Write beside, then rename: whoever reads the file sees all of it, and a link is replaced, not followed."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    mode = _PRIVATE if written.plain else _SHARED
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - of a descriptor
            file.write(written.text())
        if force:
            beside.replace(path)
        else:
            os.link(beside, path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()
