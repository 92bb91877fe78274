"""The homes' charts are counted from an index alone. Built beside running work, so outside a transaction."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("workflows", "0014_zone_of_due_times")]
    operations = [
        AddIndexConcurrently(
            model_name="activation",
            index=models.Index(
                fields=["agency", "created_at"], include=["workspace", "state"], name="activation_by_hour"
            ),
        ),
        RemoveIndexConcurrently(model_name="activation", name="activation_by_day"),
    ]
