"""Answers in XML, which Xero falls back on for some refusals, whatever format was asked for.

Only refusals are taken from them, never records: all their values are texts, numbers too.
"""

from typing import Any
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, XMLParser

DEEPEST = 60
# Elements that hold a list, by what one of it is called.
LISTS = {
    "Elements": "DataContractBase",
    "ValidationErrors": "ValidationError",
    "Warnings": "Warning",
    "LineItems": "LineItem",
    "Addresses": "Address",
    "Phones": "Phone",
    "ContactPersons": "ContactPerson",
    "Tracking": "TrackingCategory",
    "Payments": "Payment",
    "Invoices": "Invoice",
    "Contacts": "Contact",
}


class _SafeTreeBuilder(TreeBuilder):
    """A builder that refuses a document type, and with it every entity that could be expanded."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("a document type is not accepted")


def decode(body: bytes) -> dict[str, Any]:
    """Return an answer's XML as the JSON that Xero would have sent; every value is a text.

    Raises ValueError for anything but XML.
    """
    parser = XMLParser(target=_SafeTreeBuilder())  # noqa: S314 - no document type, so no entities
    try:
        parser.feed(body)
        content = _value(parser.close(), 0)
    except (ParseError, LookupError) as error:
        raise ValueError("not XML") from error
    return content if isinstance(content, dict) else {}


def _value(element: Element, depth: int) -> Any:
    if depth > DEEPEST:
        raise ValueError("nested too deeply")
    name = _name(element)
    if name in LISTS:
        return [_value(child, depth + 1) for child in element]
    if not len(element):
        return (element.text or "").strip()
    return {_name(child): _value(child, depth + 1) for child in element}


def _name(element: Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1]
