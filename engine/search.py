r"""The search language of GET /api/v2/logs: a subset of Lucene's, parsed into a tree of tenants/log_search.py.

    type:sapi AND description:"create a hook"       fields, phrases
    ip:10.0.* -user_name:ann? !type:fcph            wildcards; prohibited terms, also as NOT
    +hook secret                                    required and optional terms: without an operator any may match
    date:[2026-11-01 TO 2026-11-30}                 ranges of date and log_id; one side open: *, >, >=, <, <=
    type:(fcph OR fpurh)                            groups, of one field too
    description:50\%\*                                a backslash takes a character's meaning away

NOT binds closest, then AND, then OR, then terms side by side. A term without a field is looked for in seven fields.
Written by hand, not with a library: any text whatever must end in a tree or in BadSearch, which says where and what.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from engine.errors import BadInput
from tenants.log_search import BARE, FIELDS, RANGED, Bound, Every, Not, Range, Search, Some, Text, Wild

_MOST_CHARS = 2_000
_MOST_DEPTH = 20  # of groups and signs, one in another
_MOST_COMPARED = 70  # fields with a text, each for every event: a term without a field is seven of them
_STRANGE = re.compile(r"[\0\ud800-\udfff]")
_SPACE = re.compile(r"\s*")
_OPERATORS = {  # a word is one only when it stands alone
    "AND": re.compile(r"""AND(?=[\s()"]|$)|&&"""),
    "OR": re.compile(r"""OR(?=[\s()"]|$)|\|\|"""),
    "-": re.compile(r"""NOT(?=[\s()"]|$)|!|-"""),
    "+": re.compile(r"\+"),
}
_FIELD = re.compile(r"([A-Za-z_$][\w.$]*):\s*")
_COMPARED = re.compile(r"(>=|<=|>|<)\s*")
_RANGE = re.compile(r"""([\[{])\s*([^\s\[\]{}"]+|"[^"]*")\s+TO\s+([^\s\[\]{}"]+|"[^"]*")\s*([\]}])""")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_WORD = re.compile(r'(?:[^\s()\[\]{}"~^\\]|\\.)+', re.DOTALL)
_PIECE = re.compile(r"\\(.)|([*?])|([^\\*?]+)", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_MISSING = "A term is missing"
_DATE = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{3}))?)?)?(?:Z|\+00:00)?)?)?)?", re.ASCII
)
_LENGTHS = {  # of what a date names, by how many of its parts are given; of months and years, see _after
    3: timedelta(days=1),
    4: timedelta(hours=1),
    5: timedelta(minutes=1),
    6: timedelta(seconds=1),
    7: timedelta(milliseconds=1),
}
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BadSearch(BadInput):
    """The search is not in the search language."""

    code = "invalid_query_string"

    def __init__(self, at: int, what: str) -> None:
        where = f"{what}, at character {at + 1}"
        super().__init__(f"Query validation error: '{where}' on property q (Search in a subset of Lucene's syntax).")


@dataclass(frozen=True, slots=True)
class _Clause:
    """One of the terms side by side."""

    sign: str  # "+" required, "-" prohibited, "" neither
    search: Search

    def alone(self) -> Search:
        """What it means beside AND and OR."""
        return Not(self.search) if self.sign == "-" else self.search


def parse_search(text: str) -> Search | None:
    """The tree of this text; None for none. Raises BadSearch."""
    if len(text) > _MOST_CHARS:
        raise BadSearch(_MOST_CHARS, f"The search is longer than {_MOST_CHARS} characters")
    if strange := _STRANGE.search(text):
        raise BadSearch(strange.start(), "A character that no text may have")
    parser = _Parser(text)
    if parser.peek() == "":
        return None
    search = parser.sequence(None)
    if parser.peek():
        raise parser.wrong(f"Unexpected {parser.peek()}")
    return search


