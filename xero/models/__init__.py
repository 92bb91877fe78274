"""The local copy of Xero organisations' ledgers, and how far it has been read.

Each record keeps Xero's JSON as `body` and gives it typed as `record`; the columns are those that
pages list, filter and sort by. Amounts are in the record's own currency. `*_key` and `*_tail` are
for searching (made by xero/sync/mapping.py). A row is only replaced by one that Xero changed later
(xero/sync/upsert.py).
"""

from xero.models.base import Record
from xero.models.documents import Invoice, Payment, Tally
from xero.models.master_data import Account, Contact, Item, TrackingCategory
from xero.models.reading import Change, Ledger, Part, SequenceGap, SequenceWatch, Stale

__all__ = [
    "Account",
    "Change",
    "Contact",
    "Invoice",
    "Item",
    "Ledger",
    "Part",
    "Payment",
    "Record",
    "SequenceGap",
    "SequenceWatch",
    "Stale",
    "Tally",
    "TrackingCategory",
]
