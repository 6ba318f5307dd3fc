"""Frames survive the way there and back; everything else is a ProtocolError and nothing else."""

from __future__ import annotations

import contextlib
import gc
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import wire

texts = st.text(st.characters(codec="utf-8"), max_size=200)
counts = st.integers(0, 1 << 53)
lines = st.none() | st.integers(1, 10_000_000)
names = st.tuples(texts, texts) | st.tuples()
payloads = st.binary(max_size=300)
diagnostics = st.builds(
    wire.Diagnostic,
    rule=texts.map(lambda text: text[:64]),
    line=st.integers(1, 10_000_000),
    column=counts,
    end=counts,
    message=texts,
    hint=texts,
)
findings = st.lists(diagnostics, max_size=4).map(tuple)
causes = st.builds(wire.Cause, texts, st.lists(st.builds(wire.Step, lines.filter(bool), texts), max_size=4).map(tuple))
limits = st.builds(wire.Limits, *[st.integers(0, 1 << 40)] * 3)
JOBS = st.one_of(
    st.builds(wire.Check, texts, names),
    st.builds(wire.Check, texts, names, names, st.builds(wire.Advice, names, st.none() | names)),
    st.builds(
        wire.Run,
        code=payloads,
        parameters=names,
        arguments=payloads,
        secrets=st.dictionaries(texts, texts, max_size=4),
        execution_id=texts,
        seed=st.integers(0, (1 << 63) - 1),
        limits=limits,
        attempt=counts,
        response=payloads,
    ),
    st.builds(wire.Probe, texts),
)
REPLIES = st.one_of(
    st.builds(wire.Ready, counts),
    st.builds(wire.Log, st.sampled_from(["info", "warn", "error"]), texts, lines, counts),
    st.builds(wire.Checked, findings, st.none() | payloads, findings),
    st.builds(
        wire.Done,
        status=st.sampled_from(["ok", "denied", "raised", "no_callback", "bad_result", "timeout", "out_of_memory"]),
        message=texts,
        line=lines,
        result=st.none() | payloads,
        error=st.none() | payloads,
        cpu_us=counts,
        peak_bytes=counts,
        causes=st.lists(causes, max_size=3).map(tuple),
    ),
    st.builds(wire.Probed, texts.map(lambda text: text[:64]), st.booleans(), texts),
)
ORDERS = st.builds(wire.Fork, st.booleans())
REPORTS = st.one_of(
    st.builds(wire.Forked, counts),
    st.builds(wire.Exited, counts, st.integers(-64, 255)),
    st.builds(wire.Standing),
)
DECODERS = {"jobs": wire.jobs, "replies": wire.replies, "orders": wire.orders, "reports": wire.reports}


def body_of(frame: wire.Frame) -> bytes:
    """The frame without its length."""
    return wire.pack(frame)[wire.PREFIX_BYTES :]


def must_refuse_or_parse(body: bytes, decoder: msgspec.msgpack.Decoder) -> None:
    """Any other exception fails the test."""
    with contextlib.suppress(wire.ProtocolError):
        wire.parse(body, decoder)


def raw(*values: object) -> bytes:
    """An array of the wire, of whatever is given."""
    return msgspec.msgpack.encode(values)


@given(st.lists(JOBS | REPLIES, max_size=5), st.data())
def test_frames_come_back_whole_and_in_order_however_the_stream_is_cut(frames: Any, data: Any) -> None:
    stream = b"".join(map(wire.pack, frames))
    reader = wire.FrameReader(wire.REPLY_BYTES)
    bodies: list[bytes] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)), label="chunk")
        bodies += reader.feed(memoryview(stream)[:size])
        stream = stream[size:]
    decoders = [wire.jobs if isinstance(frame, wire.Job) else wire.replies for frame in frames]

    assert frames == [wire.parse(body, decoder) for body, decoder in zip(bodies, decoders, strict=True)]


