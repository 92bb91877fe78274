"""Ageing reads what is owed from an index of its own. Built beside running work, so outside a transaction."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("xero", "0006_tracking_categories")]
    operations = [
        AddIndexConcurrently(
            model_name="invoice",
            index=models.Index(
                models.F("connection"),
                models.F("type"),
                models.F("currency"),
                condition=models.Q(("amount_due__gt", 0), ("status", "AUTHORISED")),
                include=("id", "workspace", "contact_xero_id", "contact_name", "date", "due_date", "amount_due"),
                name="invoice_owed",
            ),
        ),
    ]
