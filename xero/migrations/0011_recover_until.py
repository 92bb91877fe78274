"""Until when changes are looked for that no webhook told of."""


from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('xero', '0010_names_with_blanks'),
    ]

    operations = [
        migrations.AddField(
            model_name='ledger',
            name='recover_until',
            field=models.DateTimeField(null=True),
        ),
    ]
