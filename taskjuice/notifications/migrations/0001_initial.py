"""Incidents, who was told of them, who wants to hear of what. An incident's client belongs to its agency."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

KIND = [
    ("reauthorise", "A connection needs to be reauthorised"),
    ("webhooks", "Xero’s webhooks do not come through"),
    ("decide", "A write needs a decision"),
    ("failed", "Activations of a workflow fail"),
    ("parked", "A connection waits for Xero’s limits for more than an hour"),
]
CADENCE = [("immediate", "At once"), ("daily", "Once a day"), ("off", "Not by e-mail")]
WALL = """
ALTER TABLE notices_incident ADD CONSTRAINT incident_workspace_of_agency
    FOREIGN KEY (workspace_id, agency_id) REFERENCES workspaces_workspace (id, agency_id)
    DEFERRABLE INITIALLY DEFERRED;
"""
NO_WALL = "ALTER TABLE notices_incident DROP CONSTRAINT incident_workspace_of_agency;"


def key():
    return models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


def to(model, **options):
    return models.ForeignKey(
        on_delete=django.db.models.deletion.CASCADE, to=model, **{"related_name": "+"} | options
    )


def now():
    return models.DateTimeField(db_default=django.db.models.functions.datetime.Now())


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("workspaces", "0004_invitations_and_two_step"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.CreateModel(
            name="Incident",
            fields=[
                ("id", key()),
                ("kind", models.CharField(choices=KIND, max_length=20)),
                ("key", models.CharField(max_length=100)),
                ("name", models.CharField(max_length=300)),
                ("path", models.CharField(max_length=300)),
                ("opened_at", now()),
                ("closed_at", models.DateTimeField(null=True)),
                ("agency", to("workspaces.agency", related_name="incidents")),
                ("workspace", to("workspaces.workspace", null=True)),
            ],
            options={
                "indexes": [models.Index(fields=["agency", "-opened_at"], name="incident_newest")],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("agency"),
                        models.F("kind"),
                        models.F("key"),
                        condition=models.Q(("closed_at", None)),
                        name="incident_open_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Told",
            fields=[
                ("id", key()),
                ("at", now()),
                ("incident", to("notices.incident", related_name="told", db_index=False)),
                ("user", to(settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("incident"), models.F("user"), name="told_once")
                ]
            },
        ),
        migrations.CreateModel(
            name="Wish",
            fields=[
                ("id", key()),
                ("kind", models.CharField(choices=KIND, max_length=20)),
                ("cadence", models.CharField(choices=CADENCE, max_length=10)),
                ("user", to(settings.AUTH_USER_MODEL, related_name="notice_wishes")),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "kind"), name="wish_once")]
            },
        ),
        migrations.CreateModel(
            name="Reader",
            fields=[
                ("id", key()),
                ("read_at", models.DateTimeField(null=True)),
                ("digest_on", models.DateField(null=True)),
                ("agency", to("workspaces.agency")),
                ("user", to(settings.AUTH_USER_MODEL)),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("user", "agency"), name="reader_once")]
            },
        ),
        migrations.RunSQL(WALL, NO_WALL),
    ]
