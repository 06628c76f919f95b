"""The app, and what is loaded with it."""

from importlib import import_module
from pkgutil import iter_modules

from django.apps import AppConfig
from django.conf import settings
from django.db.models.signals import post_migrate
from django.utils.module_loading import import_string


class TrackerConfig(AppConfig):
    name = "tracker"
    verbose_name = "Supply-chain ledger"

    def ready(self) -> None:
        # Named in the settings, not imported: the ledger must not know the project that runs it. Without it a
        # shared
        # task would bind to a default broker.
        import_module(settings.CELERY_MODULE)
        # After auth's own receiver, which creates the permissions that the roles hold.
        post_migrate.connect(import_string("tracker.reviews.services.ensure_roles"), sender=self)
        if "django.contrib.admin" in settings.INSTALLED_APPS:
            package = import_module("tracker.admin")
            for module in iter_modules(package.__path__):
                import_module(f"tracker.admin.{module.name}")
