"""Settings, from environment variables that begin with `FHIR_`. Read once, by `main` and `cli`, and nowhere else."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSetting

from fhirserver.access.sensitivity import RESTRICTED, Label, parse_labels


class SettingsError(Exception):
    """Settings that can't be used; one line each in `lines`."""

    def __init__(self, lines: list[str]):
        super().__init__("\n".join(lines))
        self.lines = lines


def _postgresql(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError("begins with postgresql://")
    try:
        urlsplit(url).port  # noqa: B018
    except ValueError as error:
        raise ValueError("has a port that is not a number") from error
    return url


def _http_url(url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise ValueError("begins with http:// or https://")
    return url.rstrip("/") if url is not None else None


def _nodes(text: str) -> str:
    if text not in ("coordinator", "all"):
        for url in text.split(","):
            _postgresql(url.strip())
    return text


DatabaseUrl = Annotated[str, AfterValidator(_postgresql)]


class _Group(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class DatabaseSettings(_Group):
    """`url`: `postgresql://…`; without it the server runs a PostgreSQL of its own in `FHIR_DATA_DIR`.

    `migrate`: bring the schema to that of this version at the start. Without it the server needs no right to change
    the schema, and refuses to start on one that is older than it. `pooler`: what kind of pooler is before the database
    (`storage/engine.py`). `query_nodes`: `coordinator`, `all`, or the URLs of the nodes besides it, with commas.
    """

    url: DatabaseUrl | None = None
    migrate: bool = True
    pool_size: int = Field(10, ge=1, le=500)
    pooler: Literal["none", "transaction", "prepared"] = "none"
    query_nodes: Annotated[str, AfterValidator(_nodes)] = "coordinator"
    pool_timeout_seconds: float = Field(15.0, gt=0)
    patience_seconds: float = Field(15.0, ge=0, le=300)
    statement_timeout_ms: int = Field(30_000, ge=0)


class ServerSettings(_Group):
    """`base_url`: how clients address the FHIR base, where a proxy hides it: `https://example.org/fhir`.

    `cors_origins`: the origins whose pages may ask, separated by commas; `*` for all. `trusted_proxies`: addresses
    whose X-Forwarded-For and -Proto are believed.
    """

    base_url: str | None = None
    docs: bool = True
    cors_origins: str = ""
    trusted_proxies: str = ""

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins whose pages may ask."""
        return tuple(origin.strip() for origin in self.cors_origins.split(",") if origin.strip())

    @field_validator("base_url")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        return _http_url(url)


class IssuerSettings(_Group):
    """An OpenID Connect provider whose tokens are accepted, and what of them is believed (`access/issuers.py`).

    `allow_private` lets its addresses be private ones, and plain HTTP.
    """

    issuer: str
    audience: str
    algorithms: tuple[Literal["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"], ...] = ("RS256", "ES256")
    roles_claim: str = "roles"
    roles: dict[str, str] = {}
    default_roles: tuple[str, ...] = ()
    name_claim: str = "preferred_username"
    fhir_user_claim: str | None = None
    allow_private: bool = False
    ca_file: Path | None = None


class AuthSettings(_Group):
    """Who may come in. `self_registration`: the roles that somebody may register for, separated by commas.

    `private_key_sets`: the keys of clients (`jwks_uri`) may be at private addresses, and be had by plain HTTP.
    `sensitive_labels`: the labels of `meta.security` (`system|code`, separated by commas) that take clearance.
    """

    enabled: bool = True
    issuer: str | None = None
    audience: str | None = None
    access_token_minutes: int = Field(15, ge=1, le=1440)
    refresh_token_days: int = Field(14, ge=1, le=366)
    clock_skew_seconds: int = Field(30, ge=0, le=300)
    self_registration: str = ""
    password_min_length: int = Field(12, ge=8, le=64)
    key_passphrase: SecretStr | None = None
    private_key_sets: bool = False
    issuers: tuple[IssuerSettings, ...] = ()
    sensitive_labels: str = ",".join(f"{label.system}|{label.code}" for label in RESTRICTED)

    @property
    def registered_roles(self) -> tuple[str, ...]:
        """The roles that somebody may register for."""
        return tuple(role.strip() for role in self.self_registration.split(",") if role.strip())

    @property
    def labels(self) -> tuple[Label, ...]:
        """The labels that take clearance."""
        return parse_labels(self.sensitive_labels)

    @field_validator("sensitive_labels")
    @classmethod
    def _understood(cls, labels: str) -> str:
        parse_labels(labels)
        return labels

    @field_validator("self_registration")
    @classmethod
    def _no_admin(cls, roles: str) -> str:
        if "admin" in (role.strip() for role in roles.split(",")):
            raise ValueError("nobody registers as admin")
        return roles


class SearchSettings(_Group):
    """Sizes of pages, and the time zone of dates that have none."""

    default_count: int = Field(20, ge=1)
    max_count: int = Field(1000, ge=1)
    max_includes: int = Field(1000, ge=1)
    time_zone: str = "UTC"

    @model_validator(mode="after")
    def _default_within_max(self) -> Self:
        if self.default_count > self.max_count:
            raise ValueError("default_count is more than max_count")
        return self

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError) as error:
            raise ValueError("is not a time zone such as Europe/Madrid") from error
        return name


class ValidationSettings(_Group):
    """How writes are checked: `strict`, `structure` or `off`; `may_be_lowered`: requests may ask for less.

    `referential_integrity`: references have to lead to something, and what they lead to can't be deleted.
    `unknown_profiles`: whether a resource may claim a profile that the server does not know. `required_profiles`: by
    type, the profiles that its resources have to conform to; of several in a list of their own, to one of them.
    """

    mode: Annotated[Literal["strict", "structure", "off"], BeforeValidator(str.lower)] = "strict"
    may_be_lowered: bool = False
    referential_integrity: bool = False
    unknown_profiles: Annotated[Literal["accept", "refuse"], BeforeValidator(str.lower)] = "accept"
    required_profiles: dict[str, list[str | list[str]]] = {}

    @property
    def profiles_of(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """By type, what has to be conformed to: to one of each of these."""
        return {
            name: tuple((item,) if isinstance(item, str) else tuple(item) for item in listed)
            for name, listed in self.required_profiles.items()
        }

    @field_validator("required_profiles")
    @classmethod
    def _of_urls(cls, by_type: dict[str, list[str | list[str]]]) -> dict[str, list[str | list[str]]]:
        for name, listed in by_type.items():
            for item in listed:
                urls = [item] if isinstance(item, str) else item
                if not urls or not all(":" in url for url in urls):
                    raise ValueError(f"{name}: canonical URLs of profiles, or lists of them")
        return by_type


class LimitSettings(_Group):
    """What a request may not pass, and how many there may be in a minute (0: any number).

    `requests_per_minute` are those of one caller; `…_of_address` those from one address while it is not yet known who
    asks; `auth_requests_per_minute` those from one address to `/auth`.
    """

    body_bytes: int = Field(16 * 1024 * 1024, ge=1024)
    url_bytes: int = Field(16 * 1024, ge=256)
    nesting: int = Field(100, ge=10, le=500)
    header_bytes: int = Field(64 * 1024, ge=4096)
    header_seconds: float = Field(20.0, gt=0)
    body_seconds: float = Field(60.0, gt=0)
    requests_per_minute: int = Field(60_000, ge=0)
    requests_per_minute_of_address: int = Field(6_000, ge=0)
    auth_requests_per_minute: int = Field(120, ge=0)


class TerminologySettings(_Group):
    """`server_url`: the FHIR base of a terminology server, asked about what is not known here."""

    server_url: str | None = None
    timeout_seconds: float = Field(10.0, gt=0)

    @field_validator("server_url")
    @classmethod
    def _http(cls, url: str | None) -> str | None:
        return _http_url(url)


class JobSettings(_Group):
    """`run`: whether the processes of this server carry out jobs; `share`: the part of their time for that."""

    run: bool = True
    share: float = Field(0.5, gt=0, le=1)


class BackupSettings(_Group):
    """`folder`: where backups are. `url`: the database as a superuser (else as the server's); `replication_user`: the
    role that copies, if it is another. `programs`: the folder of PostgreSQL's programs.
    """

    folder: Path | None = None
    url: DatabaseUrl | None = None
    replication_user: str | None = None
    replication_password: SecretStr | None = None
    programs: Path | None = None


class AuditSettings(_Group):
    """The audit log, which is kept where there is access control. `enabled`: whether it is.

    `reads`: events of what changes nothing are written `before` the answer leaves, or in a `batch` twice a second.
    `required`: a request whose event can't be kept fails. `retention_days`: how long events are kept (0: for ever).
    `key`: with it, nobody who has the database alone can make the chain of hashes anew.
    """

    enabled: bool = True
    reads: Literal["before", "batch"] = "before"
    required: bool = True
    retention_days: int = Field(0, ge=0)
    key: SecretStr | None = None


class ObservabilitySettings(_Group):
    """What is logged, and how."""

    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], BeforeValidator(str.upper)] = "INFO"
    log_format: Literal["json", "console"] = "json"


class Settings(BaseSettings):
    """All settings. `FHIR_DATABASE__POOL_SIZE=20` sets `database.pool_size`; `FHIR_DATABASE_URL` is the URL too.

    `admin_username` and `admin_password` are those of the first administrator, for as long as there is none.
    """

    model_config = SettingsConfigDict(env_prefix="FHIR_", env_nested_delimiter="__", env_ignore_empty=True, frozen=True)

    database_url: DatabaseUrl | None = None
    data_dir: Path | None = None
    redis_url: SecretStr | None = None
    admin_username: str | None = None
    admin_password: SecretStr | None = None
    auth: AuthSettings = AuthSettings()
    database: DatabaseSettings = DatabaseSettings()
    server: ServerSettings = ServerSettings()
    search: SearchSettings = SearchSettings()
    validation: ValidationSettings = ValidationSettings()
    limits: LimitSettings = LimitSettings()
    terminology: TerminologySettings = TerminologySettings()
    jobs: JobSettings = JobSettings()
    backup: BackupSettings = BackupSettings()
    audit: AuditSettings = AuditSettings()
    observability: ObservabilitySettings = ObservabilitySettings()

    @property
    def dsn(self) -> str | None:
        """The database to use; None for the server's own."""
        return self.database_url or self.database.url


def load_settings() -> Settings:
    """The settings of this process. Raises SettingsError with a line for each that is wrong."""
    try:
        return Settings()
    except UnreadableSetting as error:
        raise SettingsError([f"FHIR_…: {error}"]) from error
    except ValidationError as error:
        raise SettingsError(
            [
                f"FHIR_{'__'.join(str(part) for part in problem['loc']).upper()}: "
                f"{problem['msg'].removeprefix('Value error, ')}"
                for problem in error.errors()
            ]
        ) from error