@given(JOBS)
def test_a_job_is_no_reply(job: Any) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.parse(body_of(job), wire.replies)


@given(REPLIES)
def test_a_reply_is_no_job(reply: Any) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.parse(body_of(reply), wire.jobs)


@given(ORDERS)
def test_an_order_comes_back(order: Any) -> None:
    assert order == wire.parse(wire.pack_control(order), wire.orders)


@given(REPORTS)
def test_a_report_comes_back(report: Any) -> None:
    assert report == wire.parse(wire.pack_control(report), wire.reports)


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@given(body=st.binary(max_size=200))
def test_any_bytes_are_a_frame_or_a_protocol_error(decoder: Any, body: Any) -> None:
    must_refuse_or_parse(body, decoder)


@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
@given(
    frame=(JOBS | REPLIES).map(body_of) | (ORDERS | REPORTS).map(wire.pack_control),
    place=st.integers(0, 10_000),
    change=st.integers(0, 255),
    insert=st.binary(max_size=3),
)
def test_a_frame_with_a_byte_changed_is_a_frame_or_a_protocol_error(
    decoder: Any, frame: Any, place: int, change: int, insert: Any
) -> None:
    place %= len(frame)
    must_refuse_or_parse(frame[:place] + bytes([change]) + insert + frame[place + 1 :], decoder)


@given((JOBS | REPLIES).map(body_of), st.integers(0, 10_000))
def test_a_frame_cut_short_is_refused(body: Any, length: int) -> None:
    for decoder in (wire.jobs, wire.replies):
        with pytest.raises(wire.ProtocolError):
            wire.parse(body[: length % len(body)], decoder)


@given(REPLIES.map(body_of), st.binary(min_size=1, max_size=5))
def test_a_frame_with_something_behind_it_is_refused(body: Any, more: Any) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.parse(body + more, wire.replies)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc0",
        raw(),
        raw("ready"),
        raw("ready", 1, 2),
        raw("ready", -1),
        raw("ready", (1 << 53) + 1),
        raw("ready", 1.5),
        raw("ready", "1"),
        raw("ready", None),
        raw("ready", True),
        raw("nothing", 1),
        raw(1, 1),
        raw(["ready"], 1),
        msgspec.msgpack.encode({"type": "ready", "peak_bytes": 1}),
        raw("log", "debug", "text", None, 1),
        raw("log", "info", "text", 0, 1),
        raw("log", "info", "text", 10_000_001, 1),
        raw("log", "info", b"text", None, 1),
        raw("log", "info", "text", None, -1),
        raw("done", "rejected", "", None, None, None, 0, 0),
        raw("done", "crashed", "", None, None, None, 0, 0),
        raw("done", "ok", "", None, "text", None, 0, 0),
        raw("done", "ok", "", None, None, None, 0),
        raw("checked", [["rule", 1, 1, 1, "message"]], None),
        raw("checked", [{"rule": "r"}], None),
        raw("checked", [], None, [["rule", 1, 1, 1, "message"]]),
        raw("checked", [], None, None),
        raw("checked", [], None, [], []),
        raw("probed", "x" * 65, True, ""),
        raw("probed", "x", 1, ""),
        b"\x92\xa5ready\xd4\x01\x00",
        b"\x95\xa3log\xa4info\xa2\xff\xfe\xc0\x01",
        b"\xc1",
    ],
)
def test_what_is_no_reply_is_refused(body: Any) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.parse(body, wire.replies)


