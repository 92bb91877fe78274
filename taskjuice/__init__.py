"""TaskJuice: automation for bookkeeping agencies and their clients' Xero organisations."""

__version__ = "0.1.0"
