"""The tables, as SQLAlchemy metadata. Alembic creates them (`migrations/`); what each is for is in decisions/0002."""

from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

metadata = MetaData()

_LIVE = text("content IS NOT NULL")
_GIN: dict[str, Any] = {"postgresql_using": "gin", "postgresql_with": {"gin_pending_list_limit": 256}}
"""What is pending is gone through by each search by the index: 256 kB of it, and not the 4 MB that are usual."""

resource = Table(
    "resource",
    metadata,
    Column("bucket", Integer, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("version_id", BigInteger, nullable=False),
    Column("last_updated", DateTime(timezone=True), nullable=False),
    Column("deleted", Boolean, nullable=False, server_default=text("false")),
    Column("forward_to", Integer),
    Column("content", JSON),
    Column("keys", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("range_key", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("range_low", ARRAY(Double), nullable=False, server_default=text("'{}'")),
    Column("range_high", ARRAY(Double), nullable=False, server_default=text("'{}'")),
    Column("ref_key", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("ref_target", ARRAY(BigInteger), nullable=False, server_default=text("'{}'")),
    Column("self_key", BigInteger),
    Column("strings", Text, nullable=False, server_default=text("''")),
    Column("texts", Text, nullable=False, server_default=text("''")),
    Column("words", TSVECTOR),
    Column("sort_date", DateTime(timezone=True)),
    Column("index_version", Integer, nullable=False, server_default=text("0")),
    Column("audit_stream", Integer),
    Column("audit_sequence", BigInteger),
    Column("audit_hash", LargeBinary),
    PrimaryKeyConstraint("bucket", "resource_type", "id"),
    CheckConstraint("(content IS NULL) = (deleted OR forward_to IS NOT NULL)", name="resource_content"),
    Index("resource_keys", "keys", **_GIN),
    Index(
        "resource_strings",
        "strings",
        postgresql_ops={"strings": "gin_trgm_ops"},
        postgresql_where=text("strings <> ''"),
        **_GIN,
    ),
    Index("resource_words", "words", **_GIN),
    Index("resource_by_id", "resource_type", "id", postgresql_where=_LIVE),
    Index("resource_by_last_updated", "resource_type", "last_updated", "id"),
    Index("resource_by_time", "last_updated"),
    Index(
        "resource_by_sort_date",
        "resource_type",
        text("sort_date DESC NULLS LAST"),
        text("id DESC"),
        postgresql_where=_LIVE,
    ),
    Index("resource_by_sort_date_up", "resource_type", "sort_date", "id", postgresql_where=_LIVE),
    Index("resource_by_self_key", "self_key", postgresql_where=_LIVE),
    Index("resource_by_audit", "audit_stream", "audit_sequence", postgresql_where=text("audit_stream IS NOT NULL")),
)

resource_history = Table(
    "resource_history",
    metadata,
    Column("bucket", Integer, nullable=False),
    Column("resource_type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("version_id", BigInteger, nullable=False),
    Column("last_updated", DateTime(timezone=True), nullable=False),
    Column("superseded", DateTime(timezone=True), nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("content", JSON),
    PrimaryKeyConstraint("bucket", "resource_type", "id", "version_id"),
    Index("resource_history_by_last_updated", "resource_type", "last_updated", "id"),
    Index("resource_history_by_time", "last_updated"),
)

compartment_outside = Table(
    "compartment_outside",
    metadata,
    Column("bucket", Integer, nullable=False),
    Column("patient", Text, nullable=False),
    Column("resource_type", Text, nullable=False),
    PrimaryKeyConstraint("bucket", "patient", "resource_type"),
)

load_receipt = Table(
    "load_receipt",
    metadata,
    Column("bucket", Integer, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("loaded", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    PrimaryKeyConstraint("bucket", "digest"),
)

server_secret = Table(
    "server_secret",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

code_system = Table(
    "code_system",
    metadata,
    Column("key", BigInteger, primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("header", JSON, nullable=False),
    Column("size", Integer, nullable=False),
    Column("ready", Boolean, nullable=False),
    Column("loaded", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    Index("code_system_by_url", "url"),
)

concept = Table(
    "concept",
    metadata,
    Column("code_system", BigInteger, nullable=False),
    Column("code", Text, nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("display", Text),
    Column("inactive", Boolean, nullable=False),
    Column("abstract", Boolean, nullable=False),
    Column("self_key", BigInteger, nullable=False),
    Column("keys", ARRAY(BigInteger), nullable=False),
    Column("words", TSVECTOR, nullable=False),
    Column("detail", JSON, nullable=False),
    PrimaryKeyConstraint("code_system", "code"),
    Index("concept_by_ordinal", "code_system", "ordinal"),
    Index("concept_by_length", "code_system", text("length(display)"), "ordinal"),
    Index("concept_by_self_key", "self_key"),
    Index("concept_keys", "keys", postgresql_using="gin"),
    Index("concept_words", "words", postgresql_using="gin"),
)

app_user = Table(
    "app_user",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False, unique=True),
    Column("email", Text, nullable=False),
    Column("full_name", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("roles", ARRAY(Text), nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("fhir_user", Text),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
)

app_role = Table(
    "app_role",
    metadata,
    Column("name", Text, primary_key=True),
    Column("scopes", Text, nullable=False),
    Column("description", Text, nullable=False),
)

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("scope", Text, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("expires", DateTime(timezone=True), nullable=False),
    Column("revoked", Boolean, nullable=False, server_default=text("false")),
)

signing_key = Table(
    "signing_key",
    metadata,
    Column("kid", Text, primary_key=True),
    Column("private_pem", LargeBinary, nullable=False),
    Column("public_jwk", JSON, nullable=False),
    Column("active", DateTime(timezone=True), nullable=False),
    Column("retires", DateTime(timezone=True)),
)

access_change = Table(
    "access_change",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, index=True, server_default=text("now()")),
)

sign_in = Table(
    "sign_in",
    metadata,
    Column("bucket", Integer, nullable=False),
    Column("id", Text, nullable=False),
    Column("user_id", Text, nullable=False, index=True),
    Column("digest", LargeBinary, nullable=False),
    Column("scope", Text),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("expires", DateTime(timezone=True), nullable=False),
    Column("revoked", Boolean, nullable=False, server_default=text("false")),
    Column("kind", Text, nullable=False, server_default=text("'login'")),
    Column("client_id", Text),
    Column("context", JSON),
    PrimaryKeyConstraint("bucket", "id"),
)

login_attempt = Table(
    "login_attempt",
    metadata,
    Column("bucket", Integer, nullable=False),
    Column("subject", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("last", DateTime(timezone=True), nullable=False),
    Column("locked_until", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("bucket", "subject"),
)

revoked_token = Table(
    "revoked_token",
    metadata,
    Column("bucket", Integer, nullable=False),
    Column("id", Text, nullable=False),
    Column("expires", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("bucket", "id"),
)

oauth_client = Table(
    "oauth_client",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("redirect_uris", ARRAY(Text), nullable=False),
    Column("scope", Text, nullable=False),
    Column("created", DateTime(timezone=True), nullable=False),
    Column("jwks", JSON),
    Column("jwks_uri", Text),
    Column("secret_digest", LargeBinary),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
)

single_use = Table(
    "single_use",
    metadata,
    Column("bucket", Integer, nullable=False),
    Column("id", Text, nullable=False),
    Column("content", JSON, nullable=False),
    Column("used_for", Text),
    Column("expires", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("bucket", "id"),
)

audit_stream = Table(
    "audit_stream",
    metadata,
    Column("bucket", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("opened", DateTime(timezone=True), nullable=False),
    Column("first_sequence", BigInteger, nullable=False),
    Column("first_hash", LargeBinary, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("key", LargeBinary, nullable=False),
    PrimaryKeyConstraint("bucket", "number"),
)

conformance_change = Table(
    "conformance_change",
    metadata,
    Column("resource_type", Text, primary_key=True),
    Column("number", Integer, nullable=False),
)

search_parameter = Table(
    "search_parameter",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False, unique=True),
    Column("definition", JSON, nullable=False),
    Column("since", Integer, nullable=False),
    Column("ready", Boolean, nullable=False),
)

index_format = Table(
    "index_format",
    metadata,
    Column("format", Integer, primary_key=True),
    Column("since", Integer, nullable=False),
    Column("ready", Boolean, nullable=False),
)

job = Table(
    "job",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("parameters", JSON, nullable=False),
    Column("progress", JSON, nullable=False),
    Column("requester", Text, nullable=False),
    Column("requested", DateTime(timezone=True), nullable=False),
    Column("finished", DateTime(timezone=True)),
    Column("owner", Text),
    Column("heartbeat", DateTime(timezone=True)),
)

consent_denial = Table(
    "consent_denial",
    metadata,
    Column("id", Text, primary_key=True),
    Column("content", JSON),
    Column("since", Integer, nullable=False),
    Index("consent_denial_by_since", "since"),
)

DISTRIBUTED = (
    resource,
    resource_history,
    compartment_outside,
    load_receipt,
    sign_in,
    login_attempt,
    revoked_token,
    single_use,
    audit_stream,
)
REFERENCE = (
    server_secret,
    code_system,
    concept,
    app_user,
    app_role,
    api_key,
    signing_key,
    access_change,
    oauth_client,
    conformance_change,
    search_parameter,
    index_format,
    consent_denial,
    job,
)
