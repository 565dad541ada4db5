"""Reading pages and watch lines of the API server: the content of one object does not keep out other objects."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from kopf._cogs.clients.api import iter_jsonlines

from byoc_operator.api.conditions import Reason
from byoc_operator.api.names import FINALIZER, PLURAL
from byoc_operator.api.resource import UNREAD
from byoc_operator.cluster.answers import Expired
from byoc_operator.cluster.pages import JSON, PAGE_SIZE, STARTS, TABLE, Pages
from byoc_operator.cluster.reading import MAX_OBJECT, SMALL, AnswerTooLong, Unreadable, read
from byoc_operator.cluster.stream import BEGIN_ANEW, BROKEN_PAUSE_S, Lines
from byoc_operator.core.credential_values import MAX_DOCUMENT_BYTES
from byoc_operator.errors import Unavailable
from virtual_time import in_virtual_time

pytestmark = pytest.mark.slow

DEEP = b'{"f:a":' * 3000 + b"{}" + b"}" * 3000
LARGE = b'{"f:ab":' + b"[]," * 3 + b'"":' + b'"' + b"x" * SMALL + b'"}'


def stored(name: str, *, fields: bytes = b"{}", more: bytes = b"", version: bytes = b'"5"') -> bytes:
    """A number as the API server spells it, with these managed fields and more metadata."""
    return (
        b'{"apiVersion":"byoc.talkifai.dev/v1alpha1","kind":"ByocPhoneNumber","metadata":{"creationTimestamp":"t",'
        b'%s"generation":1,"managedFields":[{"fieldsV1":%s}],"name":"%s","namespace":"voice","resourceVersion":%s,'
        b'"uid":"u-%s"},"spec":{"phoneNumber":"+15550100001"},"status":{"observedGeneration":-1}}'
    ) % (more, fields, name.encode(), version, name.encode())


# One object

HOSTILE = {
    "deep": stored("a", fields=DEEP),
    "deep and large": stored("a", fields=DEEP * 2),
    "no UTF-8": stored("a", fields=b'{"f:\xff\xfe":{}}'),
    "half a character": stored("a", fields=b'{"f:\\ud800":{}}'),
    "a long number": stored("a", fields=b'{"f:a":' + b"9" * 5000 + b"}"),
    "an immense number": stored("a", fields=b'{"f:a":' + b"9" * 500_000 + b"}"),
    "no number": stored("a", fields=b'{"f:a":[1e999999,NaN,Infinity]}'),
    "twice the same": stored("a", fields=b'{"f:a":1,"f:a":2}' + b" " * SMALL),
    "one long text": stored("a", more=b'"labels":{"a":"' + b"x" * 1_500_000 + b'"},'),
    "many labels": stored("a", more=b'"labels":{' + b'"a/b":"",' * 100_000 + b'"z":""},'),
    "many owners": stored("a", more=b'"ownerReferences":[' + b'{"uid":"x"},' * 60_000 + b'{"uid":"y"}],'),
    "odd annotations": stored("a", more=b'"annotations":[[]],' + b" " * SMALL),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_an_object_is_read_whatever_it_holds_of_what_nobody_uses(kind: str) -> None:
    value = await read(HOSTILE[kind], PLURAL)
    assert value["metadata"]["name"] == "a"
    assert value["spec"] == {"phoneNumber": "+15550100001"}
    assert UNREAD not in value


@pytest.mark.parametrize("before", [0, 1, 70_000])
async def test_of_many_finalizers_the_place_of_ours_is_kept(before: int) -> None:
    finalizers = b'"finalizers":[' + b'"ab",' * before + b'"%s","ab"],' % FINALIZER.encode()
    value = await read(stored("a", more=finalizers, fields=LARGE if before > 1 else DEEP), PLURAL)
    assert value["metadata"]["finalizers"] == {"count": before + 2, "at": before}


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        (b'"phoneNumber":"+15550100001"', b'"a":' + b"[" * 3000 + b"]" * 3000, "spec is nested deeper than 16 levels"),
        (b'"phoneNumber":"+15550100001"', b'"a":"' + b"x" * 300_000 + b'"', "spec is longer than 262144 bytes"),
        (b'"observedGeneration":-1', b'"a":' + b"9" * 70_000, "status holds what is no JSON value that can be read"),
    ],
)
async def test_what_we_use_and_cannot_read_is_noted(field: bytes, value: bytes, problem: str) -> None:
    found = await read(stored("a", fields=DEEP).replace(field, value), PLURAL)
    assert found[UNREAD] == problem
    assert found["metadata"]["uid"] == "u-a"


@pytest.mark.parametrize(
    "text",
    [
        *(stored("a", version=version) for version in (b"5", b'"x"', b'"-1"', b'"\xc2\xb2"', b'"%s"' % (b"9" * 5000))),
        stored("a").replace(b'"uid"', b'"id"'),
        stored("a").replace(b'"metadata"', b'"meta"'),
        *(b"[]", b"7", b"", b"{", b'{"metadata":[]}', b'{"metadata":' + b"[" * 100_000),
    ],
)
async def test_an_object_that_does_not_say_which_it_is_is_unreadable(text: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        await read(text, PLURAL)
    assert caught.value.resource == PLURAL


async def test_what_a_dry_run_would_store_has_no_version_and_is_read() -> None:
    text = b'{"kind":"Secret","metadata":{"name":"s","namespace":"n"},"data":{"password":"eA=="}}'
    assert (await read(text, "secrets", stored=False))["data"] == {"password": "eA=="}


async def test_a_large_text_lets_others_in() -> None:
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await read(stored("a", fields=b'{"f:a":' * 150_000 + b"{}" + b"}" * 150_000), PLURAL)
    task.cancel()
    assert turns > 5


async def test_of_a_secret_the_values_the_label_and_the_time_of_the_data_are_read() -> None:
    entry = b'{"time":"2026-01-01T00:00:00Z","fieldsV1":{"f:a":%s,"f:data":{"f:b":{}}}}' % DEEP
    text = (
        b'{"kind":"Secret","metadata":{"name":"s","namespace":"n","uid":"u","resourceVersion":"7","labels":{"a":"b",'
        b'"byoc.talkifai.dev/sip-credentials":"true"},"managedFields":[%s]},"data":{"password":"eA==","note":"%s"}}'
    ) % (b",".join([entry] * 3), b"A" * 70_000)
    value = await read(text, "secrets")
    assert value["metadata"]["managedFields"] == [{"time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:data": {}}}] * 3
    assert value["metadata"]["labels"] == {"byoc.talkifai.dev/sip-credentials": "true"}
    assert value["data"]["password"] == "eA=="
    assert len(base64.b64decode(value["data"]["note"])) == MAX_DOCUMENT_BYTES + 1, "longer than any credential"


# Pages


@dataclass
class Server:
    """Lists numbers as an API server does. `slow`: how long each takes; `expires`: how many continue tokens are old.

    `loses_place`: the token is too old where a name is asked for; `asked`: limit and form of each request.
    """

    objects: dict[str, bytes]
    slow: dict[str, float] = field(default_factory=dict)
    expires: int = 0
    names_too: bool = True
    loses_place: bool = False
    asked: list[tuple[int, str]] = field(default_factory=list)

    async def fetch(self, url: str, *, accept: str, timeout_s: float, most_bytes: int) -> bytes:
        """One page."""
        query = {key: value[0] for key, value in parse_qs(urlsplit(url).query).items()}
        limit, token = int(query["limit"]), query.get("continue", "")
        self.asked.append((limit, accept))
        start = json.loads(base64.urlsafe_b64decode(token))["start"] if token else ""
        if token and self.expires:
            self.expires -= 1
            raise Expired(Reason.KUBERNETES_REFUSED, "GET numbers: 410", token=token)
        rest = [name for name in self.objects if f"voice/{name}\0" > start]
        page = rest[:limit]
        if accept == JSON:
            took = sum(self.slow.get(name, 0.0) for name in page)
            await asyncio.sleep(min(took, timeout_s))
            items = b",".join(self.objects[name] for name in page)
            if took > timeout_s or len(items) > most_bytes:
                raise AnswerTooLong(Reason.KUBERNETES_UNAVAILABLE, "it takes too long")
        elif self.loses_place:
            raise Expired(Reason.KUBERNETES_REFUSED, "GET numbers: 410")
        elif not self.names_too:
            raise AnswerTooLong(Reason.KUBERNETES_UNAVAILABLE, "even that takes too long")
        more = json.dumps({"start": f"voice/{page[-1]}\0"}).encode() if len(rest) > limit else b""
        after = base64.urlsafe_b64encode(more)
        if accept == TABLE:
            return b'{"metadata":{"continue":"%s"},"rows":[{"cells":["%s"]}]}' % (after, page[0].encode())
        return b'{"items":[' + items + b'],"kind":"List","metadata":{"continue":"%s"}}' % after


async def listed(server: Server) -> tuple[list[str], list[Unreadable]]:
    """The names that a LIST finds, and what it passes over."""
    told: list[Unreadable] = []
    pages = Pages(server.fetch, PLURAL, told.append, asyncio.get_running_loop().time)
    return [each["metadata"]["name"] async for each in pages.all("/apis/numbers", {})], told


NAMES = [f"n{index:03}" for index in range(120)]


def plain() -> dict[str, bytes]:
    return {name: stored(name) for name in NAMES}


@in_virtual_time
async def test_an_ordinary_list_comes_in_whole_pages() -> None:
    server = Server(plain())
    assert await listed(server) == (NAMES, [])
    assert server.asked == [(PAGE_SIZE, JSON)] * 3


@in_virtual_time
async def test_a_page_that_takes_too_long_is_asked_for_in_parts_that_grow_again() -> None:
    server = Server(plain(), slow=dict.fromkeys(NAMES[10:30], 2.0))
    assert await listed(server) == (NAMES, [])
    limits = [limit for limit, _ in server.asked]
    assert min(limits) == 1
    assert limits[-1] > 12
    assert len(limits) < 45


@in_virtual_time
async def test_a_page_that_is_too_long_is_asked_for_in_parts() -> None:
    large = {name: stored(name, more=b'"labels":{"a":"' + b"x" * 1_400_000 + b'"},') for name in NAMES[:9]}
    assert await listed(Server(plain() | large)) == (NAMES, [])


@in_virtual_time
@pytest.mark.parametrize("at", [0, 60, 119])
async def test_an_object_that_never_comes_is_named_and_stepped_over(at: int) -> None:
    found, told = await listed(Server(plain(), slow={NAMES[at]: 1000.0}))
    assert found == [name for name in NAMES if name != NAMES[at]]
    assert [(each.resource, each.name) for each in told] == [(PLURAL, NAMES[at])]


@in_virtual_time
async def test_an_object_that_is_too_long_is_named_and_stepped_over() -> None:
    server = Server(plain() | {"n050": b" " * (MAX_OBJECT + 1)})
    found, told = await listed(server)
    assert found == [name for name in NAMES if name != "n050"]
    assert [(each.namespace, each.name) for each in told] == [("voice", "n050")]


@in_virtual_time
async def test_where_not_even_a_name_comes_the_list_ends() -> None:
    with pytest.raises(Unavailable):
        await listed(Server(plain(), slow={"n050": 1000.0}, names_too=False))


@in_virtual_time
async def test_a_list_that_loses_its_place_where_it_steps_over_is_not_taken_for_whole() -> None:
    with pytest.raises(Unavailable):
        await listed(Server(plain(), slow={"n050": 1000.0}, loses_place=True))


@in_virtual_time
@pytest.mark.parametrize("times", [1, STARTS])
async def test_a_list_that_loses_its_place_goes_on(times: int) -> None:
    assert await listed(Server(plain(), expires=times)) == (NAMES, [])


@in_virtual_time
async def test_a_list_that_loses_its_place_all_the_time_ends() -> None:
    with pytest.raises(Unavailable):
        await listed(Server(plain(), expires=1000))


@in_virtual_time
@pytest.mark.parametrize("fields", [b"{}", LARGE * 10])
async def test_an_object_without_identity_is_told_and_the_others_are_read(fields: bytes) -> None:
    server = Server(plain() | {"n050": stored("n050", version=b'"x"', fields=fields)})
    found, told = await listed(server)
    assert found == [name for name in NAMES if name != "n050"]
    assert [(each.namespace, each.name, each.version) for each in told] == [("voice", "n050", "")]


@in_virtual_time
async def test_a_page_with_hostile_objects_is_read() -> None:
    hostile = {f"h{index:02}": text.replace(b'"a"', b'"h%02d"' % index) for index, text in enumerate(HOSTILE.values())}
    found, told = await listed(Server(hostile | plain()))
    assert (found, told) == ([*hostile, *NAMES], [])


# Lines


class Body:
    """The body of a watch, in chunks of some bytes."""

    def __init__(self, text: bytes, size: int) -> None:
        self._text = text
        self._size = size
        self.total_bytes = len(text)

    async def iter_chunked(self, _size: int) -> AsyncIterator[bytes]:
        """Pieces as the network brings them."""
        for start in range(0, len(self._text), self._size):
            yield self._text[start : start + self._size]


def event(kind: bytes, text: bytes) -> bytes:
    return b'{"type":"%s","object":%s}' % (kind, text)


async def watched(lines: list[bytes], size: int = 40_000, rest: bytes = b"") -> tuple[list[Any], list[Unreadable]]:
    """What kopf makes of a watch with these lines, and a rest that has no end, and what it is spared."""
    told: list[Unreadable] = []
    text = b"".join(line + b"\n" for line in lines) + rest
    body: Any = Lines(Body(text, size), PLURAL, told.append)  # type: ignore[arg-type]  # as much as is used
    return [json.loads(line.decode("utf-8")) async for line in iter_jsonlines(body)], told


@pytest.mark.parametrize("size", [7, 40_000])
async def test_ordinary_lines_reach_kopf_as_they_are(size: int) -> None:
    bookmark = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}'
    lines = [event(b"ADDED", stored("a")), bookmark, b"", event(b"DELETED", stored("b"))]
    assert await watched(lines, size) == ([json.loads(line) for line in lines if line], [])


async def test_every_hostile_object_reaches_kopf_in_a_bounded_size() -> None:
    events, told = await watched([event(b"MODIFIED", text) for text in HOSTILE.values()])
    assert told == []
    assert len(events) == len(HOSTILE)
    assert {each["object"]["metadata"]["name"] for each in events} == {"a"}
    assert max(len(json.dumps(each)) for each in events) < SMALL


@pytest.mark.parametrize(
    "line",
    [
        event(b"ADDED", stored("a", version=b'"x"')),
        event(b"ADDED", stored("a", version=b'"x"', fields=DEEP)),
        *(b"no JSON", b"[]", b'{"type":"ADDED"}', b'{"object":{}}', b'{"type":[],"object":{}}', b"[" * 100_000),
        event(b"ADDED", b'{"metadata":null}'),
        b" " * (MAX_OBJECT + 1),
    ],
)
async def test_a_line_that_kopf_could_not_take_is_told_and_left_out(line: bytes) -> None:
    events, told = await watched([line, event(b"ADDED", stored("b"))], 1_000_000)
    assert [each["object"]["metadata"]["name"] for each in events] == ["b"]
    assert len(told) == 1


@pytest.mark.parametrize("size", [7, 40_000])
async def test_a_line_that_was_cut_off_is_left_to_the_next_watch(size: int) -> None:
    events, told = await watched([event(b"ADDED", stored("a"))], size, rest=event(b"ADDED", stored("b"))[:-9])
    assert [each["object"]["metadata"]["name"] for each in events] == ["a"]
    assert told == []


@in_virtual_time
@pytest.mark.parametrize(("code", "waits"), [(b"410", False), (b"500", True)])
async def test_an_error_of_the_watch_lets_kopf_begin_anew(code: bytes, *, waits: bool) -> None:
    began = asyncio.get_running_loop().time()
    events, _ = await watched([b'{"type":"ERROR","object":{"kind":"Status","code":%s}}' % code])
    assert events == [json.loads(BEGIN_ANEW)]
    assert asyncio.get_running_loop().time() - began == (BROKEN_PAUSE_S if waits else 0)
