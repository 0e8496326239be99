from django.db import models


class Order(models.Model):
    note = models.CharField(max_length=100)
    total = models.DecimalField(max_digits=9, decimal_places=2, default=0)

    class Meta:
        indexes = [models.Index(fields=["note"])]
