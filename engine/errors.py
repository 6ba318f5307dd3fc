"""What a caller or we do wrong, as exceptions. What a hook does wrong is an Outcome, never an exception.

    EngineError                   usable after it?
    ├── BadConfig                 no engine was made
    ├── BadInput                  yes: nothing was started
    │   ├── UnknownPoint
    │   ├── BadArguments
    │   ├── BadSource
    │   └── Refusal               of a request, with the status and code that HTTP answers
    ├── PoolBusy                  yes: try again later
    ├── EngineClosed              no: it is draining or has ended
    ├── LayerMissing              no: it refuses to start
    └── SandboxFailed             yes: a worker could not be made; the next call tries again
        └── SandboxLost           yes: the zygote ended while the hook ran; another one takes over

The class docstring is the default message; `status` and `code` are what HTTP answers.
"""

from __future__ import annotations

from collections.abc import Mapping


class EngineError(Exception):
    """Something went wrong."""

    status = 500
    code: str | None = "internal"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class BadConfig(EngineError):
    """The settings do not hold together."""

    code = "bad_config"


class BadInput(EngineError):
    """The input cannot be used."""

    status = 400
    code: str | None = "bad_input"


class UnknownPoint(BadInput):
    """There is no extensibility point of that name."""

    status = 404
    code = "unknown_point"


class BadArguments(BadInput):
    """The arguments do not fit the extensibility point."""

    code = "bad_arguments"


class BadSource(BadInput):
    """The source cannot be a hook."""

    code = "bad_source"


class Refusal(BadInput):
    """The request is refused."""

    def __init__(self, status: int, code: str | None, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status  # HTTP's
        self.code = code  # `errorCode`; None: the answer has none
        self.headers = dict(headers or {})


class PoolBusy(EngineError):
    """Every worker is busy and the queue is full; try again later."""

    status = 503
    code = "pool_busy"


class EngineClosed(EngineError):
    """The engine is draining or has ended."""

    status = 503
    code = "engine_closed"


class LayerMissing(EngineError):
    """A layer of the sandbox does not hold on this machine."""

    code = "layer_missing"


class SandboxFailed(EngineError):
    """A worker could not be made."""

    status = 503
    code = "sandbox_failed"


class SandboxLost(SandboxFailed):
    """The sandbox ended while the hook ran."""
