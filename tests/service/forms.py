"""What a browser would send of a form that a page shows."""

from __future__ import annotations

from html.parser import HTMLParser


class _Forms(HTMLParser):
    def __init__(self, action: str) -> None:
        super().__init__()
        self._action, self._inside, self._field = action, False, ""
        self.sent: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "form":
            self._inside = told.get("action") == self._action
        name = told.get("name") or ""
        if not self._inside or (not name and tag != "option"):
            return
        if tag == "input" and (told.get("type") not in ("checkbox", "radio") or "checked" in told):
            self.sent.setdefault(name, []).append(told.get("value") or "")
        elif tag in ("select", "textarea"):
            self._field = name
            self.sent.setdefault(name, [""])
        elif tag == "option" and "selected" in told:
            self.sent[self._field] = [told["value"] or ""] if "value" in told else ["\0"]  # its text follows

    def handle_data(self, data: str) -> None:
        if self._field and (self.lasttag == "textarea" or self.sent[self._field] == ["\0"]):
            self.sent[self._field] = [data.removeprefix("\n")]

    def handle_endtag(self, tag: str) -> None:
        if tag in ("select", "textarea"):
            self._field = ""


def filled(page: str, action: str) -> dict[str, list[str]]:
    """Return name -> values of the fields of the form that goes to an address."""
    found = _Forms(action)
    found.feed(page)
    assert found.sent, f"the page has no form for {action}"
    return found.sent
