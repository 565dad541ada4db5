"""Reads all JSON from the API server: from each object, the parts that the operator uses.

Small texts are decoded as a whole. Large texts, and those that the decoder refuses, are cut to a shape (`cutting`). An
object that cannot be read is `Unreadable`: it is reported and skipped.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..api.conditions import Reason
from ..api.encoding import to_base64
from ..api.names import ANNOTATIONS, FINALIZER, PLURAL, WATCH_LABEL
from ..api.resource import UNREAD
from ..core.credential_values import MAX_DOCUMENT_BYTES
from ..core.credentials import MAX_KEYS
from ..errors import OperatorError, Unavailable
from .cutting import Cut, Found, NotJson, Steps
from .shapes import Entries, Fields, Items, Leaf, Place, Shape, There
from .surroundings import AROUND

SMALL = 64 * 1024
"""The most bytes of a text that is decoded as a whole. As many brackets take 2 MB and 1 ms; a number has about 2 KB."""

SMALL_PAGE = 512 * 1024
"""As `SMALL`, for a page of many objects."""

MAX_OBJECT = 16 * 1024 * 1024
"""The most bytes of an object in JSON. etcd stores 1.5 MB; escaped characters and base64 make it longer."""

TURN_S = 0.002
"""For how long the reading of a large text blocks other tasks at a time."""

MAX_ANNOTATION = 300_000
"""All annotations of an object together may have 256 KiB (apimachinery, `TotalAnnotationSizeLimitB`)."""

MAX_VERSION_DIGITS = 24

_IDENTITY = {name: Leaf() for name in ("namespace", "name", "uid", "resourceVersion")}
_TIMES = {name: Leaf() for name in ("generation", "creationTimestamp", "deletionTimestamp")}

NUMBER = Fields(
    {
        "apiVersion": Leaf(),
        "kind": Leaf(),
        "metadata": Fields(
            {
                **_IDENTITY,
                **_TIMES,
                "finalizers": Place(FINALIZER),
                "annotations": Fields({name: Leaf(MAX_ANNOTATION) for name in ANNOTATIONS}),
            }
        ),
        "spec": Leaf(256 * 1024, max_depth=16),
        "status": Leaf(256 * 1024, max_depth=16),
    }
)
"""The parts of a number: without `managedFields`, labels, owners and foreign annotations; our finalizer's position."""

SECRET = Fields(
    {
        "metadata": Fields(
            {
                **_IDENTITY,
                **_TIMES,
                "labels": Fields({WATCH_LABEL: Leaf()}),
                "managedFields": Items(Fields({"time": Leaf(), "fieldsV1": Fields({"f:data": There()})}), most=64),
            }
        ),
        "type": Leaf(),
        # A value that is far too long for a credential is replaced by one that is just too long.
        "data": Entries(
            Leaf(64 * 1024, max_depth=0, instead=to_base64("." * (MAX_DOCUMENT_BYTES + 1))), most=MAX_KEYS + 1
        ),
    }
)
"""The parts of a Secret: of `managedFields` only the times at which `data` was written."""

SHAPES: Mapping[str, Shape] = {PLURAL: NUMBER, f"{PLURAL}/status": NUMBER, "secrets": SECRET, **AROUND}


@dataclass(eq=False)
class Unreadable(OperatorError):
    """An object cannot be read. `namespace`, `name` and `version` are empty if they cannot be read either."""

    message: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    version: str = ""

    @property
    def where(self) -> str:
        """The object in words."""
        named = f" {self.namespace or '?'}/{self.name}" if self.name else ""
        return f"an object of {self.resource}{named}"


@dataclass(eq=False)
class AnswerTooLong(Unavailable):
    """The answer is too long, or takes too long. A smaller page may succeed."""


Told = Callable[[Unreadable], None]
"""Called with every object that cannot be read, each time it is met."""


def pass_over(_: Unreadable) -> None:
    """Ignore the object: the default."""


