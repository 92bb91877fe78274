"""The ways in which Xero refuses a request, as exceptions that know their answer."""

from typing import Any, Self

HTML_404 = b"<html><head><title>404</title></head><body>The resource you're looking for cannot be found</body></html>"


class Refused(Exception):
    """A refusal of the whole request; `status`, `number` and `type` are those of Xero's error
    body.
    """

    status = 400
    number = 0
    type = ""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def body(self) -> dict[str, Any]:
        return {"ErrorNumber": self.number, "Type": self.type, "Message": self.message}


class PostDataInvalid(Refused):
    """A body that cannot be read: not JSON, an invalid date, or text where a number belongs."""

    number = 14
    type = "PostDataInvalidException"


class QueryParse(Refused):
    """A `where`, `order` or other query parameter that cannot be understood."""

    number = 16
    type = "QueryParseException"


class NotImplementedHere(Refused):
    """An endpoint that Xero has and the sandbox does not have."""

    status = 501
    number = 20
    type = "ApiMethodNotImplementedException"


class HighVolume(Refused):
    """A filter over too many records, for which Xero has no index."""

    number = 10
    type = "ValidationException"


class PlainRefusal(Exception):
    """A refusal outside the API's own error format: a status with a plain text."""

    def __init__(
        self, status: int, text: str, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text.encode()
        self.content_type = content_type


class NotFound(PlainRefusal):
    """A record that does not exist. Xero answers 404 in HTML, whatever was requested."""

    def __init__(self) -> None:
        super().__init__(404, HTML_404.decode(), "text/html; charset=utf-8")


class Reason(str):
    """The reason for refusing an element, and its path inside: ("LineItems", 2), ("Contact",
    "Addresses", 0).
    """

    __slots__ = ("place",)
    place: tuple[str | int, ...]

    def __new__(cls, message: str, *place: str | int) -> Self:
        reason = super().__new__(cls, message)
        reason.place = place + getattr(message, "place", ())
        return reason


class Invalid(Exception):
    """An element that breaks Xero's rules, with every reason in the order in which they were
    found.
    """

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)

    @property
    def messages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(str, self.reasons)))

    def at(self, *place: str | int) -> "Invalid":
        """Return the same error as seen from the element that contains this one."""
        return Invalid(*(Reason(reason, *place) for reason in self.reasons))
