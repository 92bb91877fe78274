"""The accounting half of the stand-in for Xero: ledgers, and the answers that Xero's Accounting API
would give.
"""

from xero.sandbox.accounting.books import Books
from xero.sandbox.accounting.ledger import Organisation
from xero.sandbox.accounting.messages import Change, Request, Response

__all__ = ["Books", "Change", "Organisation", "Request", "Response"]
