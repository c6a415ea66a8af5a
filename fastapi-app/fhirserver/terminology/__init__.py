"""Terminology over everything that this server knows: stored resources, loaded tables, R4's own, a remote server."""
