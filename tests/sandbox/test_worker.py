"""A real worker on its channel: jobs in, one ending frame each, and how it stops."""

from __future__ import annotations

import select
import signal
from collections.abc import Callable
from typing import Any

import pytest

from sandbox import wire

ANSWER = "def hook(user, context, cb):\n    cb(None, user.name)\n"
BUSY = "def hook(user, context, cb):\n    print('begun')\n    while True:\n        pass\n"
PARAMETERS = ("user", "context", "cb")


def ends(zygote: Any, worker: Any) -> int:
    """Its status, when the engine has nothing more to say."""
    with pytest.raises(EOFError):
        worker.receive()
    return zygote.exit_of(worker)


def test_it_tells_how_large_it_is_when_blank(zygote: Any) -> None:
    zygote.order()
    worker = zygote.forked()
    first = worker.receive()
    worker.channel.close()
    zygote.exit_of(worker)

    assert isinstance(first, wire.Ready)
    assert 1 << 20 < first.peak_bytes < 200 << 20


def test_it_does_one_job_after_another(worker: Any, hook_job: Callable[..., Any]) -> None:
    for name in ("Ann", "Bob", "Cid"):
        done, _ = worker.finish(hook_job(ANSWER, arguments={"user": {"name": name}}))

        assert ("ok", f'"{name}"'.encode()) == (done.status, done.result)


def test_it_compiles_what_it_then_runs(worker: Any, hook_job: Callable[..., Any]) -> None:
    checked, _ = worker.finish(wire.Check(ANSWER, PARAMETERS))
    assert checked.diagnostics == ()
    job = hook_job(ANSWER)
    done, _ = worker.finish(wire.Run(checked.code, PARAMETERS, job.arguments, {}, "e1", 1, wire.Limits()))

    assert ("ok", b'"Ann"') == (done.status, done.result)


def test_a_source_that_is_refused_leaves_it_ready(worker: Any) -> None:
    checked, _ = worker.finish(wire.Check("import os\n", PARAMETERS))
    again, _ = worker.finish(wire.Check(ANSWER, PARAMETERS))

    assert ("import", None) == (checked.diagnostics[0].rule, checked.code)
    assert again.code is not None


def test_a_failed_job_leaves_it_ready(worker: Any, hook_job: Callable[..., Any]) -> None:
    failed, _ = worker.run("def hook(user, context, cb):\n    raise ValueError('no')\n")
    done, _ = worker.finish(hook_job(ANSWER))

    assert ["raised", "ok"] == [failed.status, done.status]


def test_jobs_that_come_in_one_piece_are_answered_in_order(worker: Any, hook_job: Callable[..., Any]) -> None:
    jobs = [hook_job(ANSWER, arguments={"user": {"name": name}}) for name in ("Ann", "Bob")]
    worker.write(b"".join(map(wire.pack, jobs)))

    assert [b'"Ann"', b'"Bob"'] == [worker.listen()[0].result for _ in jobs]


def test_a_job_that_comes_byte_by_byte_is_done(worker: Any, hook_job: Callable[..., Any]) -> None:
    for byte in wire.pack(hook_job(ANSWER)):
        worker.channel.send(bytes([byte]))

    assert worker.listen()[0].status == "ok"


def test_a_large_job_and_a_large_result_come_through(worker: Any, hook_job: Callable[..., Any]) -> None:
    name = "é" * 400_000
    limits = wire.Limits(result_bytes=2 << 20)
    done, _ = worker.finish(hook_job(ANSWER, arguments={"user": {"name": name}}, limits=limits))

    assert f'"{name}"'.encode() == done.result


def test_no_state_of_a_job_is_left_for_the_next(worker: Any) -> None:
    plant = "import random, decimal\nkept = []\ndef hook(user, context, cb):\n    decimal.getcontext().prec = 3\n    kept.append(1)\n    random.seed(5)\n    user.name = 'changed'\n    cb(None, None)\n"
    look = "import decimal\ndef hook(user, context, cb):\n    try:\n        kept\n    except NameError:\n        cb(None, [user.name, decimal.getcontext().prec])\n"
    first, _ = worker.run(plant)
    second, _ = worker.run(look)

    assert ("ok", "ok", b'["Ann",28]') == (first.status, second.status, second.result)


def test_what_a_job_cost_does_not_count_the_one_before(worker: Any) -> None:
    busy, _ = worker.run("def hook(user, context, cb):\n    cb(None, sum(range(5_000_000)))\n")
    idle, _ = worker.run("def hook(user, context, cb):\n    cb()\n")

    assert idle.cpu_us < busy.cpu_us
    assert busy.peak_bytes > 0


def test_it_ends_when_the_engine_closes_the_channel(zygote: Any) -> None:
    worker = zygote.fork()
    worker.channel.shutdown(1)

    assert ends(zygote, worker) == 0


