"""Formatting: C code that reads attributes for whoever writes the template."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.outcome import Outcome

TEMPLATES = {
    "past the class": "'{0.__class__.__mro__}'.format(user)",
    "past the name of the class": "'{0.__class__.__name__.__class__.__subclasses__}'.format(user)",
    "keyword": "'{u.__globals__}'.format(u=hook)",
    "chain": "'{0.__init__.__globals__}'.format(Error)",
    "past a method": "'{0.__len__.__self__}'.format(user)",
    "item then attribute": "'{0[0].__globals__}'.format([hook])",
    "attribute then item": "'{0.__globals__[json]}'.format(hook)",
    "globals of cb": "'{0.__globals__}'.format(cb)",
    "conversion": "'{0.__globals__!r}'.format(cb)",
    "nested in the spec": "'{0:{1.__globals__}}'.format(1, cb)",
    "format_map": "'{u.__globals__}'.format_map({'u': cb})",
    "frame": "'{0.gi_frame}'.format(x for x in ())",
    "mro": "'{0.mro}'.format(int)",
    "through getattr": "getattr('{0.__globals__}', 'format')(cb)",
    "through map": "list(map('{0.__globals__}'.format, [cb]))",
    "through partial": "require('functools').partial('{0.__globals__}'.format)(cb)",
    "joined": "('{0.__glo' + 'bals__}').format(cb)",
    "of a subclass": "Text('{0.__globals__}').format(cb)",
    "of a subclass by getattr": "getattr(Text('{0.__globals__}'), 'format')(cb)",
    "unbound": "str.format('{0.__globals__}', cb)",
    "unbound map": "str.format_map('{u.__globals__}', {'u': cb})",
    "unbound of a subclass": "Text.format('{0.__globals__}', cb)",
    "unbound by getattr": "getattr(str, 'format')('{0.__globals__}', cb)",
    "unbound by map": "list(map(str.format, ['{0.__globals__}'], [cb]))",
    "unbound by partial": "require('functools').partial(str.format, '{0.__globals__}')(cb)",
    "unbound by reduce": "require('functools').reduce(str.format, [cb], '{0.__globals__}')",
    "called by its own call": "str.format.__call__('{0.__globals__}', cb)",
    "a method of a class": "Kept().shown(cb)",
    "an alias of a method": "Kept.shown('{0.__globals__}', cb)",
    "a property": "Kept().held('{0.__globals__}', cb)",
    "a field of a class": "Kept.made('{0.__globals__}', cb)",
    "through super": "Text('{0.__globals__}').through(cb)",
    "map through super": "Text('{x.__globals__}').mapped(x=cb)",
    "through a descriptor": "Text('{0.__globals__}').own(cb)",
    "as the format of an object": "format(Shown(), '{0.__globals__}')",
    "as the format of a field": "'{0:x}'.format(Shown())",
    "a second round": "'{0.template}'.format(Shown()).format(cb)",
    "a text that is another": "Twice('{}').format(cb)",
}
RUN_TIME = {  # judged by whose it is
    "past the class of a function": "'{0.__class__.__dict__}'.format(hook)",
    "past the class of a facade": "'{0.__class__.offered}'.format(require('json'))",
    "dict of a facade": "'{0.__dict__}'.format(require('json'))",
    "dict of a class": "'{0.__dict__}'.format(Error)",
    "method in the dict of a class": "'{0.__dict__[format]}'.format(str)",
    "dict of an argument": "'{0.__dict__}'.format(user)",
    "private": "'{0._send}'.format(console)",
    "private unbound": "str.format('{0._send}', console)",
    "private of a facade": "'{0._title}'.format(require('json'))",
    "private of an argument": "'{0._x}'.format(user)",
    "object of an error": "'{0.obj}'.format(AttributeError())",
    "register": "'{0.register}'.format(require('typing').Mapping)",
}
BEFORE = """
class Text(str):
    own = str.format
    def through(self, *given):
        return super().format(*given)
    def mapped(self, **given):
        return super().format_map(given)
