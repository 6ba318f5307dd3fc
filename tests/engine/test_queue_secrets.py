"""The durable queue keeps no secret of a hook, whatever the hook answers."""

from __future__ import annotations

from queueing import Place

from tenants.records import Retry

SOON = {"first_ms": 1, "most_ms": 2}  # between two attempts


def test_a_secret_that_a_hook_answers_never_lies_in_the_database(place: Place) -> None:
    """Not between two attempts either: the hooks after it are given it masked, in the first attempt as in others."""
    node, acme = place.node(), place.tenant(multiple_hooks=True)
    first = place.hook(acme, "cb(None, [context.webtask.secrets.KEY, 1])", name="first", order=1)
    place.secret(acme, first, "KEY", "hunter-2-hunter")
    told = "console.log(context.webtask.response)\n"
    retry = Retry(attempts=2, **SOON)
    second = place.hook(acme, f'{told}raise ValueError("never")', name="second", order=2, retry=retry)
    execution_id = place.enqueue(node, acme, first, second)
    dead = place.ended(acme, execution_id)
    (run,) = dead.outcome["hooks"]

    assert ("dead", 2, '["***",1]') == (dead.status, dead.attempt, dead.response)
    assert "***" in run["outcome"]["logs"][0]["text"]
    assert "hunter" not in str(dead)


def test_of_what_has_ended_well_no_answer_is_kept(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, "cb(None, context)")
    place.secret(acme, hook, "KEY", "hunter-2-hunter")
    execution = place.ended(acme, place.enqueue(node, acme, hook))

    assert ("success", "null") == (execution.status, execution.response)
    assert None is execution.outcome["hooks"][0]["outcome"]["result"]
    assert "hunter" not in str(execution)


def test_a_secret_that_names_a_field_of_an_error_never_lies_in_the_database(place: Place) -> None:
    node, acme = place.node(), place.tenant()
    hook = place.hook(acme, 'cb({"message": "no", context.webtask.secrets.KEY: {context.webtask.secrets.KEY: 1}})')
    place.secret(acme, hook, "KEY", "hunter-2-hunter")
    execution = place.ended(acme, place.enqueue(node, acme, hook))
    (run,) = execution.outcome["hooks"]

    assert ("error", "no") == (execution.status, execution.outcome["message"])
    assert {"message", "***"} <= set(run["outcome"]["error"])
    assert "hunter" not in str((execution, place.log(acme)))
