"""The language card of docs/hooks.md: tables of what a hook may write, from the snippets, the policy and the map.

`make card` writes it anew; tests/language/test_card.py fails when the page says anything else. The text is the same
whatever Python makes it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from corpus import PARAMETERS, Refusal, Snippet, concrete_nodes, read, refusals, snippets, version

from sandbox import require, vocabulary
from sandbox.compiler import check

PAGE = Path(__file__).resolve().parents[2] / "docs/hooks.md"
BEGIN = "<!-- the language card: written by `make card`, not by hand -->"
END = "<!-- end of the language card -->"
THEMES = {
    "statements": "Statements",
    "expressions": "Expressions",
    "text": "Texts",
    "patterns": "match",
    "functions": "Functions",
    "classes": "Classes",
    "exceptions": "Errors",
    "newer": "From newer Pythons",
    "hook": "What a hook has beside",
}
HEADINGS = {"form": "form", "example": "example", "value": "`value` as JSON"}
NEWER_ERRORS = {"PythonFinalizationError": "3.13"}
_LIVELY = re.compile(r"[\\`*_|~@\[\]]|:(?=//)")  # what Markdown would not leave as it is


_CELL = re.compile(r"\| ((?:\\.|[^|\\])*) (?=\|)")  # of a row of a table


def card() -> str:
    """The whole card, between its markers."""
    shown = [snippet for snippet in snippets() if snippet.card]
    for snippet in shown:
        _assert_accepted(snippet)
    parts = [
        "## The language card",
        "Every row is run by the tests: `value` is what the example leaves there, in a hook as in plain Python.",
        _share(),
        *_themes(shown),
        "### Refused",
        _table(("form", "example", "the check says", "because"), map(_refusal_row, refusals())),
        *_builtins(shown),
        *_modules(shown),
    ]
    return "\n\n".join([BEGIN, *parts, END])


def _assert_accepted(snippet: Snippet) -> None:
    found = check(snippet.hook, PARAMETERS).diagnostics if snippet.runs_here else ()
    assert not found, f"{snippet.form} is on the card, and is refused: {found}"


def _share() -> str:
    """Of how many kinds of nodes a file is made, and how many a hook may use; for each Python that adds some."""
    newer: dict[str, list[str]] = read("refused.yaml")["newer"]
    refused = {refusal.node for refusal in refusals() if refusal.node}
    kinds = concrete_nodes() - set(read("refused.yaml")["never"]) - set().union(*newer.values())
    said = []
    for release in ("3.11", *sorted(newer, key=version)):
        kinds |= set(newer.get(release, ()))
        accepted = len(kinds - refused)
        said.append(f"{accepted} of {len(kinds)} ({accepted / len(kinds):.0%}) in Python {release}")
    names = ", ".join(f"`{name}`" for name in sorted(refused))
    return f"Of the node types that a file is made of (`ast`), a hook may use {'; '.join(said)}. The others: {names}."


def _themes(shown: list[Snippet]) -> Iterator[str]:
    for theme, title in THEMES.items():
        yield f"### {title}"
        rows = (_row(snippet) for snippet in shown if snippet.theme == theme)
        yield _table(tuple(HEADINGS.values()), rows)


def _row(snippet: Snippet) -> tuple[str, ...]:
    return _form(snippet), example(snippet.code), example(json.dumps(snippet.value, ensure_ascii=False))


def _form(snippet: Snippet) -> str:
    since = "" if snippet.since == "3.11" else f" (from Python {snippet.since})"
    return _lifeless(snippet.form) + since


def _refusal_row(refusal: Refusal) -> tuple[str, ...]:
    if refusal.error:
        says = f"nothing; it raises `{refusal.error}`"
    else:
        found = check(refusal.hook, PARAMETERS).diagnostics
        assert found, f"{refusal.form} is on the card as refused, and is accepted"
        says = _lifeless(found[0].message)
    return _lifeless(refusal.form), example(refusal.code), says, _lifeless(refusal.reason)


def _builtins(shown: list[Snippet]) -> Iterator[str]:
    yield "### Builtins"
    rows = ((f"`{one.form}`", *_row(one)[1:]) for one in shown if one.theme == "builtins")
    yield _table(("name", "example", HEADINGS["value"]), rows)
    kinds = [name for name in vocabulary.EXCEPTIONS if not name.startswith("_") and name not in NEWER_ERRORS]
    newer = (f"`{name}` (from Python {since})" for name, since in NEWER_ERRORS.items())
    yield f"And the errors: {_listed(kinds)}, {', '.join(newer)}."
    yield "### Builtins left out"
    left_out: dict[str, list[str]] = {}
    for name, reason in vocabulary.LEFT_OUT.items():
        left_out.setdefault(reason, []).append(name)
    yield _table(("names", "because"), ((_listed(names), _lifeless(reason)) for reason, names in left_out.items()))


def _modules(shown: list[Snippet]) -> Iterator[str]:
    yield "### Modules"
    rows = (
        (f"`{name}`", _listed(_offered(name)), example(_example_of(name, shown).code)) for name in require.MODULE_MAP
    )
    yield _table(("module", "offers", "example"), rows)
    yield "### Names left out of modules"
    without = (
        (f"`{module}.{name}`", _lifeless(reason))
        for module, entry in require.MODULE_MAP.items()
        for name, reason in entry.get("without", {}).items()
    )
    yield _table(("name", "because, or instead"), without)
    yield "### Modules left out"
    left_out: dict[tuple[str, str], list[str]] = {}
    for name, (reason, instead) in getattr(require, "LEFT_OUT_MODULES", {}).items():
        left_out.setdefault((reason, instead), []).append(name)
    grouped = ((_listed(names), _lifeless(why), _lifeless(instead)) for (why, instead), names in left_out.items())
    yield _table(("modules", "because", "instead"), grouped)


def _offered(module: str) -> list[str]:
    """All names of the map, also those that the running Python lacks."""
    entry = require.MODULE_MAP[module]
    return sorted({*entry.get("names", ()), *require.names_of(module)})


def _example_of(module: str, shown: list[Snippet]) -> Snippet:
    return next(snippet for snippet in shown if snippet.module == module)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, ("---",) * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def example(code: str) -> str:
    """Code in a cell: one line as it is, several as a block, each character itself."""
    code = code.rstrip("\n")
    if not any(lively in code for lively in ("\n", "`", "](")):
        return f"`{code}`".replace("|", "\\|")
    return f"<pre>{'<br>'.join(map(_lifeless, code.splitlines()))}</pre>"


def _lifeless(text: str) -> str:
    """`text` with nothing in it that Markdown or HTML reads."""
    return _LIVELY.sub(r"\\\g<0>", html.escape(text, quote=False)).replace("\\](", "&#93;(")  # no link


def code_in(cell: str) -> str | None:
    """The code that `example` put into a cell, if it did."""
    cell = cell.strip()
    if cell.startswith("<pre>"):
        text = cell.removeprefix("<pre>").removesuffix("</pre>").replace("<br>", "\n")
        return html.unescape(re.sub(r"\\(.)", r"\1", text))
    return cell[1:-1].replace("\\|", "|") if cell.startswith("`") and cell.endswith("`") else None


def rows_in(text: str) -> list[list[str]]:
    """The cells of all tables, without their headings."""
    rows = [_CELL.findall(line) for line in text.splitlines() if line.startswith("| ")]
    ruled = {place for place, cells in enumerate(rows) if set(cells[0].strip()) == {"-"}}
    return [cells for place, cells in enumerate(rows) if not {place, place + 1} & ruled]


def main() -> None:
    """Put the card into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text[: text.index(BEGIN)], text[text.index(END) + len(END) :]
    PAGE.write_text(before + card() + after, encoding="utf-8")


if __name__ == "__main__":
    main()
