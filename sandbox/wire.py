"""The frames between engine and worker, and the messages between engine and zygote: the one file both sides import.

A frame is four bytes of length, big-endian, and a msgpack array whose first element names its type. On a channel:

    worker → engine   ready                          once, when locked down
    engine → worker   check | run                    one job at a time
    worker → engine   log* and http*, then checked | done      exactly one ending frame a job
    engine → worker   reply | failure                each `http` is answered before the worker goes on

A worker may be hostile: every bound below is checked before the engine looks at a value, and whatever does not fit
(size, type, order, bytes that are no frame) is a `ProtocolError`, which ends that worker and that job, nothing else.
"""

from __future__ import annotations

import struct
from itertools import accumulate
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

_LENGTH = struct.Struct(">I")  # the length prefix
PREFIX_BYTES = _LENGTH.size
READ_BYTES = 64 << 10  # of every read buffer
JOB_BYTES = 8 << 20  # engine → worker: arguments, compiled code, what was answered before: 2 MiB each; secrets
CODE_BYTES = 2 << 20  # of marshalled code: twenty times the largest source allowed by default
REPLY_BYTES = 4 << 20  # worker → engine: compiled code is the largest; results have a bound of their own
LOG_OVERHEAD_BYTES = 32  # what a log event costs beside its text, so that a million empty ones are bounded too
MESSAGE_CHARS = 4096  # of an outcome's message
TEXT_CHARS = 1 << 20  # of one log event

ERROR_BYTES = 64 << 10  # JSON of the error a hook passed on: its name, message and own fields
VALUES = 20_000  # in one JSON document: a few bytes can be many times as much memory, and time
DEPTH = 100  # of nesting in what a hook hands over, below its outermost object or list

Status = Literal[
    "ok", "denied", "raised", "no_callback", "bad_result", "rejected", "timeout", "out_of_memory", "crashed"
]
Level = Literal["info", "warn", "error"]
FailureKind = Literal[
    "refused",  # by a rule of the broker, for good
    "connect_timeout",
    "read_timeout",
    "connection",  # there is none, or it ended before the response began
    "tls",  # it is not secure
    "broken",  # the response ended early, or is no HTTP
    "undecodable",  # it is not encoded as it says
]

METHOD_CHARS, URL_CHARS, MOST_HEADERS = 64, 64 << 10, 1000  # of a call: decoding more would hold others up

Headers = tuple[tuple[str, str], ...]
Message = Annotated[str, Meta(max_length=MESSAGE_CHARS)]
Line = Annotated[int, Meta(ge=1, le=10_000_000)]
Count = Annotated[int, Meta(ge=0, le=1 << 53)]


class ProtocolError(Exception):
    """The other end sent something that is no frame, or not the one expected."""


