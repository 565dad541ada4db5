"""Reads what a support bundle holds. A part that cannot be read is noted, and the others are still read."""

import asyncio
import platform
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import product
from typing import TYPE_CHECKING, Any

from ..api.secret_references import stored_secret_keys, stored_secret_names
from ..core.credentials import KEYS_SECRET
from ..core.ownership import owner_of
from ..core.trunk import CREATE_ORDER
from ..errors import OperatorError
from .bundle_archive import Archive
from .bundle_sought import Sought, by_turns
from .bundle_texts import Text, unreadable_in, values_of
from .bundle_values import of_config_map, of_deployment, of_livekit, of_number, of_pod, of_secret
from .cluster import Cluster
from .livekit_access import NoLiveKit, livekit_access
from .livekit_lists import livekit_objects
from .log_lines import line_of
from .operator_finder import LABELS, Operator, Pod, pods_of, why_not
from .options import Target
from .surroundings import new_mask, operator_around

if TYPE_CHECKING:
    from ..sealing.sealed import KeyRing

MAX_NUMBERS, MAX_EVENTS, MAX_SECRETS, MAX_SIP_OBJECTS = 5_000, 5_000, 200, 20_000
MAX_LOG_LINES, MAX_METRIC_LINES = 20_000, 20_000
LIVEKIT_KEYS = ("LIVEKIT_API_KEY", "LIVEKIT_API_SECRET")
"""The keys of the operator's Secret that are in use."""

PART_S = 60.0
"""How long one part may take."""

Json = dict[str, Any]


