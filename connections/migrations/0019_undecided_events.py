"""The few events that wait for an answer are found without reading the others; nothing is locked meanwhile."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("connections", "0018_echoes_and_shares")]
    operations = [
        AddIndexConcurrently(
            model_name="event",
            index=models.Index(condition=models.Q(("undecided", True)), fields=["id"], name="event_undecided"),
        ),
    ]
