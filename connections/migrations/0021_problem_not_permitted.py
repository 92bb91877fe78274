from django.db import migrations, models


class Migration(migrations.Migration):
    """Only the words change: what the column takes, it took before."""

    dependencies = [("connections", "0020_untold_connect_links")]

    operations = [
        migrations.AlterField(
            model_name="connection",
            name="problem",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "None"),
                    ("grant-refused", "Grant Refused"),
                    ("tenant-gone", "Tenant Gone"),
                    ("scope-missing", "Scope Missing"),
                    ("not-permitted", "Not Permitted"),
                    ("not-reached", "Not Reached"),
                ],
                db_default="",
                max_length=20,
            ),
        ),
    ]