class Twice(str):
    def __str__(self):
        return "{0.__globals__}"
    def __format__(self, spec):
        return "{0.__globals__}"
    def __iter__(self):
        return iter("{0.__globals__}")
    def __getitem__(self, place):
        return "{0.__globals__}"[place]
    def format(self, *given):
        return str.format(str(self), *given)
class Kept:
    shown = "{1.__globals__}".format
    made = str.format
    @property
    def held(self):
        return str.format
    def shown(self, given):
        return str.format("{0.__globals__}", given)
Kept.shown = "{0.__globals__}".format
class Shown:
    template = "{0.__globals__}"
    def __format__(self, spec):
        return "{0.__globals__}".format(cb)
"""


@pytest.mark.parametrize("expression", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_a_template_cannot_read_what_the_hook_cannot(reach: Callable[..., Outcome], expression: str) -> None:
    """str.format is no way round the attribute guard, bound, unbound or kept under another name."""
    outcome = reach(expression, before=BEFORE)

    assert outcome.status == "raised"
    assert outcome.message.startswith("AttributeError: a hook may not use the attribute")


@pytest.mark.parametrize("expression", RUN_TIME.values(), ids=RUN_TIME.keys())
def test_a_template_reads_private_and_special_names_as_the_hook_does(
    reach: Callable[..., Outcome], expression: str
) -> None:
    """What an attribute leads to is judged in a field of a template too."""
    outcome = reach(expression, "user['_x'] = 1\n")

    assert outcome.status == "raised"
    assert outcome.message.startswith(
        (
            "AttributeError: '_",
            "AttributeError: a hook may not",
            "AttributeError: type object",
            "AttributeError: there is no field",
            "TypeError: vars() is",
        )
    )


def test_an_unbound_format_formats(attack: Callable[..., Outcome], hook_of: Callable[..., str]) -> None:
    """What a hook gets for `str.format` does what it should, with what is public and its own."""
    body = """
    class Own:
        def __init__(self):
            self._x = 1
            self.y = [2]
    given = ["{0.email} {0.__class__.__name__}", "{0._x} {0.y[0]} {0.__dict__[_x]}"]
    cb(None, [str.format(given[0], user)[-4:], str.format(given[1], Own()), str.format_map("{a}", {"a": 1})])
    """
    outcome = attack(hook_of(body))

    assert ("ok", ["dict", "1 2 1", "1"]) == (outcome.status, outcome.value())


@pytest.mark.parametrize("text", ["5", "None", "b'{}'", "['{0.__globals__}']", "Text", "Sly()"])
def test_a_format_is_of_a_text(reach: Callable[..., Outcome], text: str) -> None:
    """The first argument of the unbound method is a text by its type, whatever it says of itself."""
    before = "class Text(str):\n    pass\nclass Sly:\n    def __getattr__(self, name):\n        return str\n"
    outcome = reach(f"str.format({text}, cb)", before=before)

    assert ("raised", True) == (outcome.status, outcome.message.startswith("TypeError: a format is a text, not a "))


@pytest.mark.parametrize("name", ["Formatter", "formatter_parser"])
def test_string_formatter_is_not_offered(reach: Callable[..., Outcome], name: str) -> None:
    """string.Formatter().get_field returns live objects."""
    outcome = reach(name, before=f"from string import {name}\n")

    assert ("rejected", "import") == (outcome.status, outcome.diagnostics[0].rule)


def test_an_f_string_is_checked_like_any_expression(reach: Callable[..., Outcome]) -> None:
    """The expressions in an f-string are part of the tree, those in its format specification too."""
    outcome = reach("f'{user:{user.__class__.__mro__}}'")

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
    assert "raised" == reach("'{.__globals__}'.format(cb)").status
    assert "raised" == reach("'{}{.__globals__}'.format(1, cb)").status
    assert "raised" == reach("'{[0].__globals__}'.format([cb])").status
