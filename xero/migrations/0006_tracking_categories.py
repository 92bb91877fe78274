"""Tracking categories are read like accounts; a composite foreign key keeps each in its workspace."""

import django.db.models.deletion
from django.db import migrations, models

import taskjuice.exact_json

WALL = """
ALTER TABLE xero_trackingcategory ADD CONSTRAINT tracking_category_in_workspace
FOREIGN KEY (connection_id, workspace_id) REFERENCES connections_connection (id, workspace_id)
DEFERRABLE INITIALLY DEFERRED;
"""
NO_WALL = "ALTER TABLE xero_trackingcategory DROP CONSTRAINT tracking_category_in_workspace;"


class Migration(migrations.Migration):
    dependencies = [("xero", "0005_grams")]
    operations = [
        migrations.CreateModel(
            name="TrackingCategory",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("xero_id", models.UUIDField()),
                ("updated_utc", models.DateTimeField()),
                ("first_updated_utc", models.DateTimeField()),
                ("body", taskjuice.exact_json.ExactJSONField()),
                ("name", models.CharField(max_length=100)),
                ("status", models.CharField(max_length=20)),
                ("options", models.JSONField(default=list)),
                (
                    "connection",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="connections.connection",
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
            options={"verbose_name_plural": "tracking categories"},
        ),
        migrations.AddConstraint(
            "trackingcategory",
            models.UniqueConstraint("connection", "xero_id", name="tracking_category_once"),
        ),
        migrations.RunSQL(WALL, NO_WALL),
    ]
