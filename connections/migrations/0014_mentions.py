"""Which delivery reported on whom, and how long answering it took."""

import django.db.models.deletion
from django.db import migrations, models

WALLS = """
ALTER TABLE connections_mention ADD CONSTRAINT mention_connection_in_workspace
    FOREIGN KEY (connection_id, workspace_id) REFERENCES connections_connection (id, workspace_id)
    DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE connections_mention ADD CONSTRAINT mention_connection_in_agency
    FOREIGN KEY (connection_id, agency_id) REFERENCES connections_connection (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
"""
NO_WALLS = """
ALTER TABLE connections_mention DROP CONSTRAINT mention_connection_in_workspace;
ALTER TABLE connections_mention DROP CONSTRAINT mention_connection_in_agency;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("connections", "0013_secret_values"),
        ("workspaces", "0004_invitations_and_two_step"),
    ]
    operations = [
        migrations.AddField("delivery", "answer_ms", models.FloatField(null=True)),
        migrations.CreateModel(
            name="Mention",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("events", models.PositiveIntegerField()),
                ("fresh", models.PositiveIntegerField()),
                (
                    "agency",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workspaces.agency",
                    ),
                ),
                (
                    "connection",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="connections.connection",
                    ),
                ),
                (
                    "delivery",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="mentions",
                        to="connections.delivery",
                    ),
                ),
                (
                    "workspace",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="workspaces.workspace",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["agency", "-delivery"],
                        name="mention_newest_in_agency",
                    ),
                    models.Index(
                        fields=["workspace", "-delivery"],
                        name="mention_newest",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("delivery"), models.F("connection"), name="mention_once"
                    )
                ],
            },
        ),
        migrations.RunSQL(WALLS, NO_WALLS),
    ]
