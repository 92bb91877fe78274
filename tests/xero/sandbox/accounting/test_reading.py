from datetime import timedelta
from typing import Any

import pytest

from tests.xero.sandbox.accounting.api import Api, Clock
from xero.sandbox.accounting import reading


def numbers(found: list[dict[str, Any]]) -> list[str]:
    return [one["InvoiceNumber"] for one in found]


@pytest.fixture
def tagged(api: Api, clock: Clock) -> list[dict[str, Any]]:
    """Five invoices T-1 … T-5, one second apart, of 100, 200 … 500 before tax."""
    made = []
    for n in range(1, 6):
        clock.advance(timedelta(seconds=1))
        lines = [{"Description": "Tea", "UnitAmount": 100 * n, "AccountCode": "200"}]
        status = "DRAFT" if n == 5 else "AUTHORISED"
        made.append(
            api.invoice(
                InvoiceNumber=f"T-{n}", Reference=f"tag {n}", LineItems=lines, Status=status
            )
        )
    return made


def test_pages_cut_the_default_order(api: Api, tagged: list[dict[str, Any]]) -> None:
    every = api.list("/Invoices", {"page": "1", "pageSize": "1000"})
    stamps = [(one["UpdatedDateUTC"], one["InvoiceID"]) for one in every]
    assert stamps == sorted(stamps, key=lambda pair: (int(pair[0][6:-7]), pair[1]))
    assert numbers(every[-5:]) == ["T-1", "T-2", "T-3", "T-4", "T-5"]
    pages = [
        api.call("GET", "/Invoices", None, {"page": str(n), "pageSize": "10"}).body
        for n in (1, 2, 3, 4)
    ]
    assert [page["pagination"] for page in pages] == [
        {"page": n, "pageSize": 10, "pageCount": 3, "itemCount": 29} for n in (1, 2, 3, 4)
    ]
    assert [one for page in pages for one in page["Invoices"]] == every
    assert pages[3]["Invoices"] == []


@pytest.mark.parametrize(
    ("query", "page", "size"),
    [
        ({"page": "0"}, 1, 100),
        ({"page": "-3", "pageSize": "0"}, 1, 1),
        ({"pageSize": "5000"}, 1, 1000),
        ({"PAGE": "2"}, 2, 100),
    ],
)
def test_pages_out_of_range_are_clamped(
    api: Api, query: dict[str, str], page: int, size: int
) -> None:
    pagination = api.call("GET", "/Invoices", None, query).body["pagination"]
    assert (pagination["page"], pagination["pageSize"]) == (page, size)


def test_unpaged_lists_have_no_lines_and_only_a_summary_of_the_contact(
    api: Api, tagged: list[dict[str, Any]]
) -> None:
    answer = api.call("GET", "/Invoices", None, {"IDs": tagged[0]["InvoiceID"]})
    assert "pagination" not in answer.body
    listed = answer.body["Invoices"][0]
    assert listed["LineItems"] == []
    assert listed["Contact"]["Addresses"] == []
    assert listed["Total"] == tagged[0]["Total"]
    paged = api.list("/Invoices", {"IDs": tagged[0]["InvoiceID"], "page": "1"})[0]
    assert paged["LineItems"] == tagged[0]["LineItems"]


def test_ids_numbers_contacts_and_statuses_narrow_the_list(
    api: Api, tagged: list[dict[str, Any]]
) -> None:
    ids = ",".join(one["InvoiceID"].upper() for one in (tagged[2], tagged[0]))
    contact = tagged[0]["Contact"]["ContactID"]
    unknown = "11111111-1111-1111-1111-111111111111"
    assert numbers(api.list("/Invoices", {"IDs": ids})) == ["T-1", "T-3"]
    assert api.list("/Invoices", {"IDs": unknown}) == []
    assert numbers(api.list("/Invoices", {"InvoiceNumbers": "T-4, T-2"})) == ["T-2", "T-4"]
    assert numbers(api.list("/Invoices", {"ContactIDs": contact})) == [
        "T-1",
        "T-2",
        "T-3",
        "T-4",
        "T-5",
    ]
    assert numbers(api.list("/Invoices", {"ContactIDs": contact, "Statuses": "DRAFT,PAID"})) == [
        "T-5"
    ]
    assert numbers(
        api.list("/Invoices", {"ContactIDs": contact, "InvoiceNumbers": "T-1,INV-0001"})
    ) == ["T-1"]
    contacts = api.list("/Contacts", {"IDs": contact})
    assert [one["ContactID"] for one in contacts] == [contact]


