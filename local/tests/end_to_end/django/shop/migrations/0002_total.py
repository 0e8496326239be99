from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("shop", "0001_initial")]
    operations = [
        migrations.AlterField("Order", "note", models.CharField(max_length=100)),
        migrations.AddField("Order", "total", models.DecimalField(max_digits=9, decimal_places=2, default=0)),
        migrations.AddIndex("Order", models.Index(fields=["note"], name="shop_order_note_cea4f7_idx")),
    ]
