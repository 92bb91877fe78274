"""login.xero.com and identity.xero.com: apps, consent, tokens, connections."""
