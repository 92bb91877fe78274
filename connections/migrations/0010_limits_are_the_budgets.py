from django.db import migrations


class Migration(migrations.Migration):
    """What is left of a tenant's limits is what its budget says; connections keep no copy of it."""

    dependencies = [("connections", "0009_calls_of_targets")]
    operations = [
        migrations.RemoveField("connection", "minute_left"),
        migrations.RemoveField("connection", "day_left"),
        migrations.RemoveField("connection", "limits_at"),
    ]
