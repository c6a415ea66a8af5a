"""The routes that belong to no type: capabilities, bundles, history of everything, health, metrics."""

from typing import Any

from fhirserver.conformance.examples import example
from fhirserver.conformance.openapi.parts import answers, body, content, parameter, path_parameter, refusals

SYSTEM = "System"
SERVER = "Server"


def system_paths(base: str) -> dict[str, Any]:
    patient, observation = example("Patient"), example("Observation")
    transaction = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:0b9bd7f2-5c2c-4f3b-9d56-0d2f6b0f3a11",
                "resource": {name: value for name, value in patient.items() if name != "id"},
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {
                    **{name: value for name, value in observation.items() if name != "id"},
                    "subject": {"reference": "urn:uuid:0b9bd7f2-5c2c-4f3b-9d56-0d2f6b0f3a11"},
                },
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
    paged = [parameter(code) for code in ("_count", "_since", "_at")]
    mode = {
        "name": "mode",
        "in": "query",
        "description": "terminology: the TerminologyCapabilities instead",
        "schema": {"type": "string", "enum": ["full", "normative", "terminology"]},
    }

    def operation(name: str, summary: str, **rest: Any) -> dict[str, Any]:
        return {"tags": [SYSTEM], "operationId": name, "summary": summary, **rest}

    return {
        f"{base}/metadata": {
            "get": operation(
                "capabilities",
                "What this server can do",
                parameters=[mode],
                responses=answers(content("Resource", None), 400, 406),
            )
        },
        base: {
            "post": operation(
                "bundle",
                "Carry out a transaction or a batch",
                description="A transaction happens as a whole or not at all.",
                parameters=[parameter("Prefer"), parameter("X-FHIR-Validation")],
                requestBody=body("Bundle", transaction),
                responses=answers(content("Bundle", None), 400, 404, 409, 412, 413, 415, 422),
            )
        },
        f"{base}/_history": {
            "get": operation(
                "historyOfAll",
                "Versions of everything, newest first",
                parameters=paged,
                responses=answers(content("Bundle", None), 400),
            )
        },
        f"{base}/_jobs": {
            "get": operation("jobs", "The last jobs", responses=answers(content("Resource", None), 401, 403)),
        },
        f"{base}/_jobs/{{id}}": {
            "parameters": [path_parameter("id", "5cc74f3b581c42108c783d3b59411bca")],
            "get": operation(
                "job",
                "How far a job is",
                responses={
                    **answers(content("Resource", None), 401, 403, 404),
                    "202": {"description": "There is more to come", "content": content("Resource", None)},
                },
            ),
            "delete": operation(
                "cancelJob",
                "End a job",
                responses={"202": {"description": "It ends soon"}, **refusals(401, 403, 404)},
            ),
        },
    }


def server_paths() -> dict[str, Any]:
    def operation(name: str, summary: str, kind: str, *statuses: str) -> dict[str, Any]:
        schema = {"type": "object"} if kind == "application/json" else {"type": "string"}
        answer = {"description": summary, "content": {kind: {"schema": schema}}}
        return {
            "get": {
                "tags": [SERVER],
                "operationId": name,
                "summary": summary,
                "responses": dict.fromkeys(statuses, answer),
            }
        }

    json = "application/json"
    return {
        "/health": operation("health", "Whether every part is ready, and which is not", json, "200", "503"),
        "/health/live": operation("live", "Whether the process answers", json, "200"),
        "/health/ready": operation("ready", "Whether every part is ready, and which is not", json, "200", "503"),
        "/metrics": operation("metrics", "Metrics for Prometheus", "text/plain", "200"),
    }
