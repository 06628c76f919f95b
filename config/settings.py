"""Every setting, read top to bottom, with its value from the environment where operators may choose.

A fresh clone starts without any variable. ``TRACKER_ENV=production`` is strict: secrets, hosts and both
server addresses must be given, and the site speaks HTTPS only. Domain numbers (thresholds, tolerances) are
not settings: they are dated data.
"""

import os
import secrets
from pathlib import Path
from typing import Any

import environ
import structlog
from celery.schedules import crontab
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config import embedded
from tracker.admin.unfold import UNFOLD  # noqa: F401 - how the admin looks: read by the theme
from tracker.core.version import VERSION

# Matrix products add up in one order on one thread, so that a run says the same on any machine; numpy reads this when it loads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

BASE_DIR = Path(__file__).resolve().parent.parent
STATE_DIR = embedded.state_dir()  # what this checkout keeps to itself: servers, keys, files
env = environ.Env()

ENVIRONMENT = env.str("TRACKER_ENV", default="development")
if ENVIRONMENT not in ("development", "production"):
    raise ImproperlyConfigured(f"TRACKER_ENV is 'development' or 'production', not '{ENVIRONMENT}'.")
PRODUCTION = ENVIRONMENT == "production"


def required(name: str, meaning: str) -> str:
    """The value of a variable that production cannot do without."""
    if value := os.environ.get(name, "").strip():
        return value
    raise ImproperlyConfigured(f"{name} is not set: {meaning}. Production needs it; see .env.example.")


def one_or_more(name: str, default: int) -> int:
    """A whole number from the environment that makes no sense below one."""
    if (value := env.int(name, default=default)) < 1:
        raise ImproperlyConfigured(f"{name} is {value}: it must be 1 or more.")
    return value


def development_key() -> str:
    """A random key of this checkout, made once and kept outside the repository.

    Two processes may start together: the one that creates the file wins and the other reads it.
    """
    path = STATE_DIR / "secret_key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        mine = path.with_name(f"secret_key.{os.getpid()}")
        mine.touch(mode=0o600)
        mine.write_text(secrets.token_urlsafe(64))
        try:
            os.link(mine, path)
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return path.read_text()


# --- who may ask --------------------------------------------------------------------------------------------

if PRODUCTION:
    SECRET_KEY = required("SECRET_KEY", "a long random text that signs sessions")
    if len(SECRET_KEY) < 50:
        raise ImproperlyConfigured("SECRET_KEY is shorter than 50 characters: make a longer random text.")
    hosts = required("ALLOWED_HOSTS", "host names the site answers to, with commas between")
    ALLOWED_HOSTS = [host.strip() for host in hosts.split(",")]
    if "*" in ALLOWED_HOSTS:
        raise ImproperlyConfigured("ALLOWED_HOSTS names '*', which is every host: name the site's own.")
    required("DATABASE_URL", "address of PostgreSQL, as postgresql://user:password@host/database")
    required("REDIS_URL", "address of Valkey or Redis, as redis://host:6379/0")
else:
    SECRET_KEY = os.environ.get("SECRET_KEY") or development_key()
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

DEBUG = env.bool("DEBUG", default=False)
if DEBUG and PRODUCTION:
    raise ImproperlyConfigured("DEBUG shows settings and source to visitors: production refuses it.")

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_AGE = 12 * 60 * 60  # seconds: one working day
if PRODUCTION:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    # Asked by the container's own health check, which does not come through the proxy.
    SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$"]
    SECURE_HSTS_SECONDS = 365 * 24 * 60 * 60
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
    if env.bool("BEHIND_TLS_PROXY", default=False):
        # Only where a proxy always overwrites this header: any visitor could claim to come by HTTPS.
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Strict everywhere; config.middleware widens it for the admin alone.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
        "object-src": [NONE],
    }
}

AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "admin:login"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = 1  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # nobody can lock a colleague out from elsewhere
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False

# --- what is installed --------------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",  # before the admin, whose templates it replaces
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_structlog",
    "csp",
    "health_check",
    "axes",
    "tracker",
    "api",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.middleware.PolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "axes.middleware.AxesMiddleware",  # last: it answers for logins that were locked out
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

