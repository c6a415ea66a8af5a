"""Profiles: what a StructureDefinition says of resources beyond R4 itself, compiled to closures.

`checker.py` finds and keeps them; `compiler.py` makes the closures of a snapshot, with `facets.py` (one rule of an
element each), `references.py`, `slicing.py` and `discriminators.py`; `run.py` is the check of one resource.

https://hl7.org/fhir/R4/profiling.html
"""
