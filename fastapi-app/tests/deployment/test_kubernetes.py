"""The manifests: valid for Kubernetes, strictly and in two versions; nothing runs with more rights than it needs.

Overlays are rendered by kubectl or kustomize where there is one; each file is looked at in any case.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

REPO = Path(__file__).parents[3]
K8S = REPO / "k8s"
COMPONENT = "app.kubernetes.io/component"
VERSIONS = ("1.29", "1.33")
OVERLAYS = [folder.name for folder in sorted((K8S / "overlays").iterdir())]
# Of operators: Kubernetes knows no schema for them.
FOREIGN = {"ServiceMonitor", "PrometheusRule", "ExternalSecret", "Certificate", "Issuer"}
FILES = [file for file in sorted(K8S.rglob("*.yml")) if file.name != "kustomization.yml" and "patch" not in file.name]

Manifest = dict[str, Any]


def documents(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]


def renderer() -> list[str]:
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    pytest.skip("SKIPPED: NEITHER KUBECTL NOR KUSTOMIZE to render the overlays with")


@pytest.fixture(scope="module", params=OVERLAYS)
def rendered(request: pytest.FixtureRequest) -> list[Manifest]:
    """What an overlay makes."""
    command = [*renderer(), str(K8S / "overlays" / request.param)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return documents(done.stdout)


def valid(manifest: Manifest) -> None:
    if manifest["kind"] in FOREIGN:
        assert "." in manifest["apiVersion"].partition("/")[0]
        return
    for version in VERSIONS:
        kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(K8S)))
def test_each_file_is_valid(file):
    for manifest in documents(file.read_text()):
        valid(manifest)


def test_each_overlay_is_valid(rendered):
    for manifest in rendered:
        valid(manifest)


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """The pod templates, with the name of what makes them."""
    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "CronJob":
            spec = spec["jobTemplate"]["spec"]
        if "template" in spec and "spec" in spec["template"]:
            yield f"{manifest['kind']}/{manifest['metadata']['name']}", spec["template"]["spec"]


def containers(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest, Manifest]]:
    for name, pod in pods(manifests):
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield f"{name}/{container['name']}", pod, container


def test_no_container_has_more_rights_than_it_needs(rendered):
    found = list(containers(rendered))
    assert len(found) >= 7
    for name, pod, container in found:
        own, shared = container["securityContext"], pod["securityContext"]
        assert shared["runAsNonRoot"] is True, name
        assert shared["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert (own.get("runAsUser") or shared["runAsUser"]) > 0, name
        assert own["allowPrivilegeEscalation"] is False, name
        assert own["readOnlyRootFilesystem"] is True, name
        assert own["capabilities"] == {"drop": ["ALL"]}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        assert not any("hostPath" in volume for volume in pod["volumes"]), name


def test_each_container_has_limits_and_a_fixed_image(rendered):
    for name, _, container in containers(rendered):
        for kind in ("requests", "limits"):
            assert {"cpu", "memory"} <= container["resources"][kind].keys(), name
        image = container["image"]
        assert re.search(r":(local|v?\d[\w.-]*)$", image), image


def test_what_runs_for_ever_is_watched(rendered):
    for name, pod in pods(rendered):
        if name.startswith(("Job", "CronJob")):
            continue
        assert "livenessProbe" in pod["containers"][0], name
        assert "readinessProbe" in pod["containers"][0], name


def test_only_what_talks_to_kubernetes_has_a_token(rendered):
    rights = {binding["subjects"][0]["name"] for binding in rendered if binding["kind"] == "RoleBinding"}
    for name, pod in pods(rendered):
        assert pod["serviceAccountName"] != "default", name
        assert pod["automountServiceAccountToken"] is (pod["serviceAccountName"] in rights), name


def one(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    [found] = [m for m in manifests if m["kind"] == kind and m["metadata"]["name"] == name]
    return found


def test_nobody_is_talked_to_unless_it_is_said(rendered):
    deny = one(rendered, "NetworkPolicy", "default-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    namespace = one(rendered, "Namespace", "fhir-system")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_the_api_is_replaced_without_a_gap(rendered):
    deployment = one(rendered, "Deployment", "fastapi-fhir")["spec"]
    assert deployment["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    pod = deployment["template"]["spec"]
    [api] = pod["containers"]
    assert api["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert api["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    drain = int(api["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > drain + 30  # that long `fhirserver serve` lets requests end
    assert one(rendered, "HorizontalPodAutoscaler", "fastapi-fhir")["spec"]["minReplicas"] == 3
    assert "replicas" not in deployment  # or each `apply` would undo the autoscaler


def test_the_certificate_names_each_node(rendered):
    names = {n for m in rendered if m["metadata"]["name"] == "citus-tls" for n in m["spec"]["dnsNames"]}
    if not names:  # made by a script
        script = (K8S / "kubernetes_functions.bash").read_text()
        [made] = re.findall(r'make-certificates.sh" "\$folder/tls" ((?:.*\\\n)*.*)\n', script)
        told = subprocess.run(["bash", "-c", f"echo {made}"], capture_output=True, text=True, check=True)
        names = set(told.stdout.split())
    for node in (m for m in rendered if m["kind"] == "StatefulSet"):
        for number in range(node["spec"]["replicas"]):
            assert f"{node['metadata']['name']}-{number}.{node['spec']['serviceName']}" in names
    assert not any("*" in name for name in names)  # OpenSSL takes no wildcard before a single label


def test_names_that_others_know(rendered):
    assert {m["metadata"].get("namespace") for m in rendered if m["kind"] != "Namespace"} == {"fhir-system"}
    service = one(rendered, "Service", "fastapi-fhir-service")["spec"]
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(80, "http")]
    assert one(rendered, "Service", "citus-coordinator")["spec"]["ports"][0]["port"] == 5432


def test_the_setup_scripts_apply_all_of_it(rendered):
    part = {(m["kind"], m["metadata"]["name"]): m["metadata"]["labels"].get(COMPONENT) for m in rendered}
    assert {name: value for name, value in part.items() if value not in ("common", "citus", "api")} == {}
    first = {"Namespace", "ServiceAccount", "Certificate", "ExternalSecret"}  # pods wait for them
    assert {value for (kind, _), value in part.items() if kind in first} == {"common"}


def test_each_selector_finds_its_pods(rendered):
    labels = [
        spec["template"]["metadata"]["labels"]
        for m in rendered
        for spec in [m["spec"]["jobTemplate"]["spec"] if m["kind"] == "CronJob" else m.get("spec", {})]
        if "template" in spec and "metadata" in spec["template"]
    ]
    for m in rendered:
        if m["kind"] not in ("Service", "PodDisruptionBudget"):
            continue
        wanted = m["spec"]["selector"]
        wanted = {k: v for k, v in wanted.get("matchLabels", wanted).items() if k != "role"}  # Patroni says who leads
        assert any(wanted.items() <= have.items() for have in labels), m["metadata"]["name"]


def test_under_patroni_no_two_copies_of_a_node_share_a_machine(rendered):
    if not any(m["kind"] == "Role" for m in rendered):
        return
    nodes = [m["spec"] for m in rendered if m["kind"] == "StatefulSet"]
    assert [spec["replicas"] for spec in nodes] == [2, 2, 2]
    for spec in nodes:
        labels = spec["template"]["metadata"]["labels"]
        assert {"application": "patroni", "cluster-name": "citus"}.items() <= labels.items()
        [term] = spec["template"]["spec"]["affinity"]["podAntiAffinity"][
            "requiredDuringSchedulingIgnoredDuringExecution"
        ]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        assert term["labelSelector"]["matchLabels"].items() <= labels.items()
    assert {spec["template"]["metadata"]["labels"]["citus-group"] for spec in nodes} == {"0", "1", "2"}
    assert one(rendered, "Service", "citus-coordinator")["spec"]["selector"]["role"] == "primary"


def test_no_password_is_in_the_repository():
    for file in K8S.rglob("*"):
        if file.is_file():
            assert not re.search(r"PASSWORD\w*: *[\"']?[^\s\"'{}$]", file.read_text()), file
    for manifest in documents((K8S / "secret-citus.yml").read_text()):
        assert {value for name, value in manifest["stringData"].items() if "PASSWORD" in name} == {""}


def test_the_secret_has_what_the_nodes_want():
    [citus, _] = documents((K8S / "secret-citus.yml").read_text())
    wanted = set(
        re.findall(r"\b(?:POSTGRES|FHIR_\w+)_PASSWORD\b", (REPO / "postgres-citus/prepare-node.sh").read_text())
    )
    assert set(citus["stringData"]) == wanted


def test_the_rules_of_alerts_are_those_of_compose():
    [rule] = documents((K8S / "components/monitoring/alerts.yml").read_text())
    assert rule["spec"] == yaml.safe_load((REPO / "monitoring/alerts.yml").read_text())