LANGUAGE_CODE = "en-gb"
FORMAT_MODULE_PATH = "config.formats"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("STATIC_ROOT", default=str(STATE_DIR / "static")))
MEDIA_ROOT = Path(env.str("MEDIA_ROOT", default=str(STATE_DIR / "media")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = not PRODUCTION
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 2**20  # bytes of a request's body, uploaded files apart
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000
DATA_UPLOAD_MAX_NUMBER_FILES = 10
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 2**20  # bytes; a larger upload goes to disk

# --- servers ------------------------------------------------------------------------------------------------

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES: dict[str, Any] = {"default": env.db_url_config(embedded.database_url())}
DATABASES["default"] |= {
    "ENGINE": "django.db.backends.postgresql",
    "CONN_MAX_AGE": 60,
    "CONN_HEALTH_CHECKS": True,
}
# Milliseconds; 0 is no limit. config.wsgi sets it for the web; commands and workers have none unless told.
if timeout := env.int("TRACKER_STATEMENT_TIMEOUT_MS", default=0):
    DATABASES["default"].setdefault("OPTIONS", {})["options"] = f"-c statement_timeout={timeout}"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": embedded.redis_url(),
        "KEY_PREFIX": "tracker",
    }
}

CELERY_MODULE = "config.celery"
CELERY_BROKER_URL = embedded.broker_url()
CELERY_TASK_DEFAULT_QUEUE = env.str("TRACKER_QUEUE", default="celery")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600}  # seconds; then a lost task is given out again
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True  # what a run did is a row of the ledger
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_LOST_WAIT = (
    1.0  # seconds before the work of a killed process is given out again: no result is waited for
)
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker outlives its broker, however long that is away
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "config.beat:Scheduler"  # schedules are rows, edited in the admin
# First values (UTC); a task that is in the schedule already is left as the admin has it (Operations, Schedule; config/beat.py).
CELERY_BEAT_SCHEDULE = {
    "Runs: take up what died, give up what is past its deadline": {
        "task": "tracker.reap_runs",
        "schedule": 60.0,
        "description": "Each minute. Switched off, runs whose worker dies stand still for ever.",
    },
    "Screening: organizations and listed parties that changed": {
        "task": "tracker.screen_changes",
        "schedule": crontab(hour=1, minute=30),
        "description": "Compares what was recorded or loaded since the last time with the lists of restricted parties.",
    },
    "Full run: the whole ledger, and its report": {
        "task": "tracker.reconcile_all",
        "schedule": crontab(hour=2, minute=15),
        "description": "Reads everything as it is known when it begins; publishes discrepancies and the report when it is done.",
    },
    "Run over changes: what was recorded since the latest run": {
        "task": "tracker.reconcile_changes",
        "schedule": crontab(minute=5),
        "description": "Each hour. Goes on from the latest run of the day; does nothing if no record changed.",
    },
    "Proof: the ledger held against itself": {
        "task": "tracker.verify_ledger",
        "schedule": crontab(hour=4, minute=30),
        "description": "Works stored numbers out again, and names every row that does not hold (Operations, Proofs).",
    },
    "Reports: of finished runs that have none": {
        "task": "tracker.publish_reports",
        "schedule": crontab(hour=6, minute=0),
        "description": "Each run builds its report when it ends; this builds what was missed.",
    },
}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
DJANGO_CELERY_BEAT_TZ_AWARE = True

# Runs: how long one may stand still (minutes), how often it is then taken up again, and when it is given up (hours).
RUN_LEASE_MINUTES = one_or_more("TRACKER_RUN_LEASE_MINUTES", 5)
RUN_TAKE_UPS = one_or_more("TRACKER_RUN_TAKE_UPS", 12)
RUN_DEADLINE_HOURS = one_or_more("TRACKER_RUN_DEADLINE_HOURS", 24)

# --- the API ------------------------------------------------------------------------------------------------

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env.str("TRACKER_RATE_ANON", default="60/min"),
        "user": env.str("TRACKER_RATE_USER", default="600/min"),
        "export": env.str("TRACKER_RATE_EXPORT", default="30/hour"),
        "ask": env.str("TRACKER_RATE_ASK", default="300/hour"),
        "start": env.str("TRACKER_RATE_START", default="20/hour"),
    },
}
SPECTACULAR_SETTINGS = {
    "TITLE": "AI chip supply-chain ledger",
    "DESCRIPTION": "Chips, organizations, data centers, shipments, licences and reported quantities, with sources.",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",  # the pages of the documentation ask no other host
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# --- logs ---------------------------------------------------------------------------------------------------

LOG_LEVEL = env.str("TRACKER_LOG_LEVEL", default="INFO" if PRODUCTION else "WARNING")
_BEFORE: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        *_BEFORE,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "lines": {
            "()": "structlog.stdlib.ProcessorFormatter",
            "foreign_pre_chain": _BEFORE,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer()
                if PRODUCTION
                else structlog.processors.KeyValueRenderer(
                    key_order=["timestamp", "level", "logger", "event"]
                ),
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # Django's own set-up would write these a second time, and mail errors to nobody.
    "loggers": {"django": {"level": LOG_LEVEL, "handlers": [], "propagate": True}},
}
DJANGO_STRUCTLOG_CELERY_ENABLED = True
