"""XML, the default of the API: answers without `Accept: application/json`, and simple XML
bodies.
"""

import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import (
    Element,
    ParseError,
    SubElement,
    TreeBuilder,
    XMLParser,
    fromstring,
    tostring,
)

from xero.sandbox.accounting.errors import PostDataInvalid
from xero.sandbox.accounting.shapes import Read
from xero.sandbox.accounting.wire import from_ms, load

XML_TYPE = "text/xml; charset=utf-8"
_MS_DATE = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")
_SINGULAR = {
    "Addresses": "Address",
    "TaxRates": "TaxRate",
    "Tracking": "TrackingCategory",
    "Elements": "DataContractBase",
}
_SCHEMAS = {
    "xmlns:xsd": "http://www.w3.org/2001/XMLSchema",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
}
_ONLY_JSON = {"DateString", "DueDateString", "UpdatedDateUTCString"}
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]")
_DEEPEST = 20


class _Builder(TreeBuilder):
    """A tree builder that refuses a document type, and with it every entity that could be expanded
    or fetched.
    """

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise PostDataInvalid("XML for post data was invalid: a document type is not accepted")


def answer(body: bytes) -> bytes:
    """Convert the JSON answer `body` to Xero's Response document."""
    root = Element("Response", _SCHEMAS)
    _fill(root, load(body))
    return _text_of(root)


def error(body: bytes, singular: str = "") -> bytes:
    """Convert the JSON error `body` to Xero's ApiException document; its elements are of the type
    `singular`.
    """
    root = Element("ApiException", _SCHEMAS)
    _fill(root, load(body))
    for element in root.iter("DataContractBase"):
        element.set("xsi:type", singular)
    return _text_of(root)


def read(body: bytes, plural: str, singular: str, shape: Mapping[str, Read]) -> Any:
    """Convert a body like <Invoices><Invoice>…</Invoice></Invoices>, or one bare element, to the
    same JSON.
    """
    try:
        root = fromstring(body, XMLParser(target=_Builder()))  # noqa: S314  no document type, so no entities
    except (ParseError, ValueError, LookupError) as problem:
        raise PostDataInvalid(f"XML for post data was invalid: {problem}") from None
    if _name(root) == plural:
        return {plural: [_object(child, shape, 0) for child in root]}
    if _name(root) == singular:
        return _object(root, shape, 0)
    raise PostDataInvalid(f"XML for post data was invalid: <{plural}> or <{singular}> expected")


def _object(element: Element, shape: Mapping[str, Read], depth: int) -> Any:
    if depth > _DEEPEST:
        raise PostDataInvalid("XML for post data was invalid: nested too deep")
    if not len(element):
        return (element.text or "").strip() or None
    out: dict[str, Any] = {}
    for child in element:
        name = _name(child)
        items = getattr(shape.get(name), "items", None)
        if items is not None:
            out[name] = [_object(item, items, depth + 1) for item in child]
        else:
            out[name] = _object(child, getattr(shape.get(name), "fields", {}), depth + 1)
    return out


def _name(element: Element) -> str:
    return str(element.tag).rsplit("}", 1)[-1]


def _text_of(root: Element) -> bytes:
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _fill(element: Element, value: Any) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key not in _ONLY_JSON and inner is not None:
                _fill(SubElement(element, key), inner)
    elif isinstance(value, list):
        name = _SINGULAR.get(element.tag, element.tag.removesuffix("s"))
        for inner in value:
            _fill(SubElement(element, name), inner)
    else:
        element.text = _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    match = _MS_DATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return _FORBIDDEN.sub("", str(value))
    moment = from_ms(int(match[1]))
    return moment.isoformat(timespec="milliseconds" if moment.microsecond else "seconds")
