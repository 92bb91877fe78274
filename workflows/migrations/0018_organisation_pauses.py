"""Workflows rest at single organisations, failures in a row are counted there, and runs by hand name the person."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

# A pause meets only rows of its own agency.
ADD = """
ALTER TABLE workflows_organisationpause ADD CONSTRAINT organisation_pause_workflow_of_agency
    FOREIGN KEY (workflow_id, agency_id) REFERENCES workflows_workflow (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_organisationpause ADD CONSTRAINT organisation_pause_connection_of_agency
    FOREIGN KEY (connection_id, agency_id) REFERENCES connections_connection (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
"""
DROP = """
ALTER TABLE workflows_organisationpause DROP CONSTRAINT organisation_pause_connection_of_agency;
ALTER TABLE workflows_organisationpause DROP CONSTRAINT organisation_pause_workflow_of_agency;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('connections', '0017_keys_checked_once'),
        ('workflows', '0017_list_indexes'),
        ('workspaces', '0008_time_zone_settled'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='activation',
            name='run_by',
            field=models.CharField(db_default='', max_length=254),
        ),
        migrations.AddField(
            model_name='workflowconnection',
            name='failures',
            field=models.PositiveIntegerField(db_default=0),
        ),
        migrations.CreateModel(
            name='OrganisationPause',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('since', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('until', models.DateTimeField(null=True)),
                ('why', models.CharField(db_default='', max_length=300)),
                ('by_name', models.CharField(db_default='', max_length=254)),
                ('by_safety', models.BooleanField(db_default=False)),
                ('holds', models.BooleanField(db_default=False)),
                ('agency', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, to='workspaces.agency')),
                ('by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('connection', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='workflow_pauses', to='connections.connection')),
                ('workflow', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='pauses', to='workflows.workflow')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('by_safety', True)), fields=['agency'], name='organisation_pause_safety')],
                'constraints': [models.UniqueConstraint(models.F('workflow'), models.F('connection'), name='organisation_pause_once'), models.CheckConstraint(condition=models.Q(('by_safety', False), ('holds', True), _connector='OR'), name='organisation_pause_safe_holds')],
            },
        ),
        migrations.RunSQL(ADD, DROP),
    ]
