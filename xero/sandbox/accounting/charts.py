"""Charts of accounts and tax rates of New Zealand, the United Kingdom and Australia, as Xero starts
them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Tax:
    """A tax rate. `applies` holds the first letters of account classes: Assets, eQuity, Expenses,
    Liabilities, Revenue.
    """

    name: str
    type: str
    report: str
    rate: str
    applies: str = "AQELR"
    component: str = "GST"

    def document(self) -> Document:
        rate = Decimal(self.rate)
        component = {
            "Name": self.component,
            "Rate": rate,
            "IsCompound": False,
            "IsNonRecoverable": False,
        }
        return {
            "Name": self.name,
            "TaxType": self.type,
            "ReportTaxType": self.report,
            "CanApplyToAssets": "A" in self.applies,
            "CanApplyToEquity": "Q" in self.applies,
            "CanApplyToExpenses": "E" in self.applies,
            "CanApplyToLiabilities": "L" in self.applies,
            "CanApplyToRevenue": "R" in self.applies,
            "DisplayTaxRate": rate,
            "EffectiveRate": rate,
            "Status": "ACTIVE",
            "TaxComponents": [component],
        }


@dataclass(frozen=True)
class Country:
    """The differences between Xero's editions. `sales`, `purchases` and `none` are the usual
    TaxTypes.
    """

    code: str
    version: str
    currency: str
    timezone: str
    year_end: tuple[int, int]  # day, month
    sales: str
    purchases: str
    none: str
    taxes: tuple[Tax, ...]
    tax_period: str
    tax_basis: str
    foreign: str  # currency of its second bank account
    bank_number: str
    tax_number: str
    dialling_code: str


NEW_ZEALAND = Country(
    "NZ", "NZ", "NZD", "NEWZEALANDSTANDARDTIME", (31, 3), "OUTPUT2", "INPUT2", "NONE",
    (
        Tax("15% GST on Expenses", "INPUT2", "INPUT", "15.0000", "AQEL"),
        Tax("15% GST on Income", "OUTPUT2", "OUTPUT", "15.0000", "AQLR"),
        Tax("GST on Imports", "GSTONIMPORTS", "GSTONIMPORTS", "0.0000", "EL"),
        Tax("No GST", "NONE", "NONE", "0.0000"),
        Tax("Zero Rated", "ZERORATED", "OUTPUT", "0.0000", "LR"),
    ),
    "TWOMONTHS", "PAYMENTS", "USD", "01-0209-0087654-00", "071-138-054", "64",
)  # fmt: skip
UNITED_KINGDOM = Country(
    "GB", "UK", "GBP", "GMTSTANDARDTIME", (31, 3), "OUTPUT2", "INPUT2", "NONE",
    (
        Tax("20% (VAT on Income)", "OUTPUT2", "OUTPUT", "20.0000", "AQLR", "VAT"),
        Tax("20% (VAT on Expenses)", "INPUT2", "INPUT", "20.0000", "AQEL", "VAT"),
        Tax("5% (VAT on Income)", "RROUTPUT", "OUTPUT", "5.0000", "AQLR", "VAT"),
        Tax("5% (VAT on Expenses)", "RRINPUT", "INPUT", "5.0000", "AQEL", "VAT"),
        Tax("Zero Rated Income", "ZERORATEDOUTPUT", "OUTPUT", "0.0000", "AQLR", "VAT"),
        Tax("Zero Rated Expenses", "ZERORATEDINPUT", "INPUT", "0.0000", "AQEL", "VAT"),
        Tax("Exempt Income", "EXEMPTOUTPUT", "EXEMPTOUTPUT", "0.0000", "AQLR", "VAT"),
        Tax("No VAT", "NONE", "NONE", "0.0000", component="VAT"),
    ),
    "QUARTERLY1", "ACCRUAL", "EUR", "20-45-77 43819264", "GB 318 2249 07", "44",
)  # fmt: skip
AUSTRALIA = Country(
    "AU", "AU", "AUD", "AUSEASTERNSTANDARDTIME", (30, 6), "OUTPUT", "INPUT", "BASEXCLUDED",
    (
        Tax("GST on Income", "OUTPUT", "OUTPUT", "10.0000", "AQLR"),
        Tax("GST on Expenses", "INPUT", "INPUT", "10.0000", "AQEL"),
        Tax("GST Free Income", "EXEMPTOUTPUT", "EXEMPTOUTPUT", "0.0000", "AQLR"),
        Tax("GST Free Expenses", "EXEMPTEXPENSES", "EXEMPTEXPENSES", "0.0000", "AQEL"),
        Tax("GST on Imports", "GSTONIMPORTS", "GSTONIMPORTS", "0.0000", "EL"),
        Tax("BAS Excluded", "BASEXCLUDED", "BASEXCLUDED", "0.0000"),
        Tax("No Tax", "NONE", "NONE", "0.0000"),
    ),
    "QUARTERLY1", "CASH", "USD", "062-000 10445521", "53 004 085 616", "61",
)  # fmt: skip
COUNTRIES = (NEW_ZEALAND, UNITED_KINGDOM, AUSTRALIA)

# code, name, type, class, tax (s sales, p purchases, n none), system account
_ACCOUNTS = (
    ("200", "Sales", "REVENUE", "REVENUE", "s", ""),
    ("260", "Other Revenue", "REVENUE", "REVENUE", "s", ""),
    ("270", "Interest Income", "REVENUE", "REVENUE", "n", ""),
    ("310", "Cost of Goods Sold", "DIRECTCOSTS", "EXPENSE", "p", ""),
    ("400", "Advertising", "EXPENSE", "EXPENSE", "p", ""),
    ("404", "Bank Fees", "EXPENSE", "EXPENSE", "n", ""),
    ("408", "Cleaning", "EXPENSE", "EXPENSE", "p", ""),
    ("412", "Consulting & Accounting", "EXPENSE", "EXPENSE", "p", ""),
    ("416", "Depreciation", "EXPENSE", "EXPENSE", "n", ""),
    ("420", "Entertainment", "EXPENSE", "EXPENSE", "p", ""),
    ("425", "Freight & Courier", "EXPENSE", "EXPENSE", "p", ""),
    ("429", "General Expenses", "EXPENSE", "EXPENSE", "p", ""),
    ("433", "Insurance", "EXPENSE", "EXPENSE", "p", ""),
    ("437", "Interest Expense", "EXPENSE", "EXPENSE", "n", ""),
    ("441", "Legal Expenses", "EXPENSE", "EXPENSE", "p", ""),
    ("445", "Light, Power, Heating", "EXPENSE", "EXPENSE", "p", ""),
    ("449", "Motor Vehicle Expenses", "EXPENSE", "EXPENSE", "p", ""),
    ("453", "Office Expenses", "EXPENSE", "EXPENSE", "p", ""),
    ("461", "Printing & Stationery", "EXPENSE", "EXPENSE", "p", ""),
    ("469", "Rent", "EXPENSE", "EXPENSE", "p", ""),
    ("473", "Repairs and Maintenance", "EXPENSE", "EXPENSE", "p", ""),
    ("477", "Wages and Salaries", "EXPENSE", "EXPENSE", "n", ""),
    ("485", "Subscriptions", "EXPENSE", "EXPENSE", "p", ""),
    ("489", "Telephone & Internet", "EXPENSE", "EXPENSE", "p", ""),
    ("493", "Travel - National", "EXPENSE", "EXPENSE", "p", ""),
    ("494", "Travel - International", "EXPENSE", "EXPENSE", "n", ""),
    ("610", "Accounts Receivable", "CURRENT", "ASSET", "n", "DEBTORS"),
    ("620", "Prepayments", "CURRENT", "ASSET", "n", ""),
    ("630", "Inventory", "INVENTORY", "ASSET", "n", ""),
    ("710", "Office Equipment", "FIXED", "ASSET", "p", ""),
    ("720", "Computer Equipment", "FIXED", "ASSET", "p", ""),
    ("800", "Accounts Payable", "CURRLIAB", "LIABILITY", "n", "CREDITORS"),
    ("820", "Sales Tax", "CURRLIAB", "LIABILITY", "n", "GST"),
    ("840", "Historical Adjustment", "CURRLIAB", "LIABILITY", "n", "HISTORICAL"),
    ("850", "Suspense", "CURRLIAB", "LIABILITY", "n", ""),
    ("860", "Rounding", "CURRLIAB", "LIABILITY", "n", "ROUNDING"),
    ("877", "Tracking Transfers", "CURRLIAB", "LIABILITY", "n", "TRACKINGTRANSFERS"),
    ("880", "Owner A Drawings", "EQUITY", "EQUITY", "n", ""),
    ("881", "Owner A Funds Introduced", "EQUITY", "EQUITY", "n", ""),
    ("960", "Retained Earnings", "EQUITY", "EQUITY", "n", "RETAINEDEARNINGS"),
)
PAYABLE_ACCOUNT = "881"  # not a bank account, open for payments
ARCHIVED_ACCOUNT = "498"


def accounts(country: Country) -> Iterable[Document]:
    """Return account documents without AccountID and UpdatedDateUTC."""
    taxes = {"s": country.sales, "p": country.purchases, "n": country.none}
    yield _bank("090", "Business Cheque Account", country.currency, country.bank_number, country)
    yield _bank(
        "091",
        "Business Savings Account",
        country.currency,
        country.bank_number[:-2] + "25",
        country,
    )
    yield _bank(
        "092",
        f"{country.foreign} Account",
        country.foreign,
        country.bank_number[:-2] + "88",
        country,
    )
    # As one that came with a bank feed: Xero gives it no code.
    yield _bank("", "Term Deposit", country.currency, country.bank_number[:-2] + "40", country)
    for code, name, type_, class_, tax, system in _ACCOUNTS:
        named = {"GST": "VAT" if country.code == "GB" else "GST"}.get(system, name)
        yield _account(code, named, type_, class_, taxes[tax]) | (
            {"SystemAccount": system} if system else {}
        )
    yield _account(ARCHIVED_ACCOUNT, "Yellow Pages", "EXPENSE", "EXPENSE", country.purchases) | {
        "Status": "ARCHIVED"
    }


def _account(code: str, name: str, type_: str, class_: str, tax: str) -> Document:
    return {
        "Code": code,
        "Name": name,
        "Status": "ACTIVE",
        "Type": type_,
        "TaxType": tax,
        "Class": class_,
        "EnablePaymentsToAccount": code == PAYABLE_ACCOUNT,
        "ShowInExpenseClaims": code in {"420", "449", "493", "494"},
        "ReportingCode": {
            "REVENUE": "REV",
            "EXPENSE": "EXP",
            "ASSET": "ASS",
            "LIABILITY": "LIA",
            "EQUITY": "EQU",
        }[class_],
        "AddToWatchlist": False,
    }


def _bank(code: str, name: str, currency: str, number: str, country: Country) -> Document:
    return _account(code, name, "BANK", "ASSET", country.none) | {
        "BankAccountNumber": "".join(character for character in number if character.isalnum()),
        "BankAccountType": "BANK",
        "CurrencyCode": currency,
    }
