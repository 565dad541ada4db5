"""Reads the manifests of files: `ByocPhoneNumber` objects, and the Secrets beside them."""

import base64
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ..api.names import GROUP, KIND
from .exit_codes import ExitCode, Refused
from .naming import NAMESPACE, NUMBER, named

MAX_FILE = 32 * 2**20
"""Bytes of one file: 2,000 numbers with their Secrets take 4 MB."""

MAX_VALUES = 2_000_000
MAX_DEPTH = 32
"""Values of one file, and how deep they may be nested: an alias of YAML can stand for a billion values."""


@dataclass(frozen=True, slots=True)
class Manifests:
    """What files hold. `numbers` and `secrets`: raw objects by namespace and name. `passed_over`: other documents."""

    numbers: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    secrets: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)


def read_manifests(paths: tuple[str, ...], namespace: str) -> Manifests:
    """The objects of files, `-` for standard input; those without a namespace are in `namespace`. Raises `Refused`."""
    found = Manifests()
    for path in paths:
        where = "standard input" if path == "-" else path
        for document in documents(read_bytes(path), where):
            _take(document, where, namespace, found)
    return found


def read_bytes(path: str) -> bytes:
    """The content of a file, `-` for standard input. Raises `Refused`."""
    try:
        if path == "-":
            content = sys.stdin.buffer.read(MAX_FILE + 1)
        else:
            with Path(path).open("rb") as file:
                content = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as exc:
        raise Refused(f"{path}: the file cannot be read ({type(exc).__name__})", ExitCode.USAGE) from None
    if len(content) > MAX_FILE:
        raise Refused(f"{path}: the file is longer than {MAX_FILE // 2**20} MiB", ExitCode.USAGE)
    return content


def _json(text: str) -> list[Any]:
    """The one document of a text in JSON; none of another text, such as YAML that begins with a brace."""
    if not text.lstrip().startswith("{"):
        return []
    try:
        return [json.loads(text)]
    except ValueError:
        return []


def documents(content: bytes, where: str) -> Iterator[Mapping[str, Any]]:
    """The objects of a file in YAML or JSON; those of a List one by one. Raises `Refused`."""
    import yaml  # noqa: PLC0415 - only who reads a file waits for it

    try:
        text = content.decode("utf-8-sig")
        loaded = _json(text) or list(yaml.load_all(text, _loader()))
    except UnicodeDecodeError:
        raise Refused(f"{where}: the file is not UTF-8", ExitCode.USAGE) from None
    except yaml.MarkedYAMLError as exc:
        line = f", line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        raise Refused(f"{where}{line}: the file is no YAML or JSON", ExitCode.USAGE) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise Refused(f"{where}: the file is no YAML or JSON", ExitCode.USAGE) from None
    budget = _Budget(where)
    for count, each in enumerate(loaded, 1):
        if each is None:
            continue
        if not isinstance(each, Mapping):
            raise Refused(f"{where}, document {count}: it is no object", ExitCode.USAGE)
        plain = budget.plain(each)
        items = plain.get("items")
        if str(plain.get("kind", "")).endswith("List") and isinstance(items, list):
            yield from (item for item in items if isinstance(item, Mapping))
        else:
            yield plain


def _loader() -> Any:
    import yaml  # noqa: PLC0415 - as above

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Budget:
    """Turns what YAML can say into what JSON can say, within bounds."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._left = MAX_VALUES

    def plain(self, value: Any, depth: int = 0) -> Any:
        """The value as JSON has it. Raises `Refused` for one that is too large."""
        self._left -= 1
        if self._left < 0 or depth > MAX_DEPTH:
            raise Refused(f"{self._where}: the file holds too many values, or nests them too deeply", ExitCode.USAGE)
        match value:
            case Mapping():
                return {str(name): self.plain(each, depth + 1) for name, each in value.items()}
            case list() | tuple() | set():
                return [self.plain(each, depth + 1) for each in value]
            case date():
                return value.isoformat()
            case bytes():
                return base64.b64encode(value).decode()
        return value


def _take(raw: Mapping[str, Any], where: str, namespace: str, found: Manifests) -> None:
    kind, group = str(raw.get("kind", "")), str(raw.get("apiVersion", "")).partition("/")[0]
    is_number, is_secret = (kind, group) == (KIND, GROUP), (kind, group) == ("Secret", "v1")
    if not (is_number or is_secret):
        found.passed_over.append(f"{where}: {kind or 'a document without kind'}")
        return
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise Refused(f"{where}: a {kind} has no metadata.name", ExitCode.USAGE)
    stated = metadata.get("namespace")
    key = (
        named(f"{where}: metadata.namespace", stated if isinstance(stated, str) and stated else namespace, NAMESPACE),
        named(f"{where}: metadata.name", name, NUMBER),
    )
    into = found.numbers if is_number else found.secrets
    if key in into:
        raise Refused(f"{where}: {kind} {key[0]}/{key[1]} stands there twice", ExitCode.USAGE)
    into[key] = raw if is_number else _secret(raw, key)


def _secret(raw: Mapping[str, Any], key: tuple[str, str]) -> Mapping[str, Any]:
    """The Secret as the API server would store it."""
    stated, data = raw.get("stringData"), raw.get("data")
    metadata = raw["metadata"]
    values = dict(data) if isinstance(data, Mapping) else {}
    if isinstance(stated, Mapping):
        values |= {
            name: base64.b64encode(text.encode(errors="surrogatepass")).decode()
            for name, text in stated.items()
            if isinstance(text, str)
        }
    return {
        **raw,
        "metadata": {**metadata, "namespace": key[0], "name": key[1], "resourceVersion": "of a file"},
        "data": values,
    }
