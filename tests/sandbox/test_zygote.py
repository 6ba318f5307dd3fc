"""A real zygote on a control socket: what it says, what it makes, and that nothing outlives it."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox import wire

ANSWER = "def hook(user, context, cb):\n    cb(None, user.name)\n"


def probed(zygote: Any, name: str) -> wire.Reply:
    """What a prober of that zygote found; the report of its end is heard too."""
    prober = zygote.fork(prober=True)
    prober.send(wire.Probe(name))
    found = prober.receive()
    zygote.exit_of(prober)
    return found


def zygote_is_gone(zygote: Any) -> bool:
    """Whether its control socket closes, once what it still had to say is read."""
    try:
        while zygote.hear():
            pass
    except (EOFError, ConnectionResetError):
        return True


def test_it_says_once_that_it_stands(new_zygote: Callable[..., Any]) -> None:
    new_zygote()  # hears it


def test_what_its_starter_had_in_the_environment_is_gone(zygote: Any) -> None:
    """It was started with a planted secret; the engine starts it with none."""
    assert probed(zygote, "environment") == wire.Probed("environment", True, "in place")


def test_a_worker_s_pid_is_that_of_a_small_world(zygote: Any) -> None:
    worker = zygote.fork()
    worker.signal(signal.SIGKILL)

    assert zygote.exit_of(worker) == -signal.SIGKILL
    assert worker.pid > 1


def pid_outside(worker: Any) -> int:
    """As we know it."""
    fields = Path(f"/proc/self/fdinfo/{worker.pidfd}").read_text(encoding="ascii").split()
    return int(fields[fields.index("Pid:") + 1])


def faults(worker: Any) -> int:
    """Pages that the kernel has given it, or copied for it, since it was forked. See proc_pid_stat(5)."""
    return int(Path(f"/proc/{pid_outside(worker)}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[7])


def test_a_worker_does_not_take_the_processor_from_who_wakes_it(worker: Any) -> None:
    """SCHED_BATCH: see sched(7)."""
    assert os.SCHED_BATCH == os.sched_getscheduler(pid_outside(worker))


def until_asleep(worker: Any) -> None:
    """Until it waits in the kernel. See proc_pid_stat(5)."""
    stat, end = Path(f"/proc/{pid_outside(worker)}/stat"), time.monotonic() + 20
    while stat.read_text(encoding="ascii").rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < end
        os.sched_yield()


def waits(worker: Any) -> int:
    """Times that it has slept of its own accord. See proc_pid_status(5)."""
    status = Path(f"/proc/{pid_outside(worker)}/status").read_text(encoding="ascii")
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_a_worker_is_woken_once_for_a_job(worker: Any, hook_job: Callable[..., Any]) -> None:
    """And not again when its reply is read, though that gives its socket room. Each step waits until it sleeps."""
    job, times = hook_job(ANSWER), 200
    until_asleep(worker)
    before = waits(worker)
    for _ in range(times):
        worker.send(job)
        assert select.select([worker.channel], [], [], 20)[0]
        until_asleep(worker)
        assert "ok" == worker.listen()[0].status
        until_asleep(worker)

    assert 0.7 * times < waits(worker) - before < 1.3 * times


def test_a_signal_ends_no_wait_for_a_job(worker: Any, hook_job: Callable[..., Any]) -> None:
    """As the soft stop of a job that has just ended comes: the wait is taken up again."""
    for _ in range(20):
        until_asleep(worker)
        worker.signal(signal.SIGUSR1)

    assert "ok" == worker.finish(hook_job(ANSWER))[0].status


def test_the_first_job_of_a_worker_finds_its_memory_ready(worker: Any, hook_job: Callable[..., Any]) -> None:
    """A few pages for what this hook is, and not the hundreds that any job writes to."""
    blank = faults(worker)
    worker.finish(hook_job(ANSWER))

    assert faults(worker) - blank < blank / 4


def test_a_worker_is_nobody_outside_either(zygote: Any) -> None:
    worker = zygote.fork()
    pid = pid_outside(worker)
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if ":\t" in line
    )
    worker.signal(signal.SIGKILL)
    zygote.exit_of(worker)

    assert "0" not in (*status["Uid"].split(), *status["Gid"].split())
    assert "2" == status["Seccomp"]
    assert "1" == status["NoNewPrivs"]
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapInh"], 16) == 0


def test_answers_come_in_the_order_of_the_asking(zygote: Any) -> None:
    kinds = [False, True, False, True]
    for prober in kinds:
        zygote.order(prober=prober)
    made = [zygote.forked() for _ in kinds]
    for worker in made:
        assert isinstance(worker.receive(), wire.Ready)
    for worker, prober in zip(made, kinds, strict=True):
        job = wire.Probe("rlimits") if prober else wire.Check("", ())
        reply, _ = worker.finish(job)
        assert isinstance(reply, wire.Probed if prober else wire.Checked)
    for worker in made:
        worker.channel.close()
    ended = {zygote.hear()[0].pid for _ in made}

    assert {worker.pid for worker in made} == ended


def test_a_worker_whose_channel_closes_ends_with_nothing_to_complain_of(zygote: Any) -> None:
    worker = zygote.fork()
    worker.channel.close()

    assert zygote.exit_of(worker) == 0


def test_a_worker_that_is_sent_nonsense_ends_with_a_fault(zygote: Any) -> None:
    worker = zygote.fork()
    worker.write(b"\0\0\0\3abc")

    assert zygote.exit_of(worker) == 1


def test_a_worker_that_the_filter_kills_is_told_by_its_signal(zygote: Any) -> None:
    prober = zygote.fork(prober=True)
    prober.send(wire.Probe("getppid"))

    assert zygote.exit_of(prober) == -signal.SIGSYS


def test_the_death_of_one_worker_leaves_another_alone(zygote: Any, hook_job: Callable[..., Any]) -> None:
    first, second = zygote.fork(), zygote.fork()
    first.signal(signal.SIGKILL)
    assert zygote.exit_of(first) == -signal.SIGKILL
    done, _ = second.finish(hook_job(ANSWER))
    second.channel.close()
    zygote.exit_of(second)

    assert ("ok", b'"Ann"') == (done.status, done.result)


def test_two_workers_share_no_state(zygote: Any, hook_job: Callable[..., Any]) -> None:
    """A generator without a seed of the job's own would repeat: forks are copies."""
    source = (
        "import secrets, uuid\ndef hook(user, context, cb):\n    cb(None, [secrets.token_hex(), str(uuid.uuid4())])\n"
    )
    results = set()
    for _ in range(3):
        worker = zygote.fork()
        done, _ = worker.finish(hook_job(source))
        results.add(done.result)
        worker.channel.close()
        zygote.exit_of(worker)

    assert len(results) == 3


