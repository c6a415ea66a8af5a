"""Who did what: FHIR AuditEvents of every access and every refusal (decisions on this: `decisions/`)."""
