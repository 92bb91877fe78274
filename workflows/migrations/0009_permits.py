"""Permits of guarded steps. They end with their activation whoever deletes it, and stay in its workspace."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

WALLS = """
ALTER TABLE workflows_permit ADD CONSTRAINT permit_of_activation
    FOREIGN KEY (activation_id) REFERENCES workflows_activation (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_permit ADD CONSTRAINT permit_workflow_of_agency
    FOREIGN KEY (workflow_id, agency_id) REFERENCES workflows_workflow (id, agency_id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_permit ADD CONSTRAINT permit_workspace_of_agency
    FOREIGN KEY (workspace_id, agency_id) REFERENCES workspaces_workspace (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE workflows_permit ADD CONSTRAINT permit_connection_in_workspace
    FOREIGN KEY (connection_id, workspace_id) REFERENCES connections_connection (id, workspace_id)
    DEFERRABLE INITIALLY DEFERRED;
"""
NO_WALLS = """
ALTER TABLE workflows_permit DROP CONSTRAINT permit_connection_in_workspace;
ALTER TABLE workflows_permit DROP CONSTRAINT permit_workspace_of_agency;
ALTER TABLE workflows_permit DROP CONSTRAINT permit_workflow_of_agency;
ALTER TABLE workflows_permit DROP CONSTRAINT permit_of_activation;
"""


def _to(model: str, **options: bool) -> "models.ForeignKey[models.Model, models.Model]":
    return models.ForeignKey(
        db_index=False, on_delete=django.db.models.deletion.CASCADE, to=model, **options
    )


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0009_calls_of_targets"),
        ("workflows", "0008_activation_by_day"),
        ("workspaces", "0004_invitations_and_two_step"),
    ]

    operations = [
        migrations.CreateModel(
            name="Permit",
            fields=[
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                ("step", models.CharField(max_length=60)),
                ("element", models.PositiveIntegerField(db_default=0)),
                ("amount", models.DecimalField(decimal_places=4, max_digits=19, null=True)),
                ("currency", models.CharField(blank=True, max_length=10)),
                ("likeness", models.CharField(max_length=64)),
                ("given_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ("activation", _to("workflows.activation", db_constraint=False)),
                ("agency", _to("workspaces.agency")),
                ("connection", _to("connections.connection")),
                ("workflow", _to("workflows.workflow")),
                ("workspace", _to("workspaces.workspace")),
            ],
            options={
                "indexes": [
                    models.Index(fields=["workflow", "step", "given_at"], name="permit_of_step"),
                    models.Index(fields=["workflow", "likeness", "given_at"], name="permit_of_the_like"),
                    models.Index(fields=["connection"], name="permit_of_connection"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        "activation",
                        "step",
                        "element",
                        name="permit_once_per_write",
                    )
                ],
            },
        ),
        migrations.RunSQL(WALLS, NO_WALLS),
    ]
