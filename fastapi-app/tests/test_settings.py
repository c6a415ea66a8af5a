"""Settings: defaults, names in the environment, and one clear line for each that is wrong."""

import pytest
from pydantic import ValidationError

from fhirserver.settings import SettingsError, load_settings


@pytest.fixture(autouse=True)
def _without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in os.environ:
        if name.startswith("FHIR_"):
            monkeypatch.delenv(name)


def test_defaults():
    settings = load_settings()
    assert settings.dsn is None
    assert settings.limits.body_bytes == 16 * 1024 * 1024
    assert settings.limits.nesting == 100
    assert settings.search.default_count == 20
    assert settings.search.max_count == 1000
    assert settings.search.time_zone == "UTC"
    assert settings.observability.log_level == "INFO"


@pytest.mark.parametrize(
    ("name", "value", "group", "field", "expected"),
    [
        ("FHIR_DATABASE__POOL_SIZE", "25", "database", "pool_size", 25),
        ("FHIR_DATABASE__STATEMENT_TIMEOUT_MS", "0", "database", "statement_timeout_ms", 0),
        ("FHIR_SERVER__BASE_URL", "https://example.org/fhir/", "server", "base_url", "https://example.org/fhir"),
        ("FHIR_SERVER__DOCS", "false", "server", "docs", False),
        ("FHIR_SEARCH__TIME_ZONE", "Europe/Madrid", "search", "time_zone", "Europe/Madrid"),
        ("FHIR_OBSERVABILITY__LOG_LEVEL", "warning", "observability", "log_level", "WARNING"),
        ("FHIR_OBSERVABILITY__LOG_FORMAT", "console", "observability", "log_format", "console"),
    ],
)
def test_a_setting_is_read_from_the_environment(monkeypatch, name, value, group, field, expected):
    monkeypatch.setenv(name, value)
    assert getattr(getattr(load_settings(), group), field) == expected


@pytest.mark.parametrize("name", ["FHIR_DATABASE_URL", "FHIR_DATABASE__URL"])
def test_the_database_has_two_names(monkeypatch, name):
    monkeypatch.setenv(name, "postgresql://u:p@db/clinical_records")
    assert load_settings().dsn == "postgresql://u:p@db/clinical_records"


def test_an_empty_variable_is_as_one_that_is_not_set(monkeypatch):
    monkeypatch.setenv("FHIR_DATABASE_URL", "")
    assert load_settings().dsn is None


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("FHIR_DATABASE_URL", "mysql://u:secret@db/x", "begins with postgresql://"),
        ("FHIR_DATABASE_URL", "postgresql://u:secret@db:port/x", "has a port that is not a number"),
        ("FHIR_DATABASE__POOL_SIZE", "many", "valid integer"),
        ("FHIR_DATABASE__POOL_SIZE", "0", "greater than or equal to 1"),
        ("FHIR_DATABASE__POOLSIZE", "3", "not permitted"),
        ("FHIR_SERVER__BASE_URL", "example.org", "begins with http"),
        ("FHIR_SEARCH__TIME_ZONE", "Mars/Olympus", "is not a time zone"),
        ("FHIR_SEARCH__TIME_ZONE", "../../etc/passwd", "is not a time zone"),
        ("FHIR_SEARCH__DEFAULT_COUNT", "5000", "default_count is more than max_count"),
        ("FHIR_LIMITS__NESTING", "-1", "greater than or equal to"),
        ("FHIR_OBSERVABILITY__LOG_LEVEL", "loud", "'DEBUG', 'INFO'"),
        ("FHIR_SERVER", "{broken", "server"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_it(monkeypatch, name, value, reason):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    (line,) = raised.value.lines
    assert line.startswith(name.split("__")[0] if name != "FHIR_SERVER" else "FHIR_")
    assert reason in line
    assert "\n" not in line
    assert "secret" not in line


def test_all_problems_are_told_at_once(monkeypatch):
    monkeypatch.setenv("FHIR_DATABASE__POOL_SIZE", "x")
    monkeypatch.setenv("FHIR_SEARCH__TIME_ZONE", "x")
    monkeypatch.setenv("FHIR_DATABASE_URL", "x")
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert sorted(line.partition(":")[0] for line in raised.value.lines) == [
        "FHIR_DATABASE_URL",
        "FHIR_DATABASE__POOL_SIZE",
        "FHIR_SEARCH__TIME_ZONE",
    ]


def test_settings_do_not_change():
    with pytest.raises(ValidationError):
        load_settings().database.pool_size = 1
