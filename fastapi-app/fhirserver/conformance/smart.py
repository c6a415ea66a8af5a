"""What this server says of its authorization server: to SMART apps, to OpenID clients, in the CapabilityStatement.

https://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html,
https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
"""

from typing import Any

from fhirserver.access.keys import ALGORITHM
from fhirserver.access.oauth.addresses import Addresses
from fhirserver.access.oauth.clients import ASSERTION_ALGORITHMS
from fhirserver.access.oauth.granting import OTHERS
from fhirserver.access.oauth.tokens import GRANT_TYPES

CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
_SCOPES = (*OTHERS, "patient/*.rs", "patient/*.cruds", "user/*.rs", "user/*.cruds", "system/*.rs", "system/*.cruds")
_OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SECURITY_SERVICE = "http://terminology.hl7.org/CodeSystem/restful-security-service"


def smart_configuration(addresses: Addresses) -> dict[str, Any]:
    """`/.well-known/smart-configuration`."""
    return {
        **_of_the_server(addresses),
        "registration_endpoint": addresses.of("clients"),
        "management_endpoint": addresses.of("apps"),
        "capabilities": list(CAPABILITIES),
    }


def openid_configuration(addresses: Addresses) -> dict[str, Any]:
    """`/.well-known/openid-configuration`."""
    return {
        **_of_the_server(addresses),
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "fhirUser", "name", "preferred_username"],
        "request_uri_parameter_supported": False,
    }


def _of_the_server(addresses: Addresses) -> dict[str, Any]:
    """https://www.rfc-editor.org/rfc/rfc8414#section-2"""
    return {
        "issuer": addresses.issuer,
        "authorization_endpoint": addresses.of("authorize"),
        "token_endpoint": addresses.of("token"),
        "introspection_endpoint": addresses.of("introspect"),
        "revocation_endpoint": addresses.of("revoke"),
        "jwks_uri": addresses.jwks,
        "grant_types_supported": list(GRANT_TYPES),
        "response_types_supported": ["code"],
        "scopes_supported": list(_SCOPES),
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
    }


def security(addresses: Addresses, *, has_cors: bool) -> dict[str, Any]:
    """`CapabilityStatement.rest.security`."""
    uris = {
        "authorize": addresses.of("authorize"),
        "token": addresses.of("token"),
        "register": addresses.of("clients"),
        "manage": addresses.of("apps"),
        "introspect": addresses.of("introspect"),
        "revoke": addresses.of("revoke"),
    }
    return {
        "extension": [
            {"url": _OAUTH_URIS, "extension": [{"url": name, "valueUri": uri} for name, uri in uris.items()]}
        ],
        "cors": has_cors,
        "service": [
            {
                "coding": [{"system": _SECURITY_SERVICE, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}],
                "text": "OAuth 2 with the profile of SMART on FHIR",
            }
        ],
    }
