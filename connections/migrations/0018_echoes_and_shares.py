"""What tells an event that a write of ours caused, and what a delivery started for each connection."""


import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connections', '0017_keys_checked_once'),
        ('workspaces', '0008_time_zone_settled'),
    ]

    operations = [
        migrations.AddField(
            model_name='call',
            name='changed_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name='event',
            name='chain',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), db_default=models.Value('{}'), default=list, size=None),
        ),
        migrations.AddField(
            model_name='event',
            name='undecided',
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddField(
            model_name='mention',
            name='activations',
            field=models.PositiveIntegerField(null=True),
        ),
    ]
