"""The cutter: the same values as a decoder, reduced to the shape, in a number of steps linear in the text."""

import json
from collections.abc import Callable, Generator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from byoc_operator.cluster.cutting import Cut, Found, NotJson
from byoc_operator.cluster.shapes import Entries, Fields, Items, Leaf, Place, Shape, There
from strategies import QUICK, json_values

SHAPE = Fields(
    {
        "name": Leaf(),
        "labels": Fields({"ours": Leaf()}),
        "places": Place("ours"),
        "entries": Entries(Leaf(), most=3),
        "items": Items(Fields({"time": Leaf(), "there": There()}), most=2),
        "spec": Leaf(4096, max_depth=8),
    }
)
OURS = b'"managedFields":{"f:a":{"f:b":"}]\\\\\\""}},"name":"n","z":[[],{}]'


def walked(steps: Generator[Any, None, Any]) -> tuple[Any, int]:
    """The result of work in steps, and how many they were."""
    count = 0
    while True:
        try:
            next(steps)
        except StopIteration as exc:
            return exc.value, count
        count += 1


def noted(steps: Generator[Found | None, None, Any], found: list[Found]) -> Generator[None, None, Any]:
    """The same steps, with the items put into a list."""
    while True:
        try:
            step = next(steps)
        except StopIteration as exc:
            return exc.value
        if step is not None:
            found.append(step)
        yield


def cut(text: bytes, shape: Shape = SHAPE) -> Any:
    return walked(Cut(text).value(shape))[0]


def projected(value: Any, shape: Shape) -> Any:
    """What the shape leaves of a decoded value: the same by other means."""
    match shape, value:
        case Fields(), dict():
            return {key: projected(each, shape.fields[key]) for key, each in value.items() if key in shape.fields}
        case Entries(), dict():
            return {key: projected(each, shape.each) for key, each in list(value.items())[: shape.most]}
        case Items(), list():
            return [projected(each, shape.each) for each in value[: shape.most]]
        case Place(), list():
            at = next((index for index, each in enumerate(value) if each == shape.wanted), None)
            return {"count": len(value), "at": at}
        case There(), _:
            return {}
    return value


def shallow(value: Any) -> bool:
    """Whether a value is within the bounds of a leaf of this test's shape."""
    return len(json.dumps(value)) < 1000 and not any(isinstance(each, dict | list) for each in _inner(value))


def _inner(value: Any) -> list[Any]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
    return []


small = json_values.filter(shallow)
known = st.fixed_dictionaries(
    {},
    optional={
        "name": small,
        "labels": st.dictionaries(st.sampled_from(["ours", "other", "our", '"', "\\"]), small, max_size=4) | small,
        "places": st.lists(st.sampled_from(["ours", "ab", 'o"urs', "\\", "ours\\"]) | small, max_size=6),
        "entries": st.dictionaries(st.text(max_size=6), small, max_size=3),
        "items": st.lists(
            st.dictionaries(st.sampled_from(["time", "there", "else"]), small, max_size=3) | small, max_size=4
        ),
        "spec": small,
    },
)
objects = st.builds(
    lambda ours, others: {**others, **ours, "last": others}, known, st.dictionaries(st.text(), json_values, max_size=5)
)


@QUICK
@given(objects, st.sampled_from([None, 1]))
@example({"places": ["ab", "ours", "ours"]}, None)
@example({"labels": {"other": '\\"' * 40, "ours": "x"}, "name": "\\"}, None)
def test_within_the_bounds_it_is_what_a_decoder_makes_of_it(value: dict[str, Any], indent: int | None) -> None:
    for separators in ((",", ":"), (" , ", " : ")):
        for ascii_only in (True, False):
            text = json.dumps(value, indent=indent, separators=separators, ensure_ascii=ascii_only)
            raw = text.encode("utf-8", "surrogatepass" if ascii_only else "replace")
            assert cut(raw) == projected(json.loads(raw.decode()), SHAPE)


@QUICK
@given(st.binary(max_size=200) | st.text('{}[]":,\\a1 ', max_size=200).map(str.encode))
def test_whatever_the_bytes_are_it_ends_with_a_value_or_says_that_they_are_none(text: bytes) -> None:
    reader = Cut(text)
    try:
        walked(reader.value(SHAPE))
    except NotJson:
        return


