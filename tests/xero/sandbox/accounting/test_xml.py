from xml.etree.ElementTree import fromstring

from tests.xero.sandbox.accounting.api import Api, invoice
from xero.sandbox.accounting import Request, Response


def call(api: Api, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
    return api.books.handle(api.tenant_id, "app-1", Request(method, path, {}, headers, body))


def test_answers_are_xml_unless_json_is_asked_for(api: Api) -> None:
    made = api.invoice(Url="https://taskjuice.example/?a=1&b=2")
    response = call(api, "GET", f"/Invoices/{made['InvoiceID']}")
    assert response.headers["content-type"] == "text/xml; charset=utf-8"
    root = fromstring(response.body)
    assert root.tag == "Response"
    found = root.find("Invoices/Invoice")
    assert found is not None
    texts = {
        name: found.findtext(name)
        for name in ("InvoiceID", "Total", "Date", "UpdatedDateUTC", "Url", "SentToContact")
    }
    assert texts == {
        "InvoiceID": made["InvoiceID"],
        "Total": "115.00",
        "Date": "2026-11-01T00:00:00",
        "UpdatedDateUTC": "2026-11-23T09:31:15.250",
        "Url": "https://taskjuice.example/?a=1&b=2",
        "SentToContact": "false",
    }
    assert found.findtext("LineItems/LineItem/AccountCode") == "200"
    assert [phone.tag for phone in found.findall("Contact/Phones/*")] == ["Phone"] * 4
    assert [one.tag for one in found.findall("Contact/Addresses/*")] == ["Address"] * 2
    assert found.find("DateString") is None


def test_errors_are_xml_too(api: Api) -> None:
    assert (
        fromstring(call(api, "GET", "/CreditNotes").body).findtext("Type")
        == "ApiMethodNotImplementedException"
    )
    body = b"<Invoice><Type>ACCREC</Type><Contact><Name>Kauri</Name></Contact></Invoice>"
    root = fromstring(call(api, "PUT", "/Invoices", body).body)
    element = root.find("Elements/DataContractBase")
    assert element is not None
    assert element.get("{http://www.w3.org/2001/XMLSchema-instance}type") == "Invoice"
    message = element.findtext("ValidationErrors/ValidationError/Message")
    assert message == "One or more line items must be specified"


def test_xml_bodies_are_read(api: Api) -> None:
    body = """<Invoices><Invoice><Type>ACCREC</Type>
      <Contact><Name>K\u0101kano &amp; Co</Name><Phones>
        <Phone><PhoneType>MOBILE</PhoneType><PhoneNumber>1</PhoneNumber></Phone></Phones></Contact>
      <Date>2026-11-01</Date><DueDate>2026-11-21T00:00:00</DueDate><Status>AUTHORISED</Status>
      <LineItems><LineItem><Description>Tea</Description><Quantity>2.0000</Quantity><UnitAmount>10.00</UnitAmount>
        <AccountCode>200</AccountCode><Tracking>
        <TrackingCategory><Name>Region</Name><Option>North</Option></TrackingCategory></Tracking>
      </LineItem></LineItems></Invoice></Invoices>""".encode()
    response = call(api, "PUT", "/Invoices", body, **{"content-type": "text/xml"})
    assert response.status == 200
    id = fromstring(response.body).findtext("Invoices/Invoice/InvoiceID")
    made = api.one(f"/Invoices/{id}")
    assert (str(made["Total"]), made["Contact"]["Name"]) == ("23.00", "K\u0101kano & Co")
    assert made["LineItems"][0]["Tracking"][0]["Option"] == "North"
    assert made["Contact"]["Phones"][3]["PhoneNumber"] == "1"


def test_one_payment_in_xml(api: Api) -> None:
    made = api.write("PUT", "/Invoices", invoice())
    body = f"""<Payment><Invoice><InvoiceID>{made["InvoiceID"]}</InvoiceID></Invoice><Account><Code>090</Code></Account>
      <Date>2026-11-20</Date><Amount>115.00</Amount></Payment>""".encode()
    assert call(api, "POST", "/Payments", body).status == 200
    assert api.one(f"/Invoices/{made['InvoiceID']}")["Status"] == "PAID"