class _Parser:
    """A text and how far it has been read; descends as the grammar does, to a bounded depth."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._compared_fields = 0

    def wrong(self, what: str) -> BadSearch:
        """What is wrong where the parser stands."""
        return BadSearch(self._at, what)

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        self._take(_SPACE)
        return self._text[self._at : self._at + 1]

    def sequence(self, field: str | None) -> Search:
        """Terms side by side: all required ones, else one of the optional; none of the prohibited."""
        clauses = [self._either(field)]
        while self.peek() not in ("", ")"):
            clauses.append(self._either(field))
        required = [clause.search for clause in clauses if clause.sign == "+"]
        optional = [clause.search for clause in clauses if not clause.sign]
        prohibited: list[Search] = [Not(clause.search) for clause in clauses if clause.sign == "-"]
        wanted = required or ([_joined(Some, optional)] if optional else [])
        return _joined(Every, wanted + prohibited)

    def _either(self, field: str | None) -> _Clause:
        clauses = [self._both(field)]
        while self._takes("OR"):
            clauses.append(self._both(field))
        return clauses[0] if len(clauses) == 1 else _Clause("", Some(tuple(each.alone() for each in clauses)))

    def _both(self, field: str | None) -> _Clause:
        clauses = [self._clause(field)]
        while self._takes("AND"):
            clauses.append(self._clause(field))
        return clauses[0] if len(clauses) == 1 else _Clause("", Every(tuple(each.alone() for each in clauses)))

    def _clause(self, field: str | None) -> _Clause:
        sign = next((sign for sign in "+-" if self._takes(sign)), "")
        if sign:
            with self._deeper():
                return _Clause(sign, self._clause(field).alone())
        if not self.peek() or self._takes("AND") or self._takes("OR"):
            raise self.wrong(_MISSING)
        return _Clause("", self._term(field))

    def _term(self, field: str | None) -> Search:
        start = self._at
        if named := self._take(_FIELD):
            field = named[1]
            if field not in FIELDS:
                raise BadSearch(
                    start, f"{field} is no field that can be searched; they are {', '.join(sorted(FIELDS))}"
                )
        if self.peek() == "(":
            return self._group(field)
        self._compared_fields += 1 if field else len(BARE)
        if self._compared_fields > _MOST_COMPARED:
            raise self.wrong("There are too many terms")
        if self.peek() and self.peek() in "[{":
            return self._range(field)
        if field in RANGED and (compared := self._take(_COMPARED)):
            return self._compared(str(field), compared[1])
        return self._text_of(field)

    def _group(self, field: str | None) -> Search:
        opened = self._at
        self._at += 1
        with self._deeper():
            if self.peek() in ("", ")"):
                raise self.wrong(_MISSING)
            search = self.sequence(field)
        if self.peek() != ")":
            raise BadSearch(opened, "The group is not closed")
        self._at += 1
        return search

    def _range(self, field: str | None) -> Search:
        start = self._at
        if field not in RANGED:
            raise self.wrong(f"A range is of {' or '.join(sorted(RANGED))} only")
        read = self._take(_RANGE)
        if not read:
            raise self.wrong("A range is written [least TO most] or {above TO below}")
        lower = _bound(field, read[2], start, ">=" if read[1] == "[" else ">")
        upper = _bound(field, read[3], start, "<=" if read[4] == "]" else "<")
        return Range(field, lower, upper)

    def _compared(self, field: str, operator: str) -> Search:
        start = self._at
        read = self._take(_QUOTED) or self._take(_WORD)
        if not read:
            raise self.wrong(_MISSING)
        bound = _bound(field, read[0], start, operator)
        return Range(field, bound, None) if ">" in operator else Range(field, None, bound)

    def _text_of(self, field: str | None) -> Search:
        start = self._at
        pieces = self._pieces()
        if field == "date":
            return _day(pieces, start)
        if field:
            return Text(field, pieces)
        return Some(tuple(Text(name, pieces) for name in BARE))

    def _pieces(self) -> tuple[str | Wild, ...]:
        if self.peek() == "/":
            raise self.wrong("Regular expressions are not supported; a backslash before the / takes its meaning away")
        if quoted := self._take(_QUOTED):
            return (_ESCAPED.sub(r"\1", quoted[1]),)
        word = self._take(_WORD)
        if not word:
            raise self.wrong(self._no_word())
        return _pieces_of(word[0])

    def _no_word(self) -> str:
        match self.peek():
            case "":
                return _MISSING
            case '"':
                return "The quotation is not closed"
            case "\\":
                return "A backslash stands at the end"
            case found:
                return f"Unexpected {found}; a backslash before it takes its meaning away"

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise self.wrong(f"The search is nested deeper than {_MOST_DEPTH}")
        yield
        self._depth -= 1

    def _takes(self, operator: str) -> bool:
        self._take(_SPACE)
        return self._take(_OPERATORS[operator]) is not None

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        taken = pattern.match(self._text, self._at)
        if taken:
            self._at = taken.end()
        return taken


def _joined(kind: type[Every | Some], parts: list[Search]) -> Search:
    return parts[0] if len(parts) == 1 else kind(tuple(parts))


def _pieces_of(word: str) -> tuple[str | Wild, ...]:
    """Literal texts and wildcards in turn; one `*` for several."""
    pieces: list[str | Wild] = []
    for escaped, wild, literal in _PIECE.findall(word):
        text = escaped or literal
        if wild:
            if not (wild == "*" and pieces[-1:] == [Wild.ANY]):
                pieces.append(Wild(wild))
        elif pieces and isinstance(last := pieces[-1], str):
            pieces[-1] = last + text
        else:
            pieces.append(text)
    return tuple(pieces)


def _day(pieces: tuple[str | Wild, ...], at: int) -> Search:
    """All of the day, the month, the second … that a date names; `date:*` is every event."""
    if pieces == (Wild.ANY,):
        return Range("date", None, None)
    first, last = _moments("".join(piece.value if isinstance(piece, Wild) else piece for piece in pieces), at)
    return Range("date", Bound(first, included=True), Bound(last, included=True))


def _bound(field: str, text: str, at: int, operator: str) -> Bound | None:
    """None: no bound. A date's own length counts: `<= 2026-11` is until the end of November, `< 2026-11` before it."""
    text = _ESCAPED.sub(r"\1", text.strip('"'))
    if text == "*":
        return None
    included = "=" in operator
    if field != "date":
        return Bound(text, included=included)
    first, last = _moments(text, at)
    return Bound(first if operator in (">=", "<") else last, included=included)


def _moments(text: str, at: int) -> tuple[int, int]:
    """First and last millisecond of what the date names."""
    read = _DATE.fullmatch(text)
    parts = [int(part) for part in read.groups() if part] if read else []
    try:
        first = datetime(*_padded(parts), tzinfo=UTC)
        after = _after(first, len(parts))
    except (ValueError, OverflowError, TypeError):
        raise BadSearch(at, f"{text[:40]} is not a date: YYYY-MM-DD, with THH:MM:SS.mmmZ if you like, in UTC") from None
    return (first - _EPOCH) // _MILLISECOND, (after - _EPOCH) // _MILLISECOND - 1


def _padded(parts: list[int]) -> tuple[int, int, int, int, int, int, int]:
    year, month, day, hour, minute, second, ms = (*parts, *(0, 1, 1, 0, 0, 0, 0)[len(parts) :])
    return year, month, day, hour, minute, second, ms * 1_000


def _after(first: datetime, given: int) -> datetime:
    """Where the next such unit begins."""
    if given == 1:
        return first.replace(year=first.year + 1)
    if given == 2:
        return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first + _LENGTHS[given]