class Limits(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What one job may use. Memory is the worker's limit, not a job's: the kernel holds it."""

    wall_ms: int = 20_000  # from job sent to outcome received, by the engine's clock
    result_bytes: int = 256 << 10  # JSON of what cb() was given
    log_bytes: int = 64 << 10  # all log events of one job together, then a mark


class Frame(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=True, gc=False):
    """One message on a worker's channel. Texts, bytes and numbers: the collector need not look at it."""


class Advice(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What a check needs to know in order to warn: with it, findings that refuse nothing come too."""

    fields: tuple[str, ...]  # the arguments' dotted paths, "user.email"; "user.app_metadata.*" may hold anything
    secrets: tuple[str, ...] | None = None  # names that the hook has; None: not known


class Check(Frame, frozen=True, tag="check"):
    """Job: compile a source under the policy; run nothing of it."""

    source: str
    parameters: tuple[str, ...]  # of the extensibility point, in order, `cb` last
    dependencies: tuple[str, ...] = ()  # modules that the hook says it needs. Source: AUTH0.md section 4
    advice: Advice | None = None  # None: nobody asks for warnings
    modules: tuple[str, ...] | None = None  # of the module map: those that this tenant may import. None: all


class Run(Frame, frozen=True, tag="run"):
    """Job: run code that an earlier check of the same tenant made."""

    code: bytes  # as `Checked.code`
    parameters: tuple[str, ...]  # of the extensibility point, in order, `cb` last
    arguments: bytes  # one JSON object, by parameter name
    secrets: dict[str, str]  # of this hook, readable as context.webtask.secrets
    execution_id: str  # stands as context.webtask.id
    seed: int  # of the hook's `random`, fresh for every job unless a case fixes it
    limits: Limits
    modules: tuple[str, ...] | None = None  # as `Check.modules`
    attempt: int = 1  # of the execution, as context.webtask.attempt
    response: bytes = b"null"  # JSON of what the hooks before it have answered, as context.webtask.response


class Probe(Frame, frozen=True, tag="probe"):
    """Job of a prober, never of a worker: try one thing that must not work. See sandbox/probes.py."""

    name: str


class Ready(Frame, frozen=True, tag="ready"):
    """The worker is locked down and waits for a job."""

    peak_bytes: Count  # largest resident size so far: what a blank worker has


class Log(Frame, frozen=True, tag="log"):
    """One line that the hook logged."""

    level: Level
    text: Annotated[str, Meta(max_length=TEXT_CHARS)]
    line: Line | None  # of the hook's source
    at_ms: Count  # milliseconds since the epoch, by the worker's clock


class Diagnostic(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One finding about a source: what is refused or doubtful, where it stands and what to write instead."""

    rule: Annotated[str, Meta(max_length=64)]
    line: Line
    column: Count  # from 1, in characters
    end: Count  # column after the last character, on the same line
    message: Message
    hint: Message


class Checked(Frame, frozen=True, tag="checked"):
    """End of a check: the code, or why there is none."""

    diagnostics: Annotated[tuple[Diagnostic, ...], Meta(max_length=100)]
    code: bytes | None  # marshalled; opaque to the engine, loaded only in a worker of the same tenant
    warnings: Annotated[tuple[Diagnostic, ...], Meta(max_length=100)] = ()  # they refuse nothing


class Step(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One line of the hook's own file that an error passed through."""

    line: Line
    function: Annotated[str, Meta(max_length=200)]  # empty: the file itself


class Cause(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """One error of a chain, with its way through the hook's file, outermost call first."""

    message: Message  # "KeyError: 'email'"
    steps: Annotated[tuple[Step, ...], Meta(max_length=20)]


class Done(Frame, frozen=True, tag="done"):
    """End of a run, as the worker tells it."""

    status: Literal["ok", "denied", "raised", "no_callback", "bad_result", "timeout", "out_of_memory"]
    message: Message
    line: Line | None  # of the hook's source, where it ended
    result: bytes | None  # JSON, when `ok`
    error: Annotated[bytes, Meta(max_length=ERROR_BYTES)] | None  # JSON {name, message, …}, when `denied` or `raised`
    cpu_us: Count  # processor time of this job
    peak_bytes: Count  # largest resident size of the worker so far
    causes: Annotated[tuple[Cause, ...], Meta(max_length=8)] = ()  # the error, then what led to it, when `raised`
    spent: bool = False  # something of the job is left in the worker: it takes no other


class Http(Frame, frozen=True, tag="http", gc=True):  # until it is packed it may hold what a hook made, circles too
    """One HTTP call that a run asks for; the worker waits for its answer. The broker's rules bound it further."""

    method: Annotated[str, Meta(max_length=METHOD_CHARS)]
    url: Annotated[str, Meta(max_length=URL_CHARS)]
    headers: Annotated[Headers, Meta(max_length=MOST_HEADERS)]  # without those that are the broker's to set
    body: bytes
    connect_ms: Count | None = None  # None: as long as the broker allows
    read_ms: Count | None = None


class Answered(Frame, frozen=True, tag="reply"):
    """The whole response to an `http`. It comes from a third party: the worker parses it, not the engine."""

    status: int
    reason: str
    headers: Headers
    body: bytes  # decoded


class Failed(Frame, frozen=True, tag="failure"):
    """Why there is no response to an `http`."""

    kind: FailureKind
    rule: str  # of the broker, when `refused`; else empty
    message: str


class Probed(Frame, frozen=True, tag="probed"):
    """What a prober found: `held` is false when the thing worked."""

    name: Annotated[str, Meta(max_length=64)]
    held: bool
    detail: Message


Job = Check | Run | Probe
Reply = Ready | Log | Http | Checked | Done | Probed
Answer = Answered | Failed

jobs: msgspec.msgpack.Decoder[Job] = msgspec.msgpack.Decoder(Job)
replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
answers: msgspec.msgpack.Decoder[Answer] = msgspec.msgpack.Decoder(Answer)
_encoder = msgspec.msgpack.Encoder()

FrameType = TypeVar("FrameType")


def pack(frame: Frame) -> bytes:
    """The bytes of a frame, length first."""
    body = _encoder.encode(frame)
    return _LENGTH.pack(len(body)) + body


def parse(body: bytes | bytearray | memoryview, decoder: msgspec.msgpack.Decoder[FrameType]) -> FrameType:
    """The frame in `body`. Raises ProtocolError for anything else."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise ProtocolError(f"not a frame: {error}"[:200]) from None


def is_done(body: bytes) -> bool:
    """Whether `body` begins as a `Done` does: a short array, and its tag."""
    return body[1:6] == b"\xa4done"


class FrameReader:
    """Cuts a byte stream into frames. Holds at most one frame of `limit` bytes that is not yet whole."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """The bodies that `data` completes. Raises ProtocolError on a length over the limit, before it is read."""
        buffer = self._buffer
        whole = len(data) - PREFIX_BYTES
        if not buffer and 0 <= whole <= self._limit and _LENGTH.unpack_from(data)[0] == whole:
            return [bytes(data[PREFIX_BYTES:])]  # one frame and nothing else: nearly always
        buffer += data
        bodies, start = [], 0
        while len(buffer) - start >= PREFIX_BYTES:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > self._limit:
                raise ProtocolError(f"a frame of {length} bytes; the most allowed is {self._limit}")
            if len(buffer) - start - PREFIX_BYTES < length:
                break
            start += PREFIX_BYTES
            bodies.append(bytes(buffer[start : start + length]))
            start += length
        del buffer[:start]
        return bodies


_STEPS = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")  # deeper, and up again, as signed bytes
_NO_STEPS = bytes(set(range(256)).difference(b"[{]}"))


def excess(raw: bytes, values: int, depth: int) -> Literal["values", "depth"] | None:
    """What a JSON document has too much of: looked for in its bytes, before any of its values is made.

    `values` in all, or objects and lists within each other. Bytes that are no JSON may have what they want: whoever
    decodes them makes no more than was counted here before they meet the fault.

    Each value but the first comes after a comma or opens something. Only where these are many are texts taken out
    first, in which they do not count: in JSON a quotation mark behind a backslash is in a text, like the backslash.
    """
    size = len(raw)
    if size <= depth and size <= values:
        return None  # each takes a byte
    openings = raw.count(b"[") + raw.count(b"{")
    if openings <= depth and openings + raw.count(b",") <= values:
        return None
    parts = raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"', 4 * values)
    bare = b" ".join(parts[::2])
    openings = bare.count(b"[") + bare.count(b"{")
    if len(parts) > 4 * values or openings + bare.count(b",") > values:
        return "values"
    steps = bare.translate(_STEPS, _NO_STEPS)[: 2 * openings]
    return "depth" if openings > depth and max(accumulate(memoryview(steps).cast("b"))) > depth else None


_CONTROL = bytes(range(0x20))


def is_json(raw: bytes) -> bool:
    """Whether `raw` is one JSON value in UTF-8 on one line, no more than VALUES and no deeper than DEPTH.

    A worker's word is not taken for it.
    """
    if len(raw.translate(None, _CONTROL)) != len(raw) or excess(raw, VALUES, DEPTH + 1):
        return False
    try:
        msgspec.json.decode(raw, strict=True)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return False
    return True


# engine ↔ zygote: one SEQPACKET message each, descriptors beside it


class Fork(msgspec.Struct, frozen=True, tag="fork"):
    """Engine → zygote: make a worker, or a prober that tries one thing and says what came of it."""

    prober: bool = False


class Forked(msgspec.Struct, frozen=True, tag="forked"):
    """Zygote → engine: its pid there; beside it the channel and the pidfd. Answers come in the order of the asking."""

    pid: int


class Exited(msgspec.Struct, frozen=True, tag="exited"):
    """Zygote → engine: a worker ended. `status` as waitpid(2) gives it, decoded: an exit code, or minus the signal."""

    pid: int
    status: int


class Standing(msgspec.Struct, frozen=True, tag="standing"):
    """Zygote → engine, first: it is up, locked, and takes orders."""


Order = Fork
Report = Forked | Exited | Standing
orders: msgspec.msgpack.Decoder[Order] = msgspec.msgpack.Decoder(Order)
reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)
CONTROL_BYTES = 64 << 10


def pack_control(message: Order | Report) -> bytes:
    """The bytes of a control message, for one SEQPACKET send."""
    return _encoder.encode(message)


LAYERS = {
    "unprivileged": "being root on the host: signals, files, devices of every user",
    "namespaces": "seeing or signalling the host's processes, its network, its IPC objects",
    "empty_root": "any file of the host, also /proc and /dev/shm: there is none",
    "environment": "reading settings or keys from the environment",
    "capabilities": "mounting, raw sockets, changing ids inside its own namespace",
    "dumpable": "ptrace and /proc/PID/mem between processes of one user",
    "no_new_privs": "gaining privilege through a set-user-id program",
    "descriptors": "inherited sockets and files: other workers' channels, the control socket",
    "rlimits": "using up memory, descriptors, processes or disk",
    "parent_death": "outliving the engine",
    "landlock": "opening any path, TCP, signals to processes outside",
    "seccomp": "every system call but the 27 that running Python needs",
}  # in the order in which they are put on; each with what it stops
LAYER_NAMES = tuple(LAYERS)
LAYER_EXIT = 100  # a process whose lockdown failed exits with this plus the layer's place in LAYER_NAMES