def test_modified_since_is_cut_to_the_second_and_includes_it(
    api: Api, tagged: list[dict[str, Any]]
) -> None:
    def since(header: str) -> list[str]:
        return numbers(api.list("/Invoices", {"page": "1"}, if_modified_since=header))

    assert since("Mon, 23 Nov 2026 09:31:18 GMT") == ["T-3", "T-4", "T-5"]
    assert since("2026-11-23T09:31:18") == ["T-3", "T-4", "T-5"]
    assert since("2026-11-23T09:31:18.999Z") == ["T-3", "T-4", "T-5"]
    assert since("2026-11-23T22:31:19+13:00") == ["T-4", "T-5"]
    assert since("2027-01-01T00:00:00") == []
    ids = ",".join(one["InvoiceID"] for one in tagged)
    listed = api.list("/Invoices", {"IDs": ids}, if_modified_since="2026-11-23T09:31:19")
    assert numbers(listed) == ["T-4", "T-5"]
    assert api.call("GET", "/Invoices", if_modified_since="yesterday").status == 412


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ('InvoiceNumber=="T-1"', "1"),
        ('InvoiceNumber=="t-1"', ""),
        ('Reference == "tag 1" OR Reference == "tag 2"', "12"),
        ('Reference.StartsWith("tag") AND Total > 230', "345"),
        ('Reference.StartsWith("tag") && Total >= 230 && !(Total == 345.00)', "245"),
        ('Reference.StartsWith("tag") and (Total < 200 or Total > 400.5)', "145"),
        ('Reference.Contains("g 3")', "3"),
        ('Reference.ToLower().EndsWith("G 3".ToLower())', "3"),
        ('Contact.Name=="Kauri Tea Rooms" AND Status=="DRAFT"', "5"),
        ('Contact.Name.Contains("Tea") AND Status<>"DRAFT"', "1234"),
        ('Contact.Name!=null AND Contact.Name.StartsWith("Kauri") AND Type=="ACCREC"', "12345"),
        ('Contact.ContactNumber!=null AND Reference.StartsWith("tag")', ""),
        ('Reference.StartsWith("tag") AND Date == DateTime(2026, 11, 01)', "12345"),
        ('Reference.StartsWith("tag") AND Date > DateTime.Parse("2026-11-01")', ""),
        (
            'Reference.StartsWith("tag") AND DueDate<DateTime(2026,11,22) AND FullyPaidOnDate==null',
            "12345",
        ),
        (
            'Reference.StartsWith("tag") AND UpdatedDateUTC >= DateTime(2026, 11, 23, 9, 31, 19)',
            "45",
        ),
        ('Reference.StartsWith("tag") AND UpdatedDateUTC >= DateTime(2026, 11, 23)', "12345"),
        ('Reference.StartsWith("tag") AND SentToContact == false AND AmountPaid = 0', "12345"),
        ('Reference.StartsWith("tag") AND AmountDue != -1.50', "12345"),
        ('SentToContact AND Reference.StartsWith("tag")', ""),
        ('Reference == "say ""hi"" \\\\ "', ""),
    ],
)
def test_where_filters(api: Api, tagged: list[dict[str, Any]], where: str, found: str) -> None:
    assert (
        "".join(number[-1] for number in numbers(api.list("/Invoices", {"where": where}))) == found
    )


def test_where_compares_guids(api: Api, tagged: list[dict[str, Any]]) -> None:
    id, contact = tagged[0]["InvoiceID"], tagged[0]["Contact"]["ContactID"]
    assert numbers(api.list("/Invoices", {"where": f'InvoiceID==Guid("{id}")'})) == ["T-1"]
    assert numbers(api.list("/Invoices", {"where": f'InvoiceID==GUID("{id.upper()}")'})) == ["T-1"]
    assert numbers(api.list("/Invoices", {"where": f'InvoiceID.ToString()=="{id}"'})) == ["T-1"]
    assert len(api.list("/Invoices", {"where": f'Contact.ContactID==Guid("{contact}")'})) == 5


@pytest.mark.parametrize(
    "where",
    [
        "Foo==1", "Contact.Foo==1", "Status==", "Status", "==1", "Status==1", 'Total=="1"', "Status=='DRAFT'",
        "(Status",
        'Status=="DRAFT"Type=="ACCREC"', 'Status=="DRAFT" AND', 'InvoiceID=="x"', 'InvoiceID==Guid("x")', "Date==2026",
        "Date==DateTime(2026,13,1)", "Date==DateTime(2026)", 'Date==DateTime.Parse("soon")', 'Total.Contains("1")',
        'Status.Foo("x")', "Status.Contains(1)", 'Status < "A"', "Total AND Total", '"unclosed', "Status==\x00", "()",
        "(" * 200 + "Total==1" + ")" * 200, "!" * 3000 + "SentToContact", "Total==1 " * 600, "!Total", "Total==1.2.3",
        "Total == - Status", "Date==DateTime(2026,1,99999999)",
    ],
)  # fmt: skip
def test_bad_where_is_a_query_parse_exception(api: Api, where: str) -> None:
    answer = api.call("GET", "/Invoices", None, {"where": where})
    assert (answer.status, answer.body["ErrorNumber"], answer.body["Type"]) == (
        400,
        16,
        "QueryParseException",
    )


