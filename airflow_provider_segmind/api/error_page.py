"""What a person would read of an HTML error page, as gateways and proxies send them."""

from __future__ import annotations

from html.parser import HTMLParser


def page_text(text: str) -> str:
    """Return the words of a page, each text once; empty if its markup cannot be read."""
    page = _PageText()
    try:
        page.feed(text)
    except (AssertionError, ValueError):  # what the parser raises at markup that it gives up on
        return ""
    return " ".join(page.parts)


class _PageText(HTMLParser):
    """Collects the words of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden = tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        words = data.strip()
        if words and not self._hidden and words not in self.parts:
            self.parts.append(words)
