"""Where the authorization server is, as clients see it: beside the FHIR base."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Addresses:
    """`base` is the URL of the FHIR base, `issuer` how this server is called in the tokens that tell who signed in."""

    base: str
    issuer: str

    @property
    def root(self) -> str:
        """What the addresses below begin with."""
        return self.base.removesuffix("/fhir")

    def of(self, name: str) -> str:
        """`authorize`, `token`, `introspect` …"""
        return f"{self.root}/auth/{name}"

    @property
    def jwks(self) -> str:
        """The public keys."""
        return f"{self.root}/.well-known/jwks.json"
