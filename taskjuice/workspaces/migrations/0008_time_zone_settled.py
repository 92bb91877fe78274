from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0007_exports_and_deletions")]
    operations = [
        migrations.AddField(
            "workspace", "timezone_settled", models.BooleanField(default=False, db_default=False)
        ),
    ]
