"""When a lane had its turn; keys that composite ones check as well go."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('connections', '0017_keys_checked_once'),
        ('workflows', '0015_activation_by_hour'),
        ('workspaces', '0007_exports_and_deletions'),
    ]

    operations = [
        migrations.AddField(
            model_name='lane',
            name='turn_at',
            field=models.DateTimeField(null=True),
        ),
        migrations.AlterField(
            model_name='activation',
            name='agency',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='workspaces.agency'),
        ),
        migrations.AlterField(
            model_name='activation',
            name='connection',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='connections.connection'),
        ),
        migrations.AlterField(
            model_name='activation',
            name='event',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='connections.event'),
        ),
        migrations.AlterField(
            model_name='activation',
            name='workflow',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to='workflows.workflow'),
        ),
        migrations.AlterField(
            model_name='activation',
            name='workspace',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, to='workspaces.workspace'),
        ),
    ]
