"""The environment of a test run, set before Django reads its settings (tests/settings.py imports
this first).

Every value is fixed here, so that neither a developer's `.env` nor their shell changes what the
tests see. Only two are taken over where they are set: `VAR_DIR` (where the embedded PostgreSQL
lives) and `DATABASE_URL`.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXED = {
    # Static files come from the source folders; Django itself turns DEBUG off while tests run.
    # Production values are tested in processes of their own (tests/ground, tests/browser).
    "DEBUG": "true",
    "DOTENV": "",
    "SECRET_KEY": "a key for tests and for nothing else, of more than fifty letters",
    "TOKEN_KEYS": "dGVzdC1rZXktdGVzdC1rZXktdGVzdC1rZXktMTIzNDU=",
    "BASE_URL": "http://localhost:8000",
    "ALLOWED_HOSTS": "testserver,localhost,127.0.0.1",
    "EMAIL_URL": "memorymail://",
    "XERO_CLIENT_ID": "F00DF00DF00DF00DF00DF00DF00DF00D",
    "XERO_CLIENT_SECRET": "a-client-secret-for-tests",
    "XERO_WEBHOOK_KEYS": "a-webhook-key-for-tests",
    # Nothing listens there: a test that wants the sandbox starts it and points these at it.
    "XERO_LOGIN_URL": "http://127.0.0.1:9",
    "XERO_IDENTITY_URL": "http://127.0.0.1:9",
    "XERO_API_URL": "http://127.0.0.1:9",
    "LOG_LEVEL": "INFO",
}
UNSET = (
    "SECRET_KEY_FALLBACKS",
    "XERO_SCOPES",
    "XERO_TIER",
    "XERO_DAILY_LIMIT",
    "XERO_CONNECTION_LIMIT",
    "XERO_SIGN_IN",
    "DATABASE_POOL",
    "HTTP_STEP_PRIVATE_HOSTS",
    "TRUSTED_PROXIES",
    "METRICS_TOKEN",
)

for name in UNSET:
    os.environ.pop(name, None)
os.environ.update(FIXED)
os.environ.setdefault("VAR_DIR", str(ROOT / "var" / "test"))
POSTGRES = Path(os.environ["VAR_DIR"]) / "postgres"
ran_before = (POSTGRES / "postmaster.pid").exists()
