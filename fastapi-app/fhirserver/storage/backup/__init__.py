"""Backups of a database and of all nodes of a cluster: `fhirserver backup` (decisions/0014)."""
