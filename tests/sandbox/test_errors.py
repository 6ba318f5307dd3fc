"""The error classes that a hook has in scope: their names, their family, their own attributes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox import errors


def test_a_hook_finds_the_published_names() -> None:
    assert set(errors.SCOPE) == {
        "Error",
        "InvalidScopeError",
        "InvalidRequestError",
        "ServerError",
        "PreUserRegistrationError",
        "SendPhoneMessageError",
    }


@pytest.mark.parametrize("kind", errors.SCOPE.values(), ids=errors.SCOPE)
def test_each_is_an_error_with_a_message(kind: Any) -> None:
    made = kind("why")

    assert isinstance(made, errors.Error)
    assert ("why", "why", kind.__name__) == (made.message, str(made), type(made).__name__)


@pytest.mark.parametrize("kind", errors.SCOPE.values(), ids=errors.SCOPE)
def test_each_may_be_made_without_a_message(kind: Any) -> None:
    assert kind().message == ""


def test_a_message_is_text_whatever_was_given() -> None:
    assert errors.Error(5).message == "5"
    assert errors.Error(None).message == "None"


@pytest.mark.parametrize("kind", [errors.PreUserRegistrationError, errors.SendPhoneMessageError])
def test_a_friendly_error_has_a_second_text_which_is_the_first_by_default(kind: Any) -> None:
    assert kind("why", "sorry").friendlyMessage == "sorry"
    assert kind("why").friendlyMessage == "why"
    assert kind("why", friendlyMessage=5).friendlyMessage == "5"
    assert kind("why", "").friendlyMessage == ""


def test_own_attributes_can_be_added() -> None:
    error = errors.Error("why")
    error.code = 7

    assert vars(error) == {"message": "why", "code": 7}


@pytest.mark.parametrize("name", errors.SCOPE)
def test_each_stands_in_scope_without_an_import(worker: Any, name: str) -> None:
    """And is told by its name alone, as a class, an instance and a base."""
    body = f"class Own({name}):\n    pass\ncb(None, [str({name}), repr({name}('why')), isinstance(Own('x'), Error), str(Own('x'))])\n"
    done, _ = worker.run(body)

    assert [f"<class '{name}'>", f"{name}('why')", True, "x"] == json.loads(done.result)


def test_a_wrong_call_names_a_class_that_a_hook_knows() -> None:
    with pytest.raises(TypeError, match=r"^Error\.__init__\(\) takes from 1 to 3 positional arguments"):
        errors.SendPhoneMessageError(1, 2, 3)
