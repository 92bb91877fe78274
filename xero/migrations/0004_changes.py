"""Triggers note what changes at an invoice, whoever changes its row; xero/sync/changes.py makes events of it."""

import django.db.models.deletion
from django.db import migrations, models

import taskjuice.exact_json

DETAILS = """jsonb_build_object(
        'kind', CASE n.type WHEN 'ACCREC' THEN 'sales invoice' ELSE 'bill' END, 'type', n.type, 'number', n.number,
        'reference', n.reference, 'contact', n.contact_name, 'contact_id', coalesce(n.contact_xero_id::text, ''),
        'date', coalesce(n.date::text, ''), 'due_date', coalesce(n.due_date::text, ''), 'currency', n.currency,
        'total', round(n.total, 2), 'amount_due', round(n.amount_due, 2), 'status', n.status)"""
BEFORE = """jsonb_build_object('previous_status', o.status, 'previous_amount_due', round(o.amount_due, 2))"""
READ_ONCE = """JOIN xero_ledger l ON l.connection_id = n.connection_id AND l.first_finished_at IS NOT NULL
         WHERE n.type IN ('ACCREC', 'ACCPAY')"""
TRIGGERS = f"""
CREATE FUNCTION xero_invoice_came() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO xero_change (connection_id, xero_id, at, is_new, details)
        SELECT n.connection_id, n.xero_id, n.updated_utc, true, {DETAILS}
          FROM new_rows n {READ_ONCE};
    RETURN NULL;
END $$;
CREATE FUNCTION xero_invoice_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO xero_change (connection_id, xero_id, at, is_new, details)
        SELECT n.connection_id, n.xero_id, n.updated_utc, false, {DETAILS} || {BEFORE}
          FROM new_rows n JOIN old_rows o ON o.id = n.id {READ_ONCE}
           AND (o.status, o.amount_due, o.total) IS DISTINCT FROM (n.status, n.amount_due, n.total);
    RETURN NULL;
END $$;
CREATE TRIGGER invoice_came AFTER INSERT ON xero_invoice REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION xero_invoice_came();
CREATE TRIGGER invoice_changed AFTER UPDATE ON xero_invoice REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION xero_invoice_changed();
"""
NO_TRIGGERS = """
DROP TRIGGER invoice_came ON xero_invoice;
DROP TRIGGER invoice_changed ON xero_invoice;
DROP FUNCTION xero_invoice_came();
DROP FUNCTION xero_invoice_changed();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0008_event_details"),
        ("xero", "0003_ledgers_of_connections"),
    ]
    operations = [
        migrations.CreateModel(
            name="Change",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("xero_id", models.UUIDField()),
                ("at", models.DateTimeField()),
                ("is_new", models.BooleanField()),
                ("details", taskjuice.exact_json.ExactJSONField()),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="connections.connection",
                    ),
                ),
            ],
        ),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
