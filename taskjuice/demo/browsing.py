"""A visitor without a screen, who opens pages, fills in the forms on them and follows redirects."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import requests

from taskjuice.demo.stages import StageFailed

Fields = list[tuple[str, str]]


@dataclass
class Form:
    action: str
    method: str
    fields: Fields = field(default_factory=list)  # what a browser would send untouched
    choices: dict[str, list[str]] = field(
        default_factory=dict
    )  # of boxes, radios and lists, ticked or not
    buttons: Fields = field(default_factory=list)


class Page(HTMLParser):
    """The forms and links of one answer."""

    def __init__(self, answer: requests.Response) -> None:
        super().__init__()
        self.url = answer.url
        self.status = answer.status_code
        self.text = answer.text
        self.forms: list[Form] = []
        self.links: list[str] = []
        self._form: Form | None = None
        self._select: str | None = None
        self._area: str | None = None
        self._typed: list[str] = []
        self.feed(answer.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            action = urljoin(self.url, given.get("action", "")) if given.get("action") else self.url
            self._form = Form(action, given.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag == "a" and "href" in given:
            self.links.append(urljoin(self.url, given["href"]))
        elif self._form is not None:
            self._control(self._form, tag, given)

    def _control(self, form: Form, tag: str, given: dict[str, str]) -> None:
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "select":
            self._select = name
        elif tag == "textarea":
            self._area, self._typed = name, []
        elif tag == "option" and self._select:
            self._choice(form, self._select, given.get("value", ""), taken="selected" in given)
        elif tag == "button" or kind in {"submit", "image"}:
            form.buttons.append((name, given.get("value", "")))
        elif tag == "input" and name and "disabled" not in given:
            if kind in {"checkbox", "radio"}:
                self._choice(form, name, given.get("value", "on"), taken="checked" in given)
            else:
                form.fields.append((name, given.get("value", "")))

    @staticmethod
    def _choice(form: Form, name: str, value: str, *, taken: bool) -> None:
        form.choices.setdefault(name, []).append(value)
        if taken:
            form.fields.append((name, value))

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._typed.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea" and self._area is not None and self._form is not None:
            self._form.fields.append((self._area, "".join(self._typed)))
            self._area = None

    def form(self, *, action: str = "", having: str = "") -> Form:
        """Return the first form whose action ends so and which has a field, choice or button of
        that name.
        """
        for form in self.forms:
            names = {name for name, _ in form.fields + form.buttons} | form.choices.keys()
            if form.action.split("?")[0].endswith(action) and (not having or having in names):
                return form
        raise StageFailed(f"{self.url} ({self.status}) has no form {action or having}")


class Visitor:
    """One browser session. A page that answers with an error ends the stage."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy between a machine and itself

    def open(self, path: str) -> Page:
        return self._page(self.session.get(urljoin(self.base_url, path), timeout=20))

    def submit(
        self, page: Page, form: Form, button: tuple[str, str] | None = None, **typed: str
    ) -> Page:
        """Send the form as a browser would, with `typed` in place of its values."""
        kept = [(name, value) for name, value in form.fields if name not in typed]
        sent = kept + list(typed.items()) + ([button] if button else [])
        headers = {"Referer": page.url}
        if form.method == "post":
            return self._page(
                self.session.post(form.action, data=sent, headers=headers, timeout=20)
            )
        return self._page(self.session.get(form.action, params=sent, headers=headers, timeout=20))

    def _page(self, answer: requests.Response) -> Page:
        if answer.status_code >= 400:
            method = answer.request.method
            raise StageFailed(
                f"{method} {answer.url} answered {answer.status_code} {answer.reason}"
            )
        return Page(answer)
