"""Ageing's index holds what is approved, by contact. How much of it is due PostgreSQL guessed wrongly, by far.

The new one is built before the old one goes, both beside running work, so outside a transaction.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("xero", "0007_index_of_what_is_owed")]
    operations = [
        AddIndexConcurrently(
            model_name="invoice",
            index=models.Index(
                models.F("connection"),
                models.F("type"),
                models.F("contact_xero_id"),
                condition=models.Q(("status", "AUTHORISED")),
                include=("id", "workspace", "contact_name", "currency", "date", "due_date", "amount_due"),
                name="invoice_open",
            ),
        ),
        RemoveIndexConcurrently(model_name="invoice", name="invoice_owed"),
    ]
