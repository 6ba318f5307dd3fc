from __future__ import annotations

import html.parser
from typing import Any

import pytest

from engine.api.docs_page import page_of

HARMLESS = {"href", "rel", "id", "class", "lang", "charset", "name", "content", "scope", "tabindex", "aria-label"}


class Page(html.parser.HTMLParser):
    """What a page is made of."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def values(self, name: str) -> list[str]:
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


@pytest.fixture(scope="module")
def page(server: Any) -> Page:
    return Page(server.ask("GET", "/docs", "").text)


def test_the_page_may_load_its_own_style_and_nothing_else(server: Any) -> None:
    answer = server.ask("GET", "/docs", "")

    assert (200, "text/html; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert (
        "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        == answer.headers["content-security-policy"]
    )
    assert "nosniff" == answer.headers["x-content-type-options"]


def test_the_style_is_there(server: Any, page: Page) -> None:
    (link,) = [attributes for tag, attributes in page.tags if tag == "link"]
    answer = server.ask("GET", f"/{link['href']}", "")

    assert (200, "text/css; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert "prefers-color-scheme: dark" in answer.text


def test_the_page_has_no_script_and_nothing_that_comes_from_elsewhere(page: Page) -> None:
    assert {"script", "iframe", "img", "object", "form", "style"}.isdisjoint(tag for tag, _ in page.tags)
    assert set() == {name for _, attributes in page.tags for name in attributes} - HARMLESS
    assert [] == [value for value in page.values("href") if ":" in value]


def test_every_tag_is_closed(page: Page) -> None:
    assert [] == page.open


def test_every_link_within_the_page_leads_somewhere(page: Page) -> None:
    ids = page.values("id")

    assert len(ids) == len(set(ids))
    assert set() == {value[1:] for value in page.values("href") if value.startswith("#")} - set(ids)


def test_every_route_is_shown_with_a_line_for_a_shell(server: Any, page: Page) -> None:
    document = server.ask("GET", "/openapi.json", "").json()
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert path in page.text
            assert operation["summary"] in page.text
    assert page.text.count("From a shell") == sum(len(methods) for methods in document["paths"].values())
    assert "curl -X PUT" in page.text


def test_what_the_document_says_is_text_and_never_markup(server: Any) -> None:
    document = server.ask("GET", "/openapi.json", "").json()
    hostile = "<script>alert(1)</script> `<b onclick=x>` &amp;"
    operation = document["paths"]["/v1/points"]["get"]
    operation["summary"] = operation["description"] = document["info"]["title"] = hostile
    made = Page(page_of(document))

    assert "script" not in {tag for tag, _ in made.tags}
    assert "b" not in {tag for tag, _ in made.tags}
    assert hostile.replace("`", "") in made.text
