"""Exports of a workspace's data, with the wall that keeps each in its own agency, and deletions of workspaces."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


ADD = """
ALTER TABLE workspaces_dataexport ADD CONSTRAINT data_export_workspace_of_agency
    FOREIGN KEY (workspace_id, agency_id) REFERENCES workspaces_workspace (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
"""
DROP = "ALTER TABLE workspaces_dataexport DROP CONSTRAINT data_export_workspace_of_agency;"


class Migration(migrations.Migration):

    dependencies = [
        ('workspaces', '0006_audit_chain'),
    ]

    operations = [
        migrations.AddField(
            model_name='workspace',
            name='deleting_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.CreateModel(
            name='DataExport',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('requested_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('table', models.CharField(blank=True, max_length=100)),
                ('after', models.CharField(blank=True, max_length=100)),
                ('rows', models.BigIntegerField(default=0)),
                ('size', models.BigIntegerField(default=0)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('claimed_until', models.DateTimeField(null=True)),
                ('finished_at', models.DateTimeField(null=True)),
                ('failed_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField(null=True)),
                ('agency', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='workspaces.agency')),
                ('requested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='data_exports', to='workspaces.workspace')),
            ],
        ),
        migrations.CreateModel(
            name='DataExportPart',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100)),
                ('rows', models.PositiveIntegerField()),
                ('content', models.BinaryField()),
                ('export', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='parts', to='workspaces.dataexport')),
            ],
        ),
        migrations.CreateModel(
            name='Deletion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('workspace_id', models.BigIntegerField(unique=True)),
                ('name', models.CharField(max_length=100)),
                ('requested_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('claimed_until', models.DateTimeField(null=True)),
                ('warning', models.CharField(blank=True, max_length=300)),
                ('finished_at', models.DateTimeField(null=True)),
                ('agency', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='deletions', to='workspaces.agency')),
                ('requested_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddConstraint(
            model_name='dataexport',
            constraint=models.UniqueConstraint(models.F('workspace'), condition=models.Q(('failed_at', None), ('finished_at', None)), name='data_export_one_under_way'),
        ),
        migrations.AddIndex(
            model_name='deletion',
            index=models.Index(condition=models.Q(('finished_at', None)), fields=['id'], name='deletion_under_way'),
        ),
        migrations.RunSQL(ADD, DROP),
    ]