def test_order_sorts_by_several_fields(api: Api, tagged: list[dict[str, Any]]) -> None:
    query = {"where": 'Reference.StartsWith("tag")'}
    assert numbers(api.list("/Invoices", query | {"order": "Total DESC"})) == [
        "T-5",
        "T-4",
        "T-3",
        "T-2",
        "T-1",
    ]
    found = api.list("/Invoices", query | {"order": "Status, InvoiceNumber DESC"})
    assert numbers(found) == ["T-4", "T-3", "T-2", "T-1", "T-5"]
    for order in ("Foo", "Total SIDEWAYS", "Total DESC DESC", ","):
        answer = api.call("GET", "/Invoices", None, query | {"order": order})
        assert (answer.status, answer.body["ErrorNumber"]) == (400, 16)


@pytest.mark.parametrize(
    "query",
    [{"IDs": "x"}, {"ContactIDs": "1,2"}, {"page": "two"}, {"pageSize": "1e3"}, {"page": "٣"}],
)
def test_bad_parameters_are_refused(api: Api, query: dict[str, str]) -> None:
    answer = api.call("GET", "/Invoices", None, query)
    assert (answer.status, answer.body["ErrorNumber"]) == (400, 16)


def test_search_term_looks_at_number_reference_and_contact(
    api: Api, tagged: list[dict[str, Any]]
) -> None:
    assert numbers(api.list("/Invoices", {"searchTerm": "t-3"})) == ["T-3"]
    assert numbers(api.list("/Invoices", {"searchTerm": "TAG 4", "page": "1"})) == ["T-4"]
    assert len(api.list("/Invoices", {"searchTerm": "kauri tea"})) == 5


def test_summary_only_is_paged_and_drops_the_heavy_parts(
    api: Api, tagged: list[dict[str, Any]]
) -> None:
    answer = api.call("GET", "/Invoices", None, {"summaryOnly": "true"})
    assert answer.body["pagination"]["itemCount"] == 29
    heavy = {
        "LineItems",
        "Payments",
        "CreditNotes",
        "Prepayments",
        "Overpayments",
        "HasAttachments",
    }
    assert heavy & answer.body["Invoices"][-1].keys() == set()
    assert answer.body["Invoices"][-1]["Total"] == tagged[-1]["Total"]


def test_created_by_my_app_goes_by_who_wrote(api: Api, tagged: list[dict[str, Any]]) -> None:
    assert len(api.list("/Invoices", {"createdByMyApp": "true"})) == 5
    other = Api(api.books, api.tenant_id, actor="somebody else")
    assert other.list("/Invoices", {"createdByMyApp": "true"}) == []


def test_settings_are_read_whole(api: Api) -> None:
    assert api.one("/Organisation") == api.one("/Organisations")
    assert {one["TaxType"] for one in api.list("/TaxRates")} == {
        "INPUT2",
        "OUTPUT2",
        "GSTONIMPORTS",
        "NONE",
        "ZERORATED",
    }
    accounts = api.list("/Accounts", {"where": 'Type=="BANK"', "order": "Code"})
    assert [(one.get("Code"), one["CurrencyCode"]) for one in accounts] == [
        (None, "NZD"),  # Xero gives a bank account none that came with a feed
        ("090", "NZD"),
        ("091", "NZD"),
        ("092", "USD"),
    ]
    assert api.one(f"/Accounts/{accounts[0]['AccountID']}") == accounts[0]
    items = api.list("/Items", {"page": "2"})
    assert len(items) == len(api.organisation.items)
    assert (
        api.one(f"/Items/{items[0]['Code']}") == api.one(f"/Items/{items[0]['ItemID']}") == items[0]
    )


def test_many_records_refuse_filters_without_an_index(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HIGH_VOLUME", 10)

    def status(where: str, **query: str) -> int:
        return api.call("GET", "/Invoices", None, {"where": where, "page": "1", **query}).status

    assert status('Status=="PAID"') == 200
    assert status("Date >= DateTime(2026, 1, 1) AND Total > 5") == 200
    assert status('Status=="PAID" OR Total > 5') == 400
    assert status('Reference.Contains("x")') == 400
    assert status('Status=="PAID"', order="Total") == 400
    assert status('Status=="PAID"', order="Date DESC") == 200
