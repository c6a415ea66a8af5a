"""$-operations, a file each. `registry.py` lists them; addresses, CapabilityStatement and `/docs` follow from that."""