@pytest.mark.parametrize(
    ("most", "fitting", "over"),
    [
        ("message", wire.MESSAGE_CHARS, wire.MESSAGE_CHARS + 1),
        ("text", wire.TEXT_CHARS, wire.TEXT_CHARS + 1),
        ("error", wire.ERROR_BYTES, wire.ERROR_BYTES + 1),
        ("diagnostics", 100, 101),
        ("warnings", 100, 101),
        ("causes", 8, 9),
        ("steps", 20, 21),
    ],
)
def test_a_bound_holds_to_the_letter(most: str, fitting: int, over: int) -> None:
    def frame(size: int) -> bytes:
        return {
            "message": lambda: raw("done", "raised", "x" * size, None, None, None, 0, 0),
            "text": lambda: raw("log", "info", "é" * size, None, 0),
            "error": lambda: raw("done", "raised", "", None, None, b"x" * size, 0, 0),
            "diagnostics": lambda: raw("checked", [("r", 1, 1, 1, "m", "h")] * size, None),
            "warnings": lambda: raw("checked", [], None, [("r", 1, 1, 1, "m", "h")] * size),
            "causes": lambda: raw("done", "raised", "", None, None, None, 0, 0, [("m", [])] * size),
            "steps": lambda: raw("done", "raised", "", None, None, None, 0, 0, [("m", [(1, "f")] * size)]),
        }[most]()

    wire.parse(frame(fitting), wire.replies)
    with pytest.raises(wire.ProtocolError):
        wire.parse(frame(over), wire.replies)


@pytest.mark.parametrize("depth", [100, 10_000, 1_000_000])
@pytest.mark.parametrize("opening", [b"\x91", b"\x81\xa1a"])
@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_deep_nesting_is_refused(decoder: Any, opening: Any, depth: int) -> None:
    with pytest.raises(wire.ProtocolError):
        wire.parse(opening * depth, decoder)


@pytest.mark.parametrize(
    "body",
    [
        b"\x93\xa5check\xa1x\xdd\xff\xff\xff\xff",
        b"\x93\xa7checked\xdd\xff\xff\xff\xff",
        b"\xdd\xff\xff\xff\xff\xa5ready",
        b"\x92\xa5probe\xdb\xff\xff\xff\xff",
        b"\x82\xa4type\xa8standing\xa7missing\xdf\xff\xff\xff\xff",
    ],
)
@pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)
def test_a_claimed_size_takes_no_memory(decoder: Any, body: Any) -> None:
    """An array that says it has 2^32 elements, and then ends."""
    with pytest.raises(wire.ProtocolError):
        wire.parse(body, decoder)


@pytest.mark.parametrize("length", [101, 1 << 20, (1 << 32) - 1])
def test_a_length_over_the_limit_is_refused_before_the_body_is_read(length: int) -> None:
    reader = wire.FrameReader(100)

    with pytest.raises(wire.ProtocolError, match=rf"a frame of {length} bytes; the most allowed is 100"):
        reader.feed(length.to_bytes(4, "big"))


def test_a_length_over_the_limit_is_refused_when_it_comes_byte_by_byte() -> None:
    reader = wire.FrameReader(100)
    for byte in (b"\0", b"\0", b"\0"):
        assert reader.feed(byte) == []
    with pytest.raises(wire.ProtocolError):
        reader.feed(b"\x65")


def test_a_whole_frame_over_the_limit_is_refused_though_it_came_at_once() -> None:
    reader = wire.FrameReader(100)

    with pytest.raises(wire.ProtocolError):
        reader.feed((200).to_bytes(4, "big") + bytes(200))


def test_a_frame_of_just_the_limit_is_accepted() -> None:
    assert [bytes(100)] == wire.FrameReader(100).feed((100).to_bytes(4, "big") + bytes(100))


def test_a_frame_over_the_limit_behind_a_good_one_is_refused() -> None:
    with pytest.raises(wire.ProtocolError):
        wire.FrameReader(10).feed(b"\0\0\0\1x" + b"\0\0\0\x0b" + bytes(11))


def test_an_empty_frame_is_a_body_that_no_decoder_takes() -> None:
    assert [b"", b""] == wire.FrameReader(10).feed(bytes(8))
    with pytest.raises(wire.ProtocolError):
        wire.parse(b"", wire.replies)


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63)
        | st.floats(allow_nan=False, allow_infinity=False)
        | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=10,
    )
)
def test_what_json_writes_is_json(value: Any) -> None:
    assert wire.is_json(json.dumps(value, ensure_ascii=False).encode())
    assert wire.is_json(json.dumps(value).encode())


