"""The forms of the pages, translated to Xero's fields. Xero itself validates the values."""

from typing import Any

from multidict import MultiDictProxy

Form = MultiDictProxy[Any]


class FormError(Exception):
    """A form that is not one of the page."""


def text(form: Form, name: str) -> str:
    value = form.get(name, "")
    if not isinstance(value, str):
        raise FormError(f"{name} is not text")
    return value.strip()


def _given(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}


def _lines(form: Form) -> list[dict[str, str]]:
    """Return the lines. Rows without a description are blank rows."""
    columns = [
        form.getall(name, []) for name in ("line_id", "description", "quantity", "unit", "account")
    ]
    lines = [
        _given(
            LineItemID=id,
            Description=description,
            Quantity=quantity,
            UnitAmount=unit,
            AccountCode=account,
        )
        for id, description, quantity, unit, account in zip(*columns, strict=True)
    ]
    return [line for line in lines if line.get("Description")]


def invoice_from(form: Form, current: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of the form; for a saved invoice only those that may change."""
    invoice: dict[str, Any] = _given(
        Date=text(form, "date"),
        DueDate=text(form, "due"),
        Reference=text(form, "reference"),
        InvoiceNumber=text(form, "number"),
        Status=text(form, "status"),
        LineAmountTypes=text(form, "amounts"),
    )
    contact = text(form, "contact")
    if contact:
        invoice["Contact"] = {"ContactID": contact}
    if "description" in form:
        invoice["LineItems"] = _lines(form)
    identity = {"InvoiceID": current["InvoiceID"]} if current else {"Type": text(form, "type")}
    return {**identity, **invoice}


def contact_from(form: Form) -> dict[str, Any]:
    names = {"Name": "name", "FirstName": "first", "LastName": "last", "EmailAddress": "email"}
    contact = {field: text(form, name) for field, name in names.items()}
    return {**contact, "ContactStatus": "ARCHIVED" if text(form, "archived") else "ACTIVE"}
