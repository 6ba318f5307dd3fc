"""What things of ours are called in the texts that a hook gets to see."""

from __future__ import annotations

import pytest

from sandbox.naming import stands_for


@stands_for("dict")
class Ours(dict):
    """Of ours."""

    name = "kept"

    def method(self) -> None:
        """Of ours too."""


@stands_for("cb")
def callback() -> None:
    """Of ours."""


def test_a_class_is_told_by_the_name_it_stands_for() -> None:
    assert ("<class 'dict'>", "dict", "dict", "builtins") == (
        repr(Ours),
        Ours.__name__,
        Ours.__qualname__,
        Ours.__module__,
    )
    with pytest.raises(TypeError, match=r"^'dict' object is not callable$"):
        Ours()()
    assert "kept" == Ours.name


@pytest.mark.parametrize(
    ("function", "name"), [(callback, "cb"), (Ours.method, "dict.method"), (Ours().method, "dict.method")]
)
def test_a_function_is_told_by_it_in_what_a_wrong_call_says(function: object, name: str) -> None:
    """Without the module that it stands in."""
    with pytest.raises(TypeError, match=rf"^{name}\(\) takes") as counted:
        function(1, 2, 3)
    with pytest.raises(TypeError, match=rf"^{name}\(\) argument after \*"):
        function(*5)

    assert "sandbox" not in str(counted.value) + repr(function)
