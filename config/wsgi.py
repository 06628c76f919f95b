"""The WSGI application that gunicorn serves."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
# A page that takes half a minute has lost its reader; commands and workers may take their time.
os.environ.setdefault("TRACKER_STATEMENT_TIMEOUT_MS", "30000")

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