async def gently(steps: Steps) -> Any:
    """Do work in steps, and let other tasks run every `TURN_S`. Returns the result of the work."""
    until = time.perf_counter() + TURN_S
    while True:
        try:
            next(steps)
        except StopIteration as exc:
            return exc.value
        if time.perf_counter() >= until:
            await asyncio.sleep(0)
            until = time.perf_counter() + TURN_S


async def read(text: bytes, resource: str, *, stored: bool = True) -> dict[str, Any]:
    """Read one object of a resource, in a bounded size. Raises `Unreadable`.

    `stored`: the object must have a name, UID and resourceVersion. The answer to a dry run has no resourceVersion.
    """
    value = decoded(text) if len(text) <= SMALL else None
    shape = SHAPES.get(resource)
    if value is None and shape is not None:
        cut = Cut(text)
        try:
            value = noted(await gently(cut.value(shape)), tuple(cut.faults))
        except NotJson:
            value = None
    if not isinstance(value, dict):
        raise Unreadable("the answer is no JSON object that can be read", resource=resource)
    if shape is not None and stored:
        identify(value, resource)
    return value


async def read_page(text: bytes, resource: str, told: Told) -> AsyncIterator[dict[str, Any] | str]:
    """Yield the objects of a page, then the token of the next page as a text. `told` gets the unreadable objects.

    Raises `Unavailable` if the text is not a list.
    """
    whole = decoded(text) if len(text) <= SMALL_PAGE else None
    if isinstance(whole, dict) and isinstance(whole.get("items") or [], list):
        found = [Found(item, ()) for item in whole.pop("items", None) or []]
        for each in found:
            if (value := _passed(each, resource, told)) is not None:
                yield value
        yield token_in(whole.get("metadata"))
        return
    steps = Cut(text).listed(SHAPES[resource])
    until = time.perf_counter() + TURN_S
    while True:
        try:
            step = next(steps)
        except StopIteration as exc:
            yield token_in(exc.value)
            return
        except NotJson:
            raise Unavailable(
                Reason.KUBERNETES_UNAVAILABLE, "the API server's list is no JSON that can be read"
            ) from None
        if step is not None and (value := _passed(step, resource, told)) is not None:
            yield value
        if time.perf_counter() >= until:
            await asyncio.sleep(0)
            until = time.perf_counter() + TURN_S


def decoded(text: bytes) -> Any:
    """The value of a small JSON text; None if it is too deep, has too long numbers, or is not JSON in UTF-8."""
    try:
        return json.loads(text.decode())
    except (ValueError, RecursionError):
        return None


def noted(value: Any, faults: tuple[str, ...]) -> Any:
    """The object, with the parts that could not be read under the key `UNREAD`."""
    if faults and isinstance(value, dict):
        value[UNREAD] = "; ".join(faults)[:512]
    return value


def _passed(found: Found, resource: str, told: Told) -> dict[str, Any] | None:
    value = noted(found.value, found.faults)
    try:
        identify(value, resource)
    except Unreadable as exc:
        told(exc)
        return None
    return value if isinstance(value, dict) else None


def token_in(metadata: object) -> str:
    """The token of the next page in the metadata of a list, empty if there is none."""
    token = metadata.get("continue") if isinstance(metadata, dict) else None
    return token if isinstance(token, str) else ""


def identify(value: Any, resource: str) -> None:
    """Raise `Unreadable` unless the object has a namespace, name, UID and resourceVersion."""
    metadata = value.get("metadata") if isinstance(value, dict) else None
    texts = {}
    for name in _IDENTITY:
        text = metadata.get(name) if isinstance(metadata, dict) else None
        texts[name] = text if isinstance(text, str) and len(text) < 1024 else ""  # noqa: PLR2004 - a name has 253
    version = texts["resourceVersion"]
    whole = version.isascii() and version.isdigit() and len(version) <= MAX_VERSION_DIGITS
    if not whole or not all(texts.values()):
        raise Unreadable(
            "it lacks a namespace, name, UID or resourceVersion that can be read",
            resource=resource,
            namespace=texts["namespace"],
            name=texts["name"],
            version=version if whole else "",
        )
