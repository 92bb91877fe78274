"""Organisations that were connected before there were ledgers get theirs; the worker reads them from then on."""

from django.db import migrations

ADD = """
INSERT INTO xero_ledger (connection_id, workspace_id, base_currency, short_code, organisation, reason, failures,
                         lease_holder)
SELECT id, workspace_id, '', '', '{}', '', 0, '' FROM connections_connection WHERE provider = 'xero'
ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("xero", "0002_walls_and_tallies")]
    operations = [migrations.RunSQL(ADD, migrations.RunSQL.noop)]
