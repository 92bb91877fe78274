"""A year of trade: invoices, bills and their payments."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal

from xero.sandbox import names
from xero.sandbox.accounting.amounts import ZERO, cents, complete_line, tax_on, totals
from xero.sandbox.accounting.ledger import NUMBER_PREFIX, Document
from xero.sandbox.accounting.rates import day_rate
from xero.sandbox.seed_plan import Party, Plan, midnight


class Year:
    """Invoices and payments by id, created at once; the numbers of sales rise with their dates."""

    def __init__(self, plan: Plan, customers: list[Party], suppliers: list[Party]) -> None:
        self.plan = plan
        self.random = plan.random
        self.today = plan.today
        self.country = plan.country
        self.invoices: dict[str, Document] = {}
        self.payments: dict[str, Document] = {}
        for place in range(plan.count):
            bill = place % 2 == 1
            day = self.today - timedelta(days=364 - 364 * place // max(plan.count - 1, 1))
            self._trade(place, bill, day, self.random.choice(suppliers if bill else customers))

    def _trade(self, place: int, bill: bool, day: date, party: Party) -> None:
        number = f"{names.bill_prefix(party.category)}{self.random.randrange(10_000, 100_000)}"
        invoice = self._document(
            place, bill, day, party, number if bill else f"{NUMBER_PREFIX}{place // 2 + 1:04d}"
        )
        for payment in self._pay(invoice):
            self.payments[payment["PaymentID"]] = payment
        self.invoices[invoice["InvoiceID"]] = invoice

    def _document(self, place: int, bill: bool, day: date, party: Party, number: str) -> Document:
        random = self.random
        types = "Inclusive" if random.random() < 0.1 else "Exclusive"
        lines = [
            self._line(place, n, bill, party, types)
            for n in range(random.choice((1, 1, 1, 2, 2, 3)))
        ]
        amounts = [
            (line["LineAmount"], line["TaxAmount"], line.get("Discount", ZERO)) for line in lines
        ]
        found = totals(amounts, types)
        due = day + timedelta(days=random.choice((7, 14, 20, 20, 30)))
        status = self._status(day, due)
        at = min(
            midnight(day) + random.randrange(7 * 3600, 18 * 3600) * 1000, self.plan.today_ms - 1000
        )
        return {
            "InvoiceID": self.plan.id("invoice", place),
            "Type": "ACCPAY" if bill else "ACCREC",
            "Status": status,
            "InvoiceNumber": number,
            "Reference": ""
            if bill or random.random() < 0.5
            else f"PO {random.randrange(1000, 10_000)}",
            "ContactID": party.id,
            "Date": day.isoformat(),
            "DueDate": due.isoformat(),
            "LineAmountTypes": types,
            "LineItems": lines,
            "SubTotal": found.sub_total,
            "TotalTax": found.total_tax,
            "Total": found.total,
            "TotalDiscount": found.total_discount,
            "AmountPaid": ZERO,
            "AmountCredited": ZERO,
            "AmountDue": ZERO if status in {"VOIDED", "DELETED"} else found.total,
            "SentToContact": not bill
            and status in {"AUTHORISED", "PAID"}
            and random.random() < 0.8,
            "CurrencyCode": party.currency,
            "CurrencyRate": day_rate(self.country.currency, party.currency),
            "UpdatedDateUTC": at,
        }

    def _status(self, day: date, due: date) -> str:
        age = (self.today - day).days
        chance = self.random.random()
        if chance < 0.03:
            return "VOIDED"
        if chance < 0.05:
            return "DELETED"
        if age < 60 and chance < 0.5:
            return "DRAFT" if chance < 0.3 else "SUBMITTED"
        overdue = (self.today - due).days
        unpaid = 0.95 if overdue < 0 else max(0.08, 0.7 - overdue / 200)
        return "AUTHORISED" if self.random.random() < unpaid else "PAID"

    def _line(self, place: int, n: int, bill: bool, party: Party, types: str) -> Document:
        random = self.random
        if bill:
            words, account, low, high = names.BILLS[party.category % len(names.BILLS)]
            quantity, price, item = (
                Decimal("1.0000"),
                Decimal(random.randrange(low * 100, high * 100)) / 100,
                None,
            )
        else:
            products = names.products(self.plan.index)
            item, _, words, listed = products[random.randrange(len(products))]
            quantity, price, account = (
                Decimal(f"{random.randrange(1, 9)}.0000"),
                Decimal(listed),
                "200",
            )
        rate = Decimal("10.00") if not bill and random.random() < 0.06 else None
        found = complete_line(
            quantity=quantity, unit_amount=price, line_amount=None, discount_rate=rate
        )
        tax = (
            self.plan.account_tax[account]
            if party.currency == self.country.currency
            else self.country.none
        )
        line: Document = {
            "LineItemID": self.plan.id("line", f"{place}/{n}"),
            **({"ItemCode": item} if item else {}),
            "Description": words,
            "AccountCode": account,
            "TaxType": tax,
            **({"DiscountRate": rate, "Discount": found.discount} if rate else {}),
            "Quantity": found.quantity,
            "UnitAmount": found.unit_amount,
            "LineAmount": found.line_amount,
            "TaxAmount": tax_on(found.line_amount, self.plan.rates[tax], types),
            "Tracking": [],
        }
        if self.plan.index % 3 == 0 and random.random() < 0.3:
            region = random.choice(names.REGIONS)
            line["Tracking"] = [
                {
                    "Name": "Region",
                    "Option": region,
                    "TrackingCategoryID": self.plan.id("tracking", "Region"),
                    "TrackingOptionID": self.plan.id("option", region),
                }
            ]
        return line

    def _pay(self, invoice: Document) -> Iterator[Document]:
        """Yield the payments of a paid invoice, or a part payment of one in six open ones.

        The invoice is changed to match.
        """
        part = invoice["Status"] == "AUTHORISED" and self.random.random() < 0.17
        if invoice["Status"] != "PAID" and not part:
            return
        total = invoice["Total"]
        if part:
            amounts = [cents(total * self.random.randrange(25, 75) / 100)]
        elif self.random.random() < 0.12:
            first = cents(total * Decimal("0.5"))
            amounts = [first, total - first]
        else:
            amounts = [total]
        start, due = date.fromisoformat(invoice["Date"]), date.fromisoformat(invoice["DueDate"])
        for n, amount in enumerate(amounts):
            wait = max(1, (due - start).days + self.random.randrange(-9, 14)) + 10 * n
            day = min(start + timedelta(days=wait), self.today)
            payment = self._payment(invoice, n, day, amount)
            invoice["UpdatedDateUTC"] = max(invoice["UpdatedDateUTC"], payment["UpdatedDateUTC"])
            invoice["AmountPaid"] += amount
            invoice["AmountDue"] -= amount
            if not invoice["AmountDue"]:
                invoice["FullyPaidOnDate"] = payment["Date"]
            yield payment

    def _payment(self, invoice: Document, n: int, day: date, amount: Decimal) -> Document:
        foreign = invoice["CurrencyCode"] != self.country.currency
        at = min(
            midnight(day) + self.random.randrange(8 * 3600, 20 * 3600) * 1000,
            self.plan.today_ms - 1000,
        )
        return {
            "PaymentID": self.plan.id("payment", f"{invoice['InvoiceID']}/{n}"),
            "InvoiceID": invoice["InvoiceID"],
            "AccountID": self.plan.account_ids["092" if foreign else "090"],
            "Date": day.isoformat(),
            "Amount": amount,
            "BankAmount": amount,
            "CurrencyRate": invoice["CurrencyRate"],
            "Reference": ""
            if self.random.random() < 0.4
            else f"Ref {self.random.randrange(100_000, 1_000_000)}",
            "PaymentType": invoice["Type"] + "PAYMENT",
            "Status": "AUTHORISED",
            "IsReconciled": self.random.random() < 0.7,
            "UpdatedDateUTC": max(at, invoice["UpdatedDateUTC"]),
        }