@dataclass(slots=True)
class Parts:
    """Everything that was read, before it is masked. `sought`: texts of credentials. `texts`: files of lines."""

    documents: dict[str, list[Any]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    sought: Sought = field(default_factory=Sought)
    names: dict[str, set[str]] = field(default_factory=dict)
    phones: set[str] = field(default_factory=set)

    def name(self, kind: str, *names: object) -> None:
        """Remember names for `--mask-names`."""
        self.names.setdefault(kind, set()).update(each for each in names if isinstance(each, str) and each)


class Reader:
    """Reads one part after the other into `parts`; `archive` takes what is missing."""

    def __init__(self, cluster: Cluster, target: Target, archive: Archive, since_s: int) -> None:
        self._cluster = cluster
        self._target = target
        self._archive = archive
        self._since_s = since_s
        self._operator = Operator(target.operator_namespace)
        self.parts = Parts()

    async def read(self) -> Parts:
        """Read all parts."""
        readers: Mapping[str, Callable[[], Awaitable[None]]] = {
            "numbers.yaml": self._numbers,
            "operator.yaml": self._operator_parts,
            "secrets.yaml": self._secrets,
            "events.yaml": self._events,
            "logs": self._logs,
            "metrics and readyz": self._probes,
            "livekit.yaml": self._livekit,
            "versions.yaml": self._versions,
        }
        for what, reader in readers.items():
            try:
                async with asyncio.timeout(PART_S):
                    await reader()
            except TimeoutError:
                self._archive.missing(what, f"it takes longer than {PART_S:.0f} s")
            except OperatorError as exc:
                self._archive.missing(what, why_not(exc))
        for what, why in self._cluster.unread.items():
            self._archive.missing(what, why)
        return self.parts

    async def _numbers(self) -> None:
        found = [of_number(each) for each in await self._cluster.stored_numbers()]
        if not found:
            self.parts.name("namespace", self._cluster.namespace)
            self._archive.missing("numbers.yaml", self._cluster.scope.nowhere("ByocPhoneNumber"))
        self.parts.documents["numbers.yaml"] = self._cut("numbers.yaml", found, MAX_NUMBERS)
        for each in found:
            spec = each["spec"] if isinstance(each["spec"], Mapping) else {}
            self.parts.name("namespace", each["metadata"]["namespace"])
            self.parts.name("name", each["metadata"]["name"])
            self.parts.name("friendly-name", spec.get("friendlyName"))
            self.parts.name("secret", *(name for _, name in self._referenced([each])))
            self.parts.phones.add(str(spec.get("phoneNumber", "")))

    def _referenced(self, numbers: list[Any]) -> list[tuple[str, str]]:
        found: dict[tuple[str, str], None] = {}
        for each in numbers:
            for name in stored_secret_names(each["spec"]):
                found[each["metadata"]["namespace"], name] = None
        return list(found)

    async def _operator_parts(self) -> None:
        namespace = self._target.operator_namespace
        self._operator = operator = await operator_around(self._target, self._cluster)
        for what, why in operator.unknown.items():
            self._archive.missing(what, why)
        told = self.parts.documents.setdefault("operator.yaml", [])
        kinds = (
            ("Deployment", f"/apis/apps/v1/namespaces/{namespace}/deployments", "deployments", of_deployment),
            ("Pod", f"/api/v1/namespaces/{namespace}/pods", "pods", of_pod),
            ("ConfigMap", f"/api/v1/namespaces/{namespace}/configmaps", "configmaps", of_config_map),
        )
        for kind, path, resource, of in kinds:
            try:
                async for each in self._cluster.listed(path, resource, {"labelSelector": LABELS}):
                    told.append({"kind": kind, **of(each)})
            except OperatorError as exc:  # the user may read some kinds and not others
                self._archive.missing(f"operator.yaml: {kind}s", why_not(exc))
        lease = await self._cluster.lease(namespace, operator.lease_name)
        told.extend([{"kind": "Lease", **lease}] if lease else [])

    async def _secrets(self) -> None:
        """What is no secret of the Secrets that the numbers name. Their values are looked for in all other files.

        So are those that are sealed, opened where the user may read the keys.
        """
        system, livekit = self._target.operator_namespace, self._operator.livekit_secret
        own = [(system, KEYS_SECRET), *([(system, livekit)] if livekit else [])]
        numbers = self.parts.documents.get("numbers.yaml", [])
        wanted = list(dict.fromkeys([*own, *_by_namespace(self._referenced(numbers))]))
        used, phones = {**_keys_used(numbers), (system, livekit): LIVEKIT_KEYS}, _phones_of(numbers)
        told, ring, sought = self.parts.documents.setdefault("secrets.yaml", []), None, self.parts.sought
        chosen: dict[str, list[list[Text]]] = {}
        try:
            for namespace, name in self._cut("secrets.yaml", wanted, MAX_SECRETS):
                secret = await self._secret(namespace, name)
                if secret is None:
                    continue
                if (namespace, name) == (system, KEYS_SECRET):
                    ring = _ring_in(secret)
                texts = values_of(secret, used.get((namespace, name), ()), ring)
                found = sought.chosen(texts, phones.get(namespace, frozenset()))
                sought.unreadable += unreadable_in(secret)
                if (namespace, name) in own:
                    sought.add(each.text for each in found)
                else:
                    chosen.setdefault(namespace, []).append(found)
                told.append(of_secret(secret))
        finally:  # the time may be over: what was read until then is looked for
            sought.add_by_turns(chosen)

    async def _secret(self, namespace: str, name: str) -> Json | None:
        """A Secret; None, and a note, if there is none or the user may not read it."""
        where = f"Secret {namespace}/{name}"
        try:
            secret = await self._cluster.secret(namespace, name)
        except OperatorError as exc:  # the user may read some Secrets and not others
            self._archive.missing(where, why_not(exc))
            return None
        if secret is None:
            self._archive.missing(where, "there is none")
        return secret

    async def _events(self) -> None:
        """One namespace that cannot be read hides no other, and what came before the time was over stays."""
        namespaces = {each["metadata"]["namespace"] for each in self.parts.documents.get("numbers.yaml", [])}
        found: deque[Json] = deque(maxlen=MAX_EVENTS)
        try:
            for namespace in sorted({*namespaces, self._target.operator_namespace}):
                await self._events_of(namespace, found)
        finally:
            self.parts.documents["events.yaml"] = sorted(found, key=lambda each: str(each.get("eventTime") or ""))

    async def _events_of(self, namespace: str, found: deque[Json]) -> None:
        path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
        try:
            async for each in self._cluster.listed(path, "events", {}):
                kind = str((each.get("regarding") or {}).get("kind"))
                if kind in ("ByocPhoneNumber", "Lease") or namespace == self._target.operator_namespace:
                    found.append({key: value for key, value in each.items() if key != "metadata"})
        except OperatorError as exc:
            self._archive.missing(f"events.yaml: namespace {namespace}", why_not(exc))

    async def _logs(self) -> None:
        """Of all pods at the same time, so that one that hangs does not use up the time of the others."""
        namespace = self._target.operator_namespace
        pods = await pods_of(self._cluster, namespace)
        async with asyncio.TaskGroup() as tasks:
            for pod in pods:
                for file, query in logs_of(pod, self._since_s):
                    tasks.create_task(self._log(file, self._cluster.log(namespace, pod.name, query, PART_S)))

    async def _log(self, file: str, lines: AsyncIterator[str]) -> None:
        try:
            await self._text(file, lines, MAX_LOG_LINES)
        finally:  # a log that ends early has names to mask as well
            for line in map(line_of, self.parts.texts.get(file, [])):
                if line is not None and "/" in line.about:
                    self.parts.name("namespace", line.about.partition("/")[0])
                    self.parts.name("name", line.about.partition("/")[2])

    async def _probes(self) -> None:
        """Of all pods at the same time, as the logs."""
        namespace = self._target.operator_namespace
        pods = await pods_of(self._cluster, namespace)
        async with asyncio.TaskGroup() as tasks:
            for pod, path in product(pods, ("metrics", "readyz")):
                lines = self._cluster.pod_text(namespace, pod.name, pod.port, path)
                tasks.create_task(self._text(f"{path}/{pod.name}.txt", lines, MAX_METRIC_LINES))

    async def _text(self, file: str, lines: AsyncIterator[str], most: int) -> None:
        """The last lines of a text. One pod that does not answer does not hide the others."""
        kept: deque[str] = deque(maxlen=most)
        why = "it had not ended when the time was over"
        try:
            async for line in lines:
                kept.append(line)
            why = ""
        except OperatorError as exc:
            why = why_not(exc)
        finally:  # the time may be over: what came until then stays
            if why:
                self._archive.missing(file, why)
            if kept or not why:
                self.parts.texts[file] = list(kept)

    async def _livekit(self) -> None:
        target = self._target
        access = await livekit_access(self._cluster, self._operator, target.livekit_key_file, target.outside.environ)
        if isinstance(access, NoLiveKit):
            self._archive.missing("livekit.yaml", access.why)
            return
        self.parts.sought.add((access.key, access.secret.get_secret_value()))
        listed = await livekit_objects(target.outside.livekit, access, new_mask())
        listed.sort(key=lambda each: CREATE_ORDER.index(each.kind))
        found = self._cut("livekit.yaml", listed, MAX_SIP_OBJECTS)
        for each in found:
            owner = owner_of(each)
            self.parts.phones.update(each.numbers)
            self.parts.name("trunk", each.name)
            if owner is not None:
                self.parts.name("namespace", owner.namespace)
                self.parts.name("name", owner.name)
        self.parts.documents["livekit.yaml"] = [of_livekit(each) for each in found]

    async def _versions(self) -> None:
        found: Json = {
            "plugin": version("byoc-operator"),
            "python": platform.python_version(),
            "operatorImage": self._operator.image,
        }
        self.parts.documents["versions.yaml"] = [found]
        found["apiServer"] = await self._cluster.get("/version", "version")

    def _cut(self, what: str, items: list[Any], most: int) -> list[Any]:
        if len(items) > most:
            self._archive.missing(what, f"there are {len(items)}; only the first {most} are in the bundle")
        return items[:most]


def logs_of(pod: Pod, since_s: int) -> Iterator[tuple[str, dict[str, str]]]:
    """The logs of a pod: file, and query of the API. The one before a restart says why, so it is read at any age."""
    query = {"tailLines": str(MAX_LOG_LINES), **({"container": pod.container} if pod.container else {})}
    yield f"logs/{pod.name}.log", {**query, "sinceSeconds": str(since_s)}
    if pod.restarted:
        yield f"logs/{pod.name}.previous.log", {**query, "previous": "true"}


def _by_namespace(secrets: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The Secrets, with the namespaces by turns."""
    found: dict[str, list[tuple[str, str]]] = {}
    for each in secrets:
        found.setdefault(each[0], []).append(each)
    return by_turns(found.values())


def _keys_used(numbers: list[Any]) -> dict[tuple[str, str], Sequence[str]]:
    """The keys of Secrets that numbers use, by namespace and name."""
    found: dict[tuple[str, str], Sequence[str]] = {}
    for number in numbers:
        for name in stored_secret_names(number["spec"]):
            where = number["metadata"]["namespace"], name
            found[where] = list(dict.fromkeys([*found.get(where, ()), *stored_secret_keys(number["spec"], name)]))
    return found


def _phones_of(numbers: list[Any]) -> dict[str, set[str]]:
    """The digits of the phone numbers of each namespace."""
    found: dict[str, set[str]] = {}
    for number in numbers:
        spec = number["spec"] if isinstance(number["spec"], Mapping) else {}
        inbound = spec["inbound"] if isinstance(spec.get("inbound"), Mapping) else {}
        aliases = inbound["aliases"] if isinstance(inbound.get("aliases"), list) else []
        phones = (str(each).removeprefix("+") for each in (spec.get("phoneNumber", ""), *aliases))
        found.setdefault(number["metadata"]["namespace"], set()).update(filter(None, phones))
    return found


def _ring_in(secret: Json) -> "KeyRing | None":
    """The sealing keys, None if they cannot be used."""
    from ..sealing.store import keys_in  # noqa: PLC0415 - its libraries take longer to load than a help text

    try:
        return keys_in(secret)
    except ValueError:
        return None
