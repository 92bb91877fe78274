"""Every way in which Xero says no, as exceptions that know their answer."""

from typing import Any, Self

HTML_404 = b"<html><head><title>404</title></head><body>The resource you're looking for cannot be found</body></html>"


class Refused(Exception):
    """The whole request is refused; `status`, `number` and `type` as in Xero's error body."""

    status = 400
    number = 0
    type = ""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def body(self) -> dict[str, Any]:
        return {"ErrorNumber": self.number, "Type": self.type, "Message": self.message}


class PostDataInvalid(Refused):
    """The body cannot be read: no JSON, a date that is none, text where a number belongs."""

    number = 14
    type = "PostDataInvalidException"


class QueryParse(Refused):
    """`where`, `order` or another query parameter cannot be understood."""

    number = 16
    type = "QueryParseException"


class NotImplementedHere(Refused):
    """An endpoint that Xero has and the sandbox has not."""

    status = 501
    number = 20
    type = "ApiMethodNotImplementedException"


class HighVolume(Refused):
    """Too many records for a filter that Xero has no index for."""

    number = 10
    type = "ValidationException"


class PlainRefusal(Exception):
    """Refused outside the API's own error shape: a status with a text of some type."""

    def __init__(
        self, status: int, text: str, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        super().__init__(text)
        self.status = status
        self.text = text.encode()
        self.content_type = content_type


class NotFound(PlainRefusal):
    """Xero answers 404 in HTML, whatever was asked for."""

    def __init__(self) -> None:
        super().__init__(404, HTML_404.decode(), "text/html; charset=utf-8")


class Reason(str):
    """Why an element is refused, and where inside it: ("LineItems", 2), ("Contact", "Addresses",
    0).
    """

    __slots__ = ("place",)
    place: tuple[str | int, ...]

    def __new__(cls, message: str, *place: str | int) -> Self:
        reason = super().__new__(cls, message)
        reason.place = place + getattr(message, "place", ())
        return reason


class Invalid(Exception):
    """One element breaks Xero's rules: every reason, in the order in which they were found."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)

    @property
    def messages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(str, self.reasons)))

    def at(self, *place: str | int) -> "Invalid":
        """The same, as seen from the element that holds this one."""
        return Invalid(*(Reason(reason, *place) for reason in self.reasons))
