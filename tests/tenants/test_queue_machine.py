"""The queue against a model of it, on SQLite: whatever is done in whatever order, each end counts once."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from queue_rows import LEASE_MS, Queue, ended, held, new

from tenants import executions
from tenants.errors import Stale
from tenants.executions import Held
from tenants.records import Execution, Tenant
from tenants.store import Store

MOST_LOST = 2
MOST_QUEUED = 6
STEPS = st.sampled_from([0, LEASE_MS // 2, LEASE_MS, 3 * LEASE_MS])
ROOMS = st.sampled_from([3, 3, 1, 0])


class Model:
    """What one execution is to be."""

    def __init__(self, tenant: Tenant, run_at_ms: int) -> None:
        self.tenant = tenant
        self.status = "queued"
        self.attempt = self.token = self.lost = self.position = 0
        self.due_ms: int | None = run_at_ms

    def told(self) -> tuple[Any, ...]:
        return (self.status, self.attempt, self.token, self.position)

    def queued(self, due_ms: int) -> None:
        self.status, self.due_ms = "queued", due_ms

    def ended(self, status: str) -> None:
        self.status, self.due_ms, self.lost = status, None, 0


class QueueMachine(RuleBasedStateMachine):
    """Two tenants, any number of engines: those whose lease is over go on as if nothing had been."""

    asked_of: Any
    now_ms = 1_000_000

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(f"sqlite:///{self.folder.name}/store.db")
        self.store.open()
        self.queue = Queue(self.asked_of(self.store))
        self.tenants = [self.queue.asked.tenant(name) for name in ("acme", "other")]
        self.models: dict[str, Model] = {}
        self.keys: dict[tuple[str, str], tuple[str, str]] = {}
        self.rights: list[Held] = []  # that anybody has ever had
        self.logged = 0
        self.ids = itertools.count()

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    def model(self, right: Held) -> Model | None:
        """Of what is held by it; None: not any more."""
        model = self.models[right.id]
        return model if (model.status, model.token) == ("running", right.fencing_token) else None

    def waiting(self, tenant: Tenant) -> int:
        return sum((model.tenant, model.status) == (tenant, "queued") for model in self.models.values())

    @rule(
        whose=st.integers(0, 1),
        later=st.sampled_from([0, LEASE_MS]),
        key=st.sampled_from([None, "k", "l"]),
        sha=st.sampled_from("ab"),
    )
    def enqueue(self, whose: int, later: int, key: str | None, sha: str) -> None:
        tenant = self.tenants[whose]
        id_ = f"{next(self.ids):026}"
        keyed = {"idempotency_key": key, "request_sha256": sha} if key else {}
        (answer,) = self.queue.put(new(tenant, MOST_QUEUED, id=id_, run_at_ms=self.now_ms + later, **keyed))
        known = self.keys.get((tenant.id, key or ""))
        if known:
            assert (known[0] if known[1] == sha else "Taken idempotency_key") == answer
        elif self.waiting(tenant) >= MOST_QUEUED:
            assert "TooMany queued_jobs" == answer
        else:
            assert id_ == answer
            self.models[id_] = Model(tenant, self.now_ms + later)
            if key:
                self.keys[tenant.id, key] = (id_, sha)

    @initialize()
    def begin(self) -> None:
        """Something is under way."""
        for whose in (0, 1, 1):
            self.enqueue(whose, 0, None, "")
        self.claim(9, (2, 1), 0)

    @rule(most=st.sampled_from([9, 9, 2, 1]), rooms=st.tuples(ROOMS, ROOMS), by=STEPS)
    def claim(self, most: int, rooms: tuple[int, int], by: int) -> None:
        """As time goes on."""
        self.now_ms += by
        room = {tenant.id: number for tenant, number in zip(self.tenants, rooms, strict=True)}
        due = {id_ for id_, model in self.models.items() if model.due_ms is not None and model.due_ms <= self.now_ms}
        claims = self.queue.claim(self.now_ms, most=most, room=room, most_attempts=MOST_LOST)
        for tenant_id, dead in claims.dead:
            model = self.models[dead.id]
            assert ("running", MOST_LOST - 1, tenant_id) == (model.status, model.lost, model.tenant.id)
            model.ended("dead")
        for start in claims.starts:
            self.start(start, due)
        self.check_turns(most, room, due, [tenant_id for tenant_id, _ in (*claims.starts, *claims.dead)])
        assert len({started.id for _, started in claims.starts}) == len(claims.starts)

    def start(self, start: tuple[str, Execution], due: set[str]) -> None:
        tenant_id, started = start
        model = self.models[started.id]
        assert (started.id in due, tenant_id) == (True, model.tenant.id)
        model.lost += model.status == "running"
        assert model.lost < MOST_LOST
        model.status, model.due_ms = "running", self.now_ms + LEASE_MS
        model.attempt, model.token = model.attempt + 1, model.token + 1
        assert model.told() == (started.status, started.attempt, started.fencing_token, started.position)
        self.rights.append(held(start))

    def check_turns(self, most: int, room: dict[str, int], due: set[str], turns: list[str]) -> None:
        """As many as there may be, and no tenant without its turn."""
        could = {id_: sum(self.models[one].tenant.id == id_ for one in due) for id_ in room}
        each = {id_: min(number, could[id_]) for id_, number in room.items()}
        assert all(turns.count(id_) <= could[id_] for id_ in room)
        if all(self.models[one].status != "dead" for one in due):
            assert min(most, sum(each.values())) == len(turns)
            assert most < 2 or all(id_ in turns for id_, number in each.items() if number)

    @precondition(lambda self: self.rights)
    @rule(
        data=st.data(), status=st.sampled_from(["success", "error", "dead", "queued"]),
        logs=st.booleans(), counted=st.booleans(), later=STEPS,
    )  # fmt: skip
    def finish(self, data: st.DataObject, status: str, logs: bool, counted: bool, later: int) -> None:  # noqa: FBT001
        right = data.draw(st.sampled_from(self.rights))
        model = self.model(right)
        counted = counted or status != "queued"
        position = self.models[right.id].position + 1
        event = {"type": "fcph"} if logs else None
        end = ended(right, status, position=position, run_at_ms=self.now_ms + later, log_event=event, counted=counted)

        assert [model is not None, False] == self.queue.finish(end, end)
        if model is not None:
            self.logged += logs
            model.ended(status)
            model.position = position
            model.attempt -= not counted
            if status == "queued":
                model.queued(self.now_ms + later)

    @precondition(lambda self: self.rights)
    @rule(data=st.data())
    def extend(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(self.rights), unique=True, max_size=4))
        until = self.now_ms + 2 * LEASE_MS
        still = {right for right in some if self.model(right)}

        assert still == self.queue.asked.write_all(executions.extend, some, until)
        for right in still:
            self.models[right.id].due_ms = until

    @precondition(lambda self: self.rights)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        some = data.draw(st.lists(st.sampled_from(self.rights), unique=True, max_size=4))
        self.queue.asked.write_all(executions.release, some)
        for right in some:
            if model := self.model(right):
                model.queued(self.now_ms)
                model.attempt -= 1

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def redrive(self, data: st.DataObject) -> None:
        id_ = data.draw(st.sampled_from(sorted(self.models)))
        model = self.models[id_]
        if model.status in ("error", "dead"):
            self.queue.asked.write(model.tenant, executions.redrive, id_)
            model.queued(self.now_ms)
            model.attempt = model.lost = 0
        else:
            with pytest.raises(Stale):
                self.queue.asked.write(model.tenant, executions.redrive, id_)

    @rule(whose=st.integers(0, 1), most=st.integers(0, 4))
    def sweep(self, whose: int, most: int) -> None:
        """What has not ended stays; at least as many of the others as may be."""
        tenant = self.tenants[whose]
        self.queue.asked.write(tenant, executions.sweep, 0, most)
        left = {one.id for one in self.queue.asked.read(tenant, executions.page, limit=1_000)}
        mine = {id_ for id_, model in self.models.items() if model.tenant is tenant}
        over = {id_ for id_ in mine if self.models[id_].due_ms is None}
        assert left >= mine - over
        assert len(left & over) <= most or not over - left
        self.forget(mine - left)

    def forget(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            del self.models[id_]
        self.rights = [right for right in self.rights if right.id in self.models]
        self.keys = {key: kept for key, kept in self.keys.items() if kept[0] in self.models}

    @invariant()
    def everything_is_as_it_should_be(self) -> None:
        for tenant in self.tenants:
            found = {one.id: one for one in self.queue.asked.read(tenant, executions.page, limit=1_000)}
            wanted = {id_: model.told() for id_, model in self.models.items() if model.tenant is tenant}
            told = {id_: (one.status, one.attempt, one.fencing_token, one.position) for id_, one in found.items()}
            assert wanted == told
        due = [model.due_ms for model in self.models.values() if model.due_ms is not None]
        assert min(due, default=None) == self.queue.due_ms()
        assert self.logged == sum(len(self.queue.asked.events(tenant)) for tenant in self.tenants)


@pytest.mark.slow
def test_the_queue_does_what_its_model_does(asked_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from hypothesis.stateful import run_state_machine_as_test  # noqa: PLC0415

    class Machine(QueueMachine):
        pass

    Machine.asked_of = asked_of
    clocked: list[QueueMachine] = []

    def begin(machine: QueueMachine) -> None:
        clocked[:] = [machine]
        QueueMachine.__init__(machine)

    Machine.__init__ = begin  # type: ignore[method-assign]
    for module in ("executions", "execution_rows"):
        monkeypatch.setattr(f"tenants.{module}.now_ms", lambda: clocked[0].now_ms)
    run_state_machine_as_test(Machine, settings=settings(deadline=None, max_examples=25, stateful_step_count=40))
