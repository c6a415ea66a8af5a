"""The Compose files: what each container may do, that no password has a default, and that the parts agree."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhirserver.observability.metrics import render

REPO = Path(__file__).parents[3]
FILES = {name: (REPO / name).read_text() for name in ("docker-compose.yml", "docker-compose.dev.yml")}
SERVICES: dict[str, dict[str, Any]] = {
    name: service for text in FILES.values() for name, service in yaml.safe_load(text)["services"].items()
}
# They end when they are done.
RESTART = {"certificates": None, "migrate": "on-failure", "citus-register": "on-failure", "citus-backup": None}


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_may_do_no_more_than_it_needs(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "mem_limit" in service
    assert not {"privileged", "pid", "cap_add", "userns_mode"} & service.keys()
    assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", []))
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", SERVICES)
def test_images_have_a_version(name):
    image = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", SERVICES[name]["image"])
    assert re.search(r":(local|dev|v?\d[\w.-]*)$", image), image


@pytest.mark.parametrize("name", SERVICES)
def test_it_comes_back_after_a_crash_unless_it_ends_by_itself(name):
    assert SERVICES[name].get("restart") == RESTART.get(name, "unless-stopped")


def test_passwords_have_no_default():
    for name, text in FILES.items():
        for reference in re.findall(r"\$\{\w*PASSWORD[^}]*\}", text):
            assert ":?" in reference, f"{name}: {reference}"
        assert not re.search(r"PASSWORD\w*: *[\"']?\w", text), name


def test_each_role_has_its_password_wherever_one_is_wanted():
    folder = REPO / "postgres-citus"
    names = set(re.findall(r"\\getenv \w+ (\w+)", (folder / "init" / "02-roles.sql").read_text()))
    assert len(names) == 5
    prepare = (folder / "prepare-node.sh").read_text()
    for name in names | {"POSTGRES_PASSWORD"}:
        assert name in prepare
        assert name in SERVICES["citus-coordinator"]["environment"]
        assert name.removesuffix("_PASSWORD") in (REPO / "shell_functions.bash").read_text()


def test_the_certificate_names_each_node():
    names = SERVICES["certificates"]["command"][2:]
    nodes = {service["hostname"] for service in SERVICES.values() if "hostname" in service}
    assert nodes <= set(names)


def test_the_api_has_no_right_to_change_the_schema():
    environment = SERVICES["api"]["environment"]
    assert environment["FHIR_DATABASE_URL"].startswith("postgresql://fhir_app:")
    assert environment["FHIR_DATABASE__MIGRATE"] == "false"
    assert SERVICES["migrate"]["environment"]["FHIR_DATABASE_URL"].startswith("postgresql://fhir_owner:")


def exported() -> set[str]:
    """The names of all metrics that are the project's own."""
    names = set(re.findall(r"^# TYPE (\w+)", render()[0].decode(), re.MULTILINE))
    histograms = {f"{name}_{part}" for name in names for part in ("bucket", "count", "sum")}
    queries = yaml.safe_load((REPO / "monitoring" / "postgres-exporter.yml").read_text())
    asked = {f"{prefix}_{name}" for prefix, query in queries.items() for each in query["metrics"] for name in each}
    return names | histograms | asked


@pytest.mark.parametrize("file", ["grafana/dashboards/fhir.json", "alerts.yml"])
def test_what_is_shown_and_watched_exists(file):
    text = (REPO / "monitoring" / file).read_text()
    if file.endswith(".json"):
        expressions = [target["expr"] for panel in json.loads(text)["panels"] for target in panel.get("targets", ())]
    else:
        expressions = [rule["expr"] for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]
    used = {name for expression in expressions for name in re.findall(r"\b(?:fhir|citus)_\w+\b", expression)}
    assert len(used) > 5
    assert used - exported() == set()


@pytest.mark.parametrize("name", FILES)
def test_compose_understands_it(name):
    if not shutil.which("docker") or subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("SKIPPED: NO DOCKER COMPOSE")
    compose = ["docker", "compose", "--env-file", "/dev/null", "-f", str(REPO / name), "config", "--quiet"]
    path = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
    passwords = dict.fromkeys(re.findall(r"\$\{(\w*PASSWORD)", "".join(FILES.values())), "x")
    complete = subprocess.run(compose, env=path | passwords, capture_output=True, text=True)
    assert complete.returncode == 0, complete.stderr
    without = subprocess.run(compose, env=path, capture_output=True, text=True)
    assert "setup_all.sh compose generates it" in without.stderr
