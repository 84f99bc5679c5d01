"""The wire: every message survives it, however it is cut; nothing else gets through."""

from __future__ import annotations

import contextlib
import typing
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hephaestus_runner import protocol
from hephaestus_runner.protocol import HEADER, MAX_FRAME, FrameReader, Message, WireError, frame, parse

KINDS: tuple[type[msgspec.Struct], ...] = typing.get_args(Message)

numbers = st.integers(0, 2**64 - 1)
texts = st.text(max_size=40)
blobs = st.binary(max_size=60)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def values_of(annotation: Any) -> st.SearchStrategy[Any]:
    """Values of a field's type; bounded where the wire is (u64), so that every drawn message is a valid one."""
    if annotation is int:
        return numbers
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return structs_of(annotation)
    return st.from_type(annotation) if annotation not in SIMPLE else SIMPLE[annotation]


SIMPLE: dict[Any, st.SearchStrategy[Any]] = {
    str: texts,
    bytes: blobs,
    bytes | None: st.none() | blobs,
    tuple[str, ...]: st.lists(texts, max_size=3).map(tuple),
    dict[str, str]: st.dictionaries(texts, texts, max_size=3),
    dict[str, Any]: st.dictionaries(texts, plain, max_size=3),
}


def structs_of(kind: type[msgspec.Struct]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    fields = {}
    for field in kind.__struct_fields__:
        hint = hints[field]
        inner = typing.get_args(hint)
        if typing.get_origin(hint) is tuple and inner[0] is not str:
            fields[field] = st.lists(values_of(inner[0]), max_size=3).map(tuple)
        elif protocol.File in inner:
            fields[field] = blobs | structs_of(protocol.File)
        else:
            fields[field] = values_of(hint)
    return st.builds(kind, **fields)


messages: st.SearchStrategy[Message] = st.one_of([structs_of(kind) for kind in KINDS])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_message_survives_the_wire(kind: type[msgspec.Struct]) -> None:
    @given(structs_of(kind))
    def survives(message: Any) -> None:
        reader = FrameReader()
        assert reader.feed(frame(message)) == [message]
        reader.close()

    survives()


@given(st.lists(messages, max_size=5), st.data())
def test_a_stream_reads_the_same_however_it_is_cut(sent: list[Message], data: st.DataObject) -> None:
    stream = b"".join(frame(message) for message in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = FrameReader()
    received: list[Message] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += reader.feed(stream[start:end])
    reader.close()
    assert received == sent


def test_a_stream_reads_the_same_byte_by_byte() -> None:
    sent = [protocol.Accepted(1), protocol.Stop(2)]
    reader = FrameReader()
    stream = b"".join(map(frame, sent))
    assert [m for i in range(len(stream)) for m in reader.feed(stream[i : i + 1])] == sent


@given(messages, st.data())
def test_a_stream_that_ends_inside_a_frame_is_an_error(message: Message, data: st.DataObject) -> None:
    whole = frame(message)
    reader = FrameReader()
    assert reader.feed(whole[: data.draw(st.integers(1, len(whole) - 1))]) == []
    with pytest.raises(WireError, match="inside a frame"):
        reader.close()


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_messages_or_one_clear_error(data: bytes) -> None:
    try:
        message = parse(data)
    except WireError:
        return
    assert isinstance(message, KINDS)


@given(st.lists(st.binary(max_size=60), max_size=6))
def test_an_arbitrary_stream_ends_in_messages_or_one_clear_error(chunks: list[bytes]) -> None:
    reader = FrameReader(limit=128)
    try:
        for chunk in chunks:
            for message in reader.feed(chunk):
                assert isinstance(message, KINDS)
    except WireError:
        pass


@given(messages, st.data())
def test_a_flipped_bit_never_raises_anything_but_a_wire_error(message: Message, data: st.DataObject) -> None:
    body = bytearray(frame(message)[HEADER.size :])
    at = data.draw(st.integers(0, len(body) * 8 - 1))
    body[at // 8] ^= 1 << at % 8
    with contextlib.suppress(WireError):
        parse(body)


def test_bytes_after_a_message_are_an_error() -> None:
    body = frame(protocol.Accepted(1))[HEADER.size :]
    with pytest.raises(WireError, match="trailing"):
        parse(body + b"\xc0")


def test_an_empty_frame_is_an_error() -> None:
    with pytest.raises(WireError):
        FrameReader().feed(HEADER.pack(0))


def test_an_unknown_tag_is_an_error_that_names_it() -> None:
    with pytest.raises(WireError, match="Evil"):
        parse(msgspec.msgpack.encode({"type": "Evil", "id": 1}))


def test_a_message_without_a_tag_is_an_error() -> None:
    with pytest.raises(WireError, match="type"):
        parse(msgspec.msgpack.encode({"id": 1}))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_unknown_field_is_an_error(kind: type[msgspec.Struct]) -> None:
    @given(structs_of(kind))
    def refused(message: Any) -> None:
        fields = {"type": kind.__name__, **msgspec.to_builtins(message, builtin_types=(bytes,)), "extra": 1}
        with pytest.raises(WireError, match="unknown field `extra`"):
            parse(msgspec.msgpack.encode(fields))

    refused()


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "Accepted"},
        {"type": "Accepted", "id": "1"},
        {"type": "Accepted", "id": 1.5},
        {"type": "Log", "stream": "stdin", "text": ""},
        {"type": "Failure", "id": 1, "cause": "weather", "message": ""},
        {"type": "Hello", "version": 1, "level_reached": "root", "features": {}},
        {"type": "Result", "id": 1, "value": "text, not bytes"},
        {"type": "Result", "id": 1, "value": {"name": "a", "digest": "b"}},
        {"type": "Bye", "usage": None},
    ],
    ids=str,
)
def test_a_missing_or_wrong_field_is_an_error(fields: dict[str, Any]) -> None:
    with pytest.raises(WireError, match="not a message of this protocol"):
        parse(msgspec.msgpack.encode(fields))