def test_it_ends_when_the_engine_goes_in_the_middle_of_a_frame(zygote: Any, hook_job: Callable[..., Any]) -> None:
    worker = zygote.fork()
    worker.write(wire.pack(hook_job(ANSWER))[:-5])
    worker.channel.shutdown(1)

    assert ends(zygote, worker) == 0


@pytest.mark.parametrize(
    "sent",
    [
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\3abc",
        wire.pack(wire.Ready(0)),
        wire.pack(wire.Done("ok", "", None, None, None, 0, 0)),
        wire.pack(wire.Probe("getppid")),
        wire.pack(wire.Check(ANSWER, PARAMETERS))[:-1] + b"\xc1",
        (wire.JOB_BYTES + 1).to_bytes(4, "big"),
    ],
)
def test_what_is_no_job_of_a_worker_ends_it(zygote: Any, sent: Any) -> None:
    worker = zygote.fork()
    worker.write(sent)

    assert ends(zygote, worker) == 1


def test_the_soft_stop_tells_the_line_and_ends_it(zygote: Any, hook_job: Callable[..., Any]) -> None:
    worker = zygote.fork()
    worker.send(hook_job(BUSY))
    assert isinstance(worker.receive(), wire.Log)
    worker.signal(signal.SIGUSR1)
    done, _ = worker.listen()

    assert "timeout" == done.status
    assert done.line in (2, 3, 4)
    assert f"line {done.line}" in done.message
    assert ends(zygote, worker) == 0


@pytest.mark.parametrize(
    "body",
    [
        "    while True:\n        try:\n            print('begun')\n            while True:\n                pass\n        except Exception:\n            pass\n",
        "    try:\n        print('begun')\n        while True:\n            pass\n    finally:\n        while True:\n            pass\n",
        "    import time\n    print('begun')\n    time.sleep(1000)\n",
    ],
    ids=["except", "finally", "sleep"],
)
def test_the_soft_stop_cannot_be_swallowed(zygote: Any, hook_job: Callable[..., Any], body: Any) -> None:
    worker = zygote.fork()
    worker.send(hook_job("def hook(user, context, cb):\n" + body))
    assert isinstance(worker.receive(), wire.Log)
    worker.signal(signal.SIGUSR1)
    while not select.select([worker.channel], [], [], 0.2)[0]:  # it came just before the sleep: the engine asks again
        worker.signal(signal.SIGUSR1)

    assert worker.listen()[0].status == "timeout"
    assert ends(zygote, worker) == 0


def test_a_flood_of_log_is_stopped_between_two_whole_frames(zygote: Any, hook_job: Callable[..., Any]) -> None:
    """The worker is most likely inside a write that the engine does not take."""
    source = "def hook(user, context, cb):\n    while True:\n        print('x' * 1000)\n"
    worker = zygote.fork()
    worker.send(hook_job(source, limits=wire.Limits(log_bytes=16 << 20)))
    first = worker.receive()
    worker.signal(signal.SIGUSR1)
    done, logs = worker.listen()

    assert "timeout" == done.status
    assert {"x" * 1000} == {log.text for log in [first, *logs]}
    assert ends(zygote, worker) == 0


def test_the_soft_stop_means_nothing_between_two_jobs(worker: Any, hook_job: Callable[..., Any]) -> None:
    assert worker.finish(hook_job(ANSWER))[0].status == "ok"
    worker.signal(signal.SIGUSR1)

    assert worker.finish(hook_job(ANSWER))[0].status == "ok"


def test_a_hook_that_asks_for_too_much_memory_is_told_so(zygote: Any) -> None:
    worker = zygote.fork()
    done, _ = worker.run(
        "def hook(user, context, cb):\n    kept = []\n    while True:\n        kept.append('x' * 1_000_000)\n"
    )
    worker.signal(signal.SIGKILL)
    zygote.exit_of(worker)

    assert ("out_of_memory", 4) == (done.status, done.line)


def test_one_object_that_is_too_large_is_told_with_its_line(zygote: Any) -> None:
    worker = zygote.fork()
    done, _ = worker.run("def hook(user, context, cb):\n\n    cb(None, len('x' * 10**10))\n")
    worker.signal(signal.SIGKILL)
    zygote.exit_of(worker)

    assert ("out_of_memory", 3) == (done.status, done.line)


def test_endless_recursion_does_not_crash_it(worker: Any, hook_job: Callable[..., Any]) -> None:
    done, _ = worker.run("def again(n):\n    return again(n + 1)\ndef hook(user, context, cb):\n    again(1)\n")

    assert ("raised", 2) == (done.status, done.line)
    assert worker.finish(hook_job(ANSWER))[0].status == "ok"
