"""Formatting: C code that reads attributes for whoever writes the template."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

TEMPLATES = {
    "format": "'{0.__class__}'.format(user)",
    "keyword": "'{u.__class__}'.format(u=user)",
    "chain": "'{0.__init__.__globals__}'.format(Error)",
    "item then attribute": "'{0[0].__class__}'.format([user])",
    "private": "'{0._send}'.format(console)",
    "globals of cb": "'{0.__globals__}'.format(cb)",
    "conversion": "'{0.__class__!r}'.format(user)",
    "nested in the spec": "'{0:{1.__class__}}'.format(1, user)",
    "format_map": "'{u.__class__}'.format_map({'u': user})",
    "frame": "'{0.gi_frame}'.format(x for x in ())",
    "mro": "'{0.mro}'.format(int)",
    "through getattr": "getattr('{0.__class__}', 'format')(user)",
    "through map": "list(map('{0.__class__}'.format, [user]))",
    "through partial": "require('functools').partial('{0.__class__}'.format)(user)",
    "joined": "('{0.__cla' + 'ss__}').format(user)",
    "of a subclass": "Text('{0.__class__}').format(user)",
    "of a subclass by getattr": "getattr(Text('{0.__class__}'), 'format')(user)",
}


@pytest.mark.parametrize("expression", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_a_template_cannot_read_what_the_hook_cannot(reach: Callable[..., Outcome], expression: str) -> None:
    """str.format is no way round the attribute guard."""
    outcome = reach(expression, before="class Text(str):\n    pass\n")

    assert outcome.status == "raised"
    assert outcome.message.startswith("AttributeError: a hook may not use the attribute")


@pytest.mark.parametrize("expression", ["str.format", "str.format_map", "Text.format", "getattr(str, 'format')"])
def test_the_unbound_format_is_refused(reach: Callable[..., Outcome], expression: str) -> None:
    """The C function itself, to be called on a template later, is not handed out."""
    outcome = reach(f"{expression}('{{0.__class__}}', user)", before="class Text(str):\n    pass\n")

    assert outcome.status == "raised"
    assert "on a text, not on the class" in outcome.message


@pytest.mark.parametrize("name", ["Formatter", "formatter_parser"])
def test_string_formatter_is_not_offered(reach: Callable[..., Outcome], name: str) -> None:
    """string.Formatter().get_field returns live objects."""
    outcome = reach(name, before=f"from string import {name}\n")

    assert ("rejected", "import") == (outcome.status, outcome.diagnostics[0].rule)


def test_an_f_string_is_checked_like_any_expression(reach: Callable[..., Outcome]) -> None:
    """The expressions in an f-string are part of the tree, those in its format specification too."""
    outcome = reach("f'{user:{user.__class__}}'")

    assert ("rejected", "attribute") == (outcome.status, outcome.diagnostics[0].rule)


def test_percent_formatting_reads_no_attributes(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """`%(name)s` takes an item, whatever the name looks like."""
    outcome = attack(hook_of("cb(None, '%(__class__)s' % {'__class__': 'an item'})"))

    assert ("ok", "an item") == (outcome.status, outcome.value())


def test_a_template_substitutes_names_only(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """string.Template has no fields with dots, also not in a subclass with a pattern of its own."""
    before = """
    from string import Template
    class Dotted(Template):
        idpattern = "[a-z_.]+"
    """
    outcome = attack(hook_of("cb(None, Dotted('$user.__class__').safe_substitute(user=user))", before))

    assert ("ok", "$user.__class__") == (outcome.status, outcome.value())


def test_a_mapping_of_the_hooks_own_sees_only_names(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """format_map asks the mapping for the first name, and the guard for the rest."""
    before = "class Spy(dict):\n    def get(self, *a):\n        return hook\n"
    outcome = attack(hook_of("cb(None, '{h.__globals__}'.format_map(Spy(h=hook)))", before))

    assert "raised" == outcome.status


def test_deep_recursion_in_a_format_specification_ends(
    attack: Callable[..., Outcome], hook_of: Callable[..., str]
) -> None:
    """A specification within a specification within a specification is an error, not a loop."""
    assert attack(hook_of("cb(None, '{0:{0:{0:{0}}}}'.format(1))")).status == "raised"


@pytest.mark.parametrize("template", ["'{:>999999999}'.format(1)", "'%999999999d' % 1", "f'{1:>999999999}'"])
def test_a_width_of_a_billion_runs_out_of_memory_alone(
    attack: Callable[..., Outcome], hook_of: Callable[..., str], template: str
) -> None:
    """A wide field takes the hook's own memory."""
    assert attack(hook_of(f"cb(None, len({template}))")).status == "out_of_memory"


def test_an_automatic_number_before_an_attribute_passes_the_guard_too(reach: Callable[..., Outcome]) -> None:
    """`{.name}` is `{0.name}`."""
    assert "raised" == reach("'{.__class__}'.format(user)").status