def test_text_that_is_not_utf8_is_an_error() -> None:
    body = frame(protocol.Log("stdout", "AAAA"))[HEADER.size :].replace(b"AAAA", b"\xff\xfe\xfd\xfc")
    with pytest.raises(WireError):
        parse(body)


def test_deep_nesting_is_an_error_and_no_crash() -> None:
    deep = b"\x81\xa1a" * 100_000 + b"\xc0"
    notice = b"\x84\xa2id\xa0\xa4kind\xa0\xa5about\xa0\xa6params" + deep
    body = (
        b"\x87\xa4type\xa5Start\xa3run\xa0\xa7release\xa0\xa6policy\x80\xa4seed\x00\xa5input\xc4\x00\xa6checks\x91"
        + notice
    )
    with pytest.raises(WireError):
        parse(body)


def test_a_frame_over_the_limit_is_never_written() -> None:
    with pytest.raises(WireError, match=r"Log of .* over the frame limit of 100"):
        frame(protocol.Log("stdout", "x" * 200), limit=100)


def test_a_frame_at_the_limit_passes_and_one_byte_more_does_not() -> None:
    whole = frame(protocol.Log("stdout", "x" * 200))
    size = len(whole) - HEADER.size
    assert len(FrameReader(limit=size).feed(whole)) == 1
    with pytest.raises(WireError, match=f"a frame of {size} bytes is over the limit of {size - 1}"):
        FrameReader(limit=size - 1).feed(whole)


def test_a_length_over_the_limit_is_refused_before_its_body_arrives() -> None:
    with pytest.raises(WireError, match=f"over the limit of {MAX_FRAME}"):
        FrameReader().feed(HEADER.pack(MAX_FRAME + 1))


def test_the_limit_holds_for_a_later_frame_in_the_same_read() -> None:
    with pytest.raises(WireError, match="over the limit"):
        FrameReader().feed(frame(protocol.Accepted(1)) + HEADER.pack(2**32 - 1))


def test_the_cap_is_the_documented_one() -> None:
    assert MAX_FRAME == 8 * 1024 * 1024


def test_messages_cannot_be_changed() -> None:
    message = protocol.Accepted(1)
    with pytest.raises(AttributeError):
        message.id = 2  # type: ignore[misc]
