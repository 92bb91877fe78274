"""Webhooks as Xero sends them: signatures, intent to receive, deliveries, retries."""
