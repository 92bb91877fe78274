"""The wake-up flag of the fan-out, which the webhook's single statement only ever updates."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("queue", "0002_cache_table")]
    operations = [
        migrations.RunSQL(
            "INSERT INTO queue_wake (name, pending) VALUES ('fan-out', false) ON CONFLICT DO NOTHING;",
            "DELETE FROM queue_wake WHERE name = 'fan-out';",
        )
    ]
