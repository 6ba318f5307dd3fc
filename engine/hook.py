"""One hook as an engine runs it, and what a job of it has of its invocation."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engine.config import Mode
from engine.egress.policy import EgressPolicy
from engine.errors import BadInput
from engine.mask import NOTHING, Mask
from engine.outcome import LogEvent
from sandbox import wire

_MOST_PAIRS = 100  # secrets of a hook, or its dependencies
SECRETS_BYTES = 256 << 10  # of one hook together: twenty of the largest that Auth0 takes, thrice
_DEPENDENCIES_BYTES = 16 << 10  # names and versions together


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one job may use, where it is less than the settings say. None: as the settings say."""

    wall_ms: int | None = None
    result_bytes: int | None = None
    log_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("wall_ms", 1), ("result_bytes", 2), ("log_bytes", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise BadInput(f"limit {name} is {value}; the least allowed is {least}")


NO_LIMITS = Limits()  # of its own


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook, as an engine runs it."""

    source: str  # Python, as the tenant wrote it
    trigger_id: str  # of the extensibility point
    tenant: str = "local"  # whose worker runs it
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)  # context.webtask.secrets
    mode: Mode | None = None  # None: as the settings say
    limits: Limits = NO_LIMITS
    seed: int | None = None  # of the hook's `random`, up to 63 bits; None: another one for every job
    dependencies: Mapping[str, str] = field(default_factory=dict)  # module → version; each must be in the module map
    egress: EgressPolicy | None = None  # its tenant's own policy, instead of that of the settings
    modules: tuple[str, ...] | None = None  # of the module map: those that its tenant may import. None: all
    code: bytes | None = field(default=None, repr=False)  # what an earlier check of this tenant made; None: not known

    def __post_init__(self) -> None:
        if self.mode not in (None, "tenant", "invocation"):
            raise BadInput(f"mode is {self.mode!r}; it must be 'tenant' or 'invocation'")
        if self.seed is not None and not 0 <= self.seed < 1 << 63:
            raise BadInput(f"seed is {self.seed}; it must be between 0 and 2^63 - 1")
        check_pairs("secret", self.secrets, SECRETS_BYTES)
        check_pairs("dependency", self.dependencies, _DEPENDENCIES_BYTES)
        if self.code is not None and len(self.code) > wire.CODE_BYTES:
            raise BadInput(f"the code is {len(self.code)} bytes; a check makes {wire.CODE_BYTES} at most")


@dataclass(slots=True, kw_only=True)
class Within:
    """What a job has of its invocation, beside the arguments. One for each job: it is told how long that waited."""

    execution_id: str = field(default_factory=lambda: uuid.uuid4().hex)  # context.webtask.execution_id
    attempt: int = 1  # context.webtask.attempt
    response: bytes = b"null"  # JSON of what the hooks before it have answered: context.webtask.response
    known: tuple[str, ...] = ()  # secrets of the hooks before it, which their answers may hold: masked as its own
    deadline: float | None = None  # of the monotonic clock: waiting, the hook and its calls; None: limits alone
    on_log: Callable[[LogEvent], None] | None = None  # is told each line of the console as it comes, masked
    lease_ms: float = 0.0  # waited for a worker; told by the engine
    mask: Mask = NOTHING  # what its outcome was masked with; told by the engine
    checked: bool = True  # False: no worker could say what it makes of the source; told by the engine
    lost: bool = False  # its worker was gone before it told an end; told by the engine


def check_pairs(what: str, pairs: Mapping[str, str], most_bytes: int) -> None:
    """Names and texts that are given as `what`. Raises BadInput for too many, or more bytes than that."""
    if len(pairs) > _MOST_PAIRS:
        raise BadInput(f"what is given as {what} has {len(pairs)} names; the most allowed is {_MOST_PAIRS}")
    total = sum(_text_bytes(f"{what} {name!r:.100}", name, value) for name, value in pairs.items())
    if total > most_bytes:
        raise BadInput(f"what is given as {what} is larger than {most_bytes} bytes together")


def _text_bytes(what: str, *texts: str) -> int:
    if not all(isinstance(text, str) for text in texts):
        raise BadInput(f"the {what} is not text")
    try:
        return sum(len(text.encode()) for text in texts)
    except UnicodeEncodeError:
        raise BadInput(f"the {what} is not UTF-8 text") from None
