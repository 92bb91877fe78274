"""TaskJuice: where a bookkeeping agency works its clients' Xero organisations."""

__version__ = "0.1.0"
