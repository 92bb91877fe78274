from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def note(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """What is due is due by the zone that its workspace has had so far."""
    applications = apps.get_model("workflows", "WorkflowConnection").objects
    zone = apps.get_model("connections", "Connection").objects.filter(pk=models.OuterRef("connection"))
    applications.exclude(due_at=None).update(due_zone=models.Subquery(zone.values("workspace__timezone")))


class Migration(migrations.Migration):
    dependencies = [
        ("workflows", "0013_step_history_by_month"),
        ("connections", "0016_reconciliation"),
    ]
    operations = [
        migrations.AddField(
            "workflowconnection", "due_zone", models.CharField(max_length=64, db_default="")
        ),
        migrations.RunPython(note, migrations.RunPython.noop, elidable=True),
    ]