def deep(levels: int) -> bytes:
    return b'{"f:a":' * levels + b"{}" + b"}" * levels


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "nested": lambda size: b'"managedFields":' + deep(size // 8),
    "nested lists": lambda size: b'"managedFields":' + b"[" * (size // 2) + b"]" * (size // 2),
    "nested again and again": lambda size: b'"managedFields":[' + (deep(60) + b",") * (size // 480) + b"1]",
    "flat": lambda size: b'"managedFields":{' + b'"f:ab":{},' * (size // 10) + b'"z":1}',
    "lists": lambda size: b'"managedFields":[' + b"[]," * (size // 3) + b"1]",
    "owners": lambda size: b'"ownerReferences":[' + b'{"a":{"b":1}},' * (size // 14) + b"1]",
    "labels": lambda size: b'"labels":{' + b'"ab":"",' * (size // 8) + b'"ours":"x"}',
    "odd labels": lambda size: b'"labels":{' + b'"ab":{"c":1},' * (size // 13) + b'"ours":"x"}',
    "escaped labels": lambda size: b'"labels":{' + b'"\\n":"",' * (size // 8) + b'"ours":"x"}',
    "texts": lambda size: b'"places":[' + b'"ab",' * (size // 5) + b'"ours"]',
    "escaped texts": lambda size: b'"places":[' + b'"\\n",' * (size // 5) + b'"ours"]',
    "backslashes": lambda size: b'"labels":{"x":"' + b"\\\\" * (size // 2) + b'"}',
    "quotes": lambda size: b'"labels":{"x":"' + b'\\"' * (size // 2) + b'"}',
    "one text": lambda size: b'"labels":{"x":"' + b"a" * size + b'"}',
    "one key": lambda size: b'"labels":{"' + b"a" * size + b'":1}',
    "keys": lambda size: b",".join(b'"k%d":{"a":1}' % index for index in range(size // 15)),
    "entries": lambda size: b'"entries":{' + b",".join(b'"k%d":""' % index for index in range(size // 10)) + b"}",
    "spec": lambda size: b'"spec":' + deep(size // 8),
    "a long number": lambda size: b'"spec":' + b"9" * size,
    "blanks": lambda size: b'"managedFields":[1,' + b" " * size + b"2]" + b"\n" * size,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_steps_grow_as_the_text_does_and_the_rest_is_read(kind: str) -> None:
    steps = []
    for times in (1, 2, 4):
        made = b"{" + HOSTILE[kind](60_000 * times) + b',"name":"n"}'
        reader = Cut(made)
        value, count = walked(reader.value(SHAPE))
        assert value["name"] == "n"
        steps.append(count + 1)
    assert steps[1] <= 2.2 * steps[0] + 2
    assert steps[2] <= 2.2 * steps[1] + 2


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_step_covers_more_than_a_run_or_one_text(kind: str) -> None:
    size = 1_000_000 if kind not in ("one text", "one key", "blanks", "a long number") else 200_000
    made = b"{" + HOSTILE[kind](size) + b',"name":"n"}'
    reader = Cut(made)
    last, longest = 0, 0
    for _ in reader.value(SHAPE):
        longest = max(longest, reader._at - last)
        last = reader._at
    assert max(longest, len(made) - last) < 410_000


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"9" * 5000, "spec is longer than 4096 bytes"),
        (b"[" * 10 + b"]" * 10, "spec is nested deeper than 8 levels"),
        (b'"\xff"', "spec holds what is no JSON value that can be read"),
        (b"tru", "spec holds what is no JSON value that can be read"),
        (b'{"a" 1}', "spec holds what is no JSON value that can be read"),
    ],
)
def test_what_is_beyond_its_bounds_is_named_and_the_rest_is_read(value: bytes, problem: str) -> None:
    reader = Cut(b'{"spec":' + value + b"," + OURS + b"}")
    assert walked(reader.value(SHAPE))[0] == {"spec": None, "name": "n"}
    assert reader.faults == [problem]


def test_a_number_too_long_for_python_is_named() -> None:
    reader = Cut(b'{"spec":' + b"9" * 5000 + b"}")
    walked(reader.value(Fields({"spec": Leaf(10_000)})))
    assert reader.faults == ["spec holds what is no JSON value that can be read"]


def test_a_leaf_may_have_a_stand_in() -> None:
    reader = Cut(b'{"a":"' + b"x" * 50 + b'","b":"y"}')
    shape = Entries(Leaf(20, instead="too long"), most=5)
    assert walked(reader.value(shape))[0] == {"a": "too long", "b": "y"}
    assert reader.faults == []


def test_a_key_that_comes_twice_reads_as_the_decoder_has_it() -> None:
    text = b'{"name":"a","name":"b","labels":{"ours":1},"labels":{}}'
    assert cut(text) == {"name": "b", "labels": {}} == json.loads(text)


def test_items_of_a_list_come_one_by_one_and_its_place_at_the_end() -> None:
    items = b'{%s},{"name":"m","spec":[[[[[[[[[1]]]]]]]]]}' % OURS
    found: list[Found] = []
    steps = noted(Cut(b'{"items":[' + items + b'],"metadata":{"continue":"t"}}').listed(SHAPE), found)
    assert walked(steps)[0] == {"continue": "t"}
    assert [each.value for each in found] == [{"name": "n"}, {"name": "m", "spec": None}]
    assert [each.faults for each in found] == [(), ("spec is nested deeper than 8 levels",)]


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b'{"a', b'{"a"', b'{"a":', b'{"a":1', b'{"a":[', b'{"a":"\\', b'{"a":{"b"}', b"{1:2}", b'{"a":,}'],
)
def test_a_text_that_ends_too_early_is_malformed(text: bytes) -> None:
    with pytest.raises(NotJson):
        cut(text)
