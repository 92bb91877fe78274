"""An index of parts of numbers and references, so that a search finds what is inside them.

Built while others read and write: on a large ledger that takes a minute, and nobody waits for it.
"""

from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

import xero.search_index

# For 0 the runs of one, two and three letters, else those of `size` letters. The connection is part of each hash.
FUNCTION = """
CREATE FUNCTION xero_grams(connection bigint, size integer, VARIADIC texts text[]) RETURNS bigint[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT hashtextextended(substr(t, place, letters), connection)), '{}')
      FROM unnest(texts) AS t,
           generate_series(CASE size WHEN 0 THEN 1 ELSE size END, CASE size WHEN 0 THEN 3 ELSE size END) AS letters,
           generate_series(1, length(t) - letters + 1) AS place
$$;
"""
NO_FUNCTION = "DROP FUNCTION xero_grams(bigint, integer, text[]);"


def grams(*fields: str, name: str) -> GinIndex:
    expression = xero.search_index.Grams("connection", models.Value(0), *fields)
    return GinIndex(expression, name=name, gin_pending_list_limit=256)


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("xero", "0004_changes")]
    operations = [
        migrations.RunSQL(FUNCTION, NO_FUNCTION),
        AddIndexConcurrently("invoice", grams("number_key", "reference_key", name="invoice_grams")),
        AddIndexConcurrently("payment", grams("invoice_number_key", "reference_key", name="payment_grams")),
    ]
