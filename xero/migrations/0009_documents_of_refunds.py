"""Refunds of overpayments, prepayments and credit notes say what they refund: currency, contact and number.

Their documents stood where nobody looked, or under `Invoice` as if they were invoices. Filled in from the raw bodies;
refunds are few, and the tallies follow by their triggers.
"""

from django.db import migrations

DOCUMENT = """
    coalesce(nullif(body -> 'Overpayment', '{}'), nullif(body -> 'Prepayment', '{}'),
             nullif(body -> 'CreditNote', '{}'), nullif(body -> 'Invoice', '{}'), '{}')
"""
NUMBER = """
    left(coalesce(nullif(document ->> 'CreditNoteNumber', ''), nullif(document ->> 'OverpaymentNumber', ''),
                  nullif(document ->> 'PrepaymentNumber', ''), nullif(document ->> 'InvoiceNumber', ''),
                  nullif(body ->> 'CreditNoteNumber', ''), ''), 255)
"""
UUID = "'^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'"
FILL_IN = f"""
WITH documents AS (
    SELECT id, body, {DOCUMENT} AS document
      FROM xero_payment WHERE type NOT IN ('ACCRECPAYMENT', 'ACCPAYPAYMENT')
), numbered AS (
    SELECT id, document, document -> 'Contact' ->> 'ContactID' AS contact, {NUMBER} AS number FROM documents
), keyed AS (
    SELECT *, lower(normalize(number)) AS key,
           substring(lower(normalize(number)) FROM '([[:alnum:]]+)[^[:alnum:]]*$') AS word
      FROM numbered
)
UPDATE xero_payment p
   SET currency = left(coalesce(document ->> 'CurrencyCode', ''), 10),
       contact_xero_id = CASE WHEN contact ~ {UUID} THEN contact::uuid END,
       contact_name = left(coalesce(document -> 'Contact' ->> 'Name', ''), 500),
       invoice_xero_id = NULL, invoice_number = number, invoice_number_key = key,
       invoice_number_tail = coalesce(nullif(coalesce(nullif(ltrim(word, '0'), ''), word), key), '')
  FROM keyed WHERE keyed.id = p.id
"""


class Migration(migrations.Migration):
    dependencies = [("xero", "0008_index_of_open_documents")]
    operations = [migrations.RunSQL(FILL_IN, migrations.RunSQL.noop)]
