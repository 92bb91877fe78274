"""Invitations, with the wall that keeps each in its own agency, and the demand for two-step login."""

import django.db.models.deletion
import django.db.models.functions.datetime
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

ADD = """
ALTER TABLE workspaces_invitation ADD CONSTRAINT invitation_workspace_of_agency
    FOREIGN KEY (workspace_id, agency_id) REFERENCES workspaces_workspace (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
"""
DROP = "ALTER TABLE workspaces_invitation DROP CONSTRAINT invitation_workspace_of_agency;"


class Migration(migrations.Migration):

    dependencies = [
        ('workspaces', '0003_audit_by_verb_and_workspace'),
    ]

    operations = [
        migrations.AddField(
            model_name='agency',
            name='two_step_required',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('email', models.EmailField(max_length=254, verbose_name='e-mail address')),
                ('role', models.CharField(choices=[('admin', 'Admin'), ('member', 'Member'), ('client', 'client user')], max_length=10)),
                ('token_hash', models.CharField(max_length=64, unique=True)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('sent_at', models.DateTimeField(null=True)),
                ('expires_at', models.DateTimeField()),
                ('accepted_at', models.DateTimeField(null=True)),
                ('revoked_at', models.DateTimeField(null=True)),
                ('accepted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('agency', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='invitations', to='workspaces.agency')),
                ('invited_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('workspace', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='invitations', to='workspaces.workspace')),
            ],
            options={
                'constraints': [models.UniqueConstraint(models.F('agency'), models.F('email'), condition=models.Q(('accepted_at', None), ('revoked_at', None)), name='invitation_one_open'), models.CheckConstraint(condition=models.Q(models.Q(('role__in', ('admin', 'member')), ('workspace', None)), models.Q(('role', 'client'), ('workspace__isnull', False)), _connector='OR'), name='invitation_role_fits_place'), models.CheckConstraint(condition=models.Q(('email', django.db.models.functions.text.Lower('email'))), name='invitation_email_small')],
            },
        ),
        migrations.RunSQL(ADD, DROP),
    ]
