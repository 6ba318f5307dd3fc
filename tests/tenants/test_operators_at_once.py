"""Operators' tokens on two nodes at once: somebody can always come in, and who has been thrown out cannot."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from engine.scopes import OPERATOR
from engine.tokens import Tokens, end_operator, new_token
from tenants import token_rows
from tenants.records import Token
from tenants.rows import Everything
from tenants.store import Store


@pytest.fixture
def nodes(postgres_url: str, opened: Callable[[str], Store]) -> list[Store]:
    """Two stores over one database."""
    return [opened(postgres_url), opened(postgres_url)]


def operator_in(store: Store) -> Token:
    made = new_token(None, "x", [OPERATOR])
    store.write_all(token_rows.create_operator, made.token, made.digest).result(60)
    return made.token


def slowly(change: Callable[..., Any], begun: threading.Event, go_on: threading.Event) -> Callable[..., Any]:
    """A change whose transaction stays open until it may go on."""

    def slow(seen: Any, *args: Any) -> Any:
        made = change(seen, *args)
        begun.set()
        go_on.wait(1)  # the other one may have to wait for us, which is the point
        return made

    return slow


def test_two_nodes_that_end_the_last_two_tokens_leave_one(nodes: list[Store], tmp_path: Any) -> None:
    Tokens(nodes[0]).first_start(tmp_path / "operator.token")
    for old in nodes[0].read_all(token_rows.operators).result(60):
        operator_in(nodes[0])
        operator_in(nodes[0])
        nodes[0].write_all(token_rows.remove_operator, old.id).result(60)
    one, other = nodes[0].read_all(token_rows.operators).result(60)
    begun, go_on = threading.Event(), threading.Event()
    first = nodes[0].write_all(slowly(end_operator, begun, go_on), one.id)
    assert begun.wait(60)
    second: Future[None] = nodes[1].write_all(end_operator, other.id)
    errors = [first.exception(60), second.exception(60)]

    assert [None, "last_operator_token"] == [error and getattr(error, "code", error) for error in errors]
    assert [other.id] == [token.id for token in nodes[0].read_all(token_rows.operators).result(60)]


def test_nobody_ends_a_token_whose_change_is_not_committed_yet(nodes: list[Store]) -> None:
    """What was said to have ended has made its last change before."""
    token = operator_in(nodes[0])
    operator_in(nodes[0])
    begun, go_on = threading.Event(), threading.Event()
    order: list[str] = []
    still = slowly(token_rows.still_operators, begun, go_on)

    def changed(everything: Everything) -> bool:
        valid: bool = still(everything, token, 1)
        order.append("changed")  # not committed yet
        return valid

    change = nodes[0].write_all(changed)
    assert begun.wait(60)
    ended = nodes[1].write_all(end_operator, token.id)
    ended.add_done_callback(lambda _: order.append("ended"))

    assert change.result(60)
    assert ended.result(60) is None
    assert ["changed", "ended"] == order


def test_two_nodes_that_start_first_at_once_have_one_token(nodes: list[Store], tmp_path: Any) -> None:
    """The folder of the other one has no file that is good for nothing."""
    together = threading.Barrier(2)
    started: dict[int, bool] = {}

    def start(number: int) -> None:
        (tmp_path / str(number)).mkdir()
        together.wait(60)
        started[number] = Tokens(nodes[number]).first_start(tmp_path / str(number) / "operator.token")

    threads = [threading.Thread(target=start, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert [False, True] == sorted(started.values())
    assert 1 == len(nodes[0].read_all(token_rows.operators).result(60))
    assert [started[0], started[1]] == [(tmp_path / str(n) / "operator.token").exists() for n in (0, 1)]
