from django.contrib.postgres.operations import CryptoExtension
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    operations = [
        CryptoExtension(),
        migrations.CreateModel("Order", [("id", models.BigAutoField(primary_key=True, auto_created=True, serialize=False, verbose_name="ID")), ("note", models.TextField())]),
    ]