@given(st.binary(max_size=100))
def test_what_is_taken_for_json_can_be_read_by_anyone(body: Any) -> None:
    if wire.is_json(body):
        json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b"[1,]", b"{'a':1}", b"{a:1}", b"nul", b"01", b"1 2", b"[] []", b"NaN", b"Infinity", b"-Infinity",
        b'"\x00"', b'"\xff"', b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}", b'{"a":1', b"+1", b".5", b'"a', b'"\\x"', b"// x\n1",
        b"[" * 100_000, b'{"a":' * 100_000,
    ],
)  # fmt: skip
def test_what_json_does_not_have_is_no_json(body: Any) -> None:
    assert not wire.is_json(body)


def test_json_has_so_many_values_and_so_many_levels_at_the_most() -> None:
    """All that an honest worker sends; whoever stores it can read and write it."""
    assert wire.is_json(b"[" * (wire.DEPTH + 1) + b"]" * (wire.DEPTH + 1))
    assert not wire.is_json(b"[" * (wire.DEPTH + 2) + b"]" * (wire.DEPTH + 2))
    assert wire.is_json(b"[" + b"0," * (wire.VALUES - 2) + b"0]")
    assert not wire.is_json(b"[" + b"0," * wire.VALUES + b"0]")
    assert wire.is_json(b'"' + b"[," * wire.VALUES + b'"')


def deepest(value: Any) -> int:
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if below is None else 1 + max(map(deepest, below), default=0)


@given(
    st.recursive(
        st.none() | st.text('a[]{}"\\,'),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('a[]{}"\\,'), inner, max_size=3),
    ),
    st.integers(0, 4),
)
def test_the_depth_of_json_is_told_by_its_bytes(value: Any, most: int) -> None:
    assert (deepest(value) > most) == (wire.excess(json.dumps(value).encode(), 1_000, most) == "depth")


@given(st.text('a[]{}"\\,:', max_size=50))
def test_the_size_of_what_is_no_json_is_looked_at_without_an_error(text: str) -> None:
    assert wire.excess(text.encode(), 5, 1) in (None, "values", "depth")


def test_every_layer_has_a_reason_and_an_exit_status_of_its_own() -> None:
    assert all(wire.LAYERS.values())
    assert list(wire.LAYERS) == list(wire.LAYER_NAMES)
    assert wire.LAYER_EXIT + len(wire.LAYER_NAMES) <= 126  # beside what shells and signals use


def test_the_end_of_a_run_is_told_from_every_other_frame_by_its_first_bytes() -> None:
    done = wire.Done("ok", "", None, b"1", None, 0, 0)
    others = [wire.Ready(1), wire.Log("info", "done", 1, 0), wire.Checked((), b""), wire.Http("GET", "done", (), b"")]

    assert wire.is_done(wire.pack(done)[wire.PREFIX_BYTES :])
    assert not any(wire.is_done(wire.pack(frame)[wire.PREFIX_BYTES :]) for frame in others)


def test_a_short_document_has_no_more_than_its_bytes_and_a_longer_one_is_counted() -> None:
    """At the bound where counting begins, for values as for levels."""
    assert None is wire.excess(b"[[[[", 4, 4)
    assert "depth" == wire.excess(b"[[[[[", 5, 4)
    assert "values" == wire.excess(b"[0,0,0]", 2, 7)


def test_the_collector_sees_the_one_frame_that_may_hold_a_circle() -> None:
    """A call that could not be packed stays in the traceback of the error, beside what the hook gave."""
    circle: list[object] = []
    circle.append(circle)
    call = wire.Http("GET", "http://a.example", (), circle)  # type: ignore[arg-type]

    assert gc.is_tracked(call)
    assert not gc.is_tracked(wire.Done("ok", "", None, b"1", None, 0, 0, (wire.Cause("m", ()),)))
