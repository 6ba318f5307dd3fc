"""`print` in a hook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_what_is_printed_to_a_file_of_the_hook_s_stands_there_and_not_in_the_log(run_here: Callable[..., Any]) -> None:
    done, logs = run_here(
        "import io\n"
        "class Upper:\n    def __init__(self):\n        self.text = ''\n"
        "    def write(self, text):\n        self.text += text.upper()\n"
        "def hook(user, context, cb):\n"
        "    out, upper = io.StringIO(), Upper()\n"
        "    print('line', 1, file=out)\n    print('a', 'b', sep='-', end='', file=upper)\n    print('told')\n"
        "    cb(None, [out.getvalue(), upper.text])\n"
    )

    assert b'["line 1\\n","A-B"]' == done.result
    assert ["told"] == [log.text for log in logs]


def test_what_is_no_file_is_the_hook_s_mistake(run_here: Callable[..., Any]) -> None:
    done, _ = run_here("def hook(user, context, cb):\n    print('a', file=5)\n")

    assert ("raised", True) == (done.status, "'int' object has no attribute 'write'" in done.message)
