"""A workflow that paused itself is a kind of incident."""

from django.db import migrations, models

KIND = [
    ("reauthorise", "A connection needs to be reauthorised"),
    ("webhooks", "Xero’s webhooks do not come through"),
    ("decide", "A write needs a decision"),
    ("safety", "A workflow paused itself after failures in a row"),
    ("failed", "Activations of a workflow fail"),
    ("parked", "A connection waits for Xero’s limits for more than an hour"),
]


class Migration(migrations.Migration):
    dependencies = [("notices", "0001_initial")]

    operations = [
        migrations.AlterField(model, "kind", models.CharField(choices=KIND, max_length=20))
        for model in ("incident", "wish")
    ]
