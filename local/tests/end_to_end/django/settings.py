"""A Django project with Django's own applications and one of its own, on the database that the container's variables name."""

import os

SECRET_KEY = "for this test only"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "shop",
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": os.environ["PG_HOST"],
        "PORT": os.environ["PG_PORT"],
        "NAME": os.environ["PG_DATABASE"],
        "USER": os.environ["PG_USER"],
        "PASSWORD": os.environ["PG_CREDENTIALS_SECRET"],
        "OPTIONS": {"sslmode": "require"},
    }
}
