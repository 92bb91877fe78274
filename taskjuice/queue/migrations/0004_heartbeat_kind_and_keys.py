"""Web processes give a sign of life as well, and every node says by which keys it can open what is stored."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("queue", "0003_fan_out_flag")]
    operations = [
        migrations.AddField(
            "heartbeat",
            "kind",
            models.CharField(
                choices=[("worker", "Worker"), ("web", "Web")], db_default="worker", max_length=10
            ),
        ),
        migrations.AddField("heartbeat", "keys", models.JSONField(null=True)),
    ]