def test_it_ends_with_its_control_socket_and_takes_every_worker_along(new_zygote: Callable[..., Any]) -> None:
    zygote = new_zygote()
    workers = [zygote.fork() for _ in range(3)]
    zygote.control.close()

    assert all(worker.ended() for worker in workers)
    assert zygote.process.wait(20) == 0


def test_it_takes_along_a_worker_that_is_busy(new_zygote: Callable[..., Any], hook_job: Callable[..., Any]) -> None:
    zygote = new_zygote()
    worker = zygote.fork()
    worker.send(hook_job("def hook(user, context, cb):\n    print('begun')\n    while True:\n        pass\n"))
    assert isinstance(worker.receive(), wire.Log)
    zygote.control.close()

    assert worker.ended()


@pytest.mark.parametrize(
    "nonsense", [b"x", b"\xc0", b"\x81\xa4type\xa4kill", b"\xff" * 1000, wire.pack_control(wire.Forked(1))]
)
def test_it_ends_over_an_order_that_is_none(new_zygote: Callable[..., Any], nonsense: Any) -> None:
    """The engine alone speaks here: what it did not say, something else did."""
    zygote = new_zygote()
    worker = zygote.fork()
    zygote.control.send(nonsense)

    assert worker.ended()
    assert zygote.process.wait(20) != 0


def test_the_death_of_the_outer_process_takes_all_along(new_zygote: Callable[..., Any]) -> None:
    """The process that the engine knows is only the one that waits for the first process of the pid namespace."""
    zygote = new_zygote()
    workers = [zygote.fork() for _ in range(2)]
    zygote.process.kill()

    assert all(worker.ended() for worker in workers)
    zygote.process.wait(20)
    assert zygote_is_gone(zygote)


def test_a_worker_holds_no_descriptor_but_its_channel(zygote: Any) -> None:
    others = [zygote.fork() for _ in range(3)]
    found = probed(zygote, "descriptors")
    for worker in others:
        worker.channel.close()
        zygote.exit_of(worker)

    assert found.held, found.detail


def test_the_end_of_a_channel_is_seen_though_other_workers_were_forked_after_it(zygote: Any) -> None:
    """A later worker that had kept a copy of it would keep it open."""
    first, later = zygote.fork(), zygote.fork()
    first.signal(signal.SIGKILL)
    zygote.exit_of(first)
    with pytest.raises(EOFError):
        first.receive()
    later.channel.close()
    zygote.exit_of(later)


def test_a_worker_is_made_in_milliseconds(zygote: Any) -> None:
    """Of ten, the fastest: a machine that is busy says nothing of the others."""
    times = []
    for _ in range(10):
        begun = time.perf_counter()
        worker = zygote.fork()
        times.append(time.perf_counter() - begun)
        worker.channel.close()
        zygote.exit_of(worker)

    assert min(times) < 0.1


def test_it_leaves_no_process_behind(new_zygote: Callable[..., Any]) -> None:
    zygote = new_zygote()
    worker = zygote.fork()
    worker.signal(signal.SIGKILL)
    zygote.exit_of(worker)
    zygote.close()

    with pytest.raises(ProcessLookupError):
        os.kill(zygote.process.pid, 0)
