"""Texts of a source that look like secrets. What they say never gets into a finding."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import Any

from sandbox.places import Doubt

_SHAPES = {  # quantifiers are exact or bounded: a hostile text takes no longer than an honest one
    "a Stripe key": r"\b[sr]k_live_[0-9A-Za-z]{12}",
    "a SendGrid key": r"\bSG\.[\w-]{16,64}\.[\w-]{16}",
    "a Slack token": r"\bxox[abeoprs]-[0-9A-Za-z-]{10}",
    "a Slack webhook address": r"\bhooks\.slack\.com/(?:services|workflows)/\w{6,40}/\w{6}",
    "an AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "a GitHub token": r"\b(?:gh[opsur]_[0-9A-Za-z]{30}|github_pat_\w{22})",
    "a private key": r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY-----",
    "a JSON Web Token": r"\beyJ[\w-]{8,400}\.eyJ[\w-]{8,400}\.[\w-]{8}",
    "credentials of an Authorization header": r"\b(?:Basic|Bearer) {1,3}[\w.~+/-]{16}",
}
_ANY_SHAPE = re.compile("|".join(f"(?P<s{place}>{shape})" for place, shape in enumerate(_SHAPES.values())))
_WHAT = tuple(_SHAPES)
_AROUND = 60  # characters after the begin of a match that decide whether it is a placeholder

_TELLING_NAME = re.compile(
    r"(?i)passw(?:or)?d|passphrase|secret|token|api[_-]?key|(?:access|private|signing|auth)[_-]?key|authorization|credential"
)
_PLACEHOLDER = re.compile(
    r"(?i)x{3}|\.{3}|…|\*{3}|0{6}|<|>|\{|\$\(|change[_ -]?me|example|placeholder|your|dummy|secrets\.|12345678"
)
_LEAST_CHARS = 12  # of a literal that is taken for a secret by its name alone
_HINT = "keep it as a secret of the hook and read context.webtask.secrets.NAME"


def secret_literals(nodes: Sequence[ast.AST]) -> Iterator[Doubt]:
    """Literals that have the shape of a known token, or a name that says what they are."""
    told: set[ast.AST] = set()
    likely: dict[ast.AST, bool] = {}  # each text is read once, whatever has it
    for node in nodes:
        if isinstance(node, ast.Constant) and (what := _shape_of(_text(node))):
            told.add(node)
            yield Doubt(node, "secret-literal", f"this looks like {what}", _HINT)
    for node in nodes:
        for name, value in _named(node):
            if value in told or not isinstance(value, ast.Constant) or not _TELLING_NAME.search(name):
                continue
            if value not in likely:
                likely[value] = _is_likely(_text(value))
            if likely[value]:
                told.add(value)
                yield Doubt(value, "secret-literal", f"this looks like the value of {name[:60]!r}", _HINT)


def _text(node: ast.Constant) -> str:
    if isinstance(node.value, bytes):
        return node.value.decode("latin-1")
    return node.value if isinstance(node.value, str) else ""


def _shape_of(text: str) -> str | None:
    for match in _ANY_SHAPE.finditer(text) if len(text) >= _LEAST_CHARS else ():
        if not _PLACEHOLDER.search(text, match.start(), match.start() + _AROUND):
            return _WHAT[int(str(match.lastgroup)[1:])]
    return None


def _named(node: Any) -> Iterator[tuple[str, ast.AST]]:
    """(name, value) of what a node gives a name to."""
    match node:
        case ast.Assign():
            yield from ((_name_of(target), node.value) for target in node.targets)
        case ast.AnnAssign(value=ast.expr() as value) | ast.NamedExpr(value=value):
            yield _name_of(node.target), value
        case ast.keyword(arg=str(name)):
            yield name, node.value
        case ast.Dict():
            keys = (key.value if isinstance(key, ast.Constant) else "" for key in node.keys)
            yield from ((key, value) for key, value in zip(keys, node.values, strict=True) if isinstance(key, str))
        case ast.arguments(defaults=[_, *_]):
            positional = [*node.posonlyargs, *node.args]
            defaults = zip(reversed(positional), reversed(node.defaults), strict=False)
            yield from ((argument.arg, value) for argument, value in defaults)


def _name_of(target: Any) -> str:
    match target:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(value=str(name))):
            return str(name)
        case _:
            return ""


def _is_likely(text: str) -> bool:
    """Whether a text may be a secret: long, in one piece, with letters and digits, and no address."""
    if len(text) < _LEAST_CHARS or "://" in text or not text.isascii() or any(map(str.isspace, text)):
        return False
    if not (any(map(str.isdigit, text)) and any(map(str.isalpha, text))) or text.startswith("/"):
        return False
    return not _PLACEHOLDER.search(text)
