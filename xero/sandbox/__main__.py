"""`python -m xero.sandbox`: the bundled stand-in for Xero, see docs/sandbox.md."""

from xero.sandbox.config import parse
from xero.sandbox.server import serve

serve(parse())
