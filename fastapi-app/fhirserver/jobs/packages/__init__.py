"""`fhirserver packages`: the conformance resources of FHIR packages into the database.

archive.py   a file or folder → resources, one after the other, within bounds
install.py   resources → what is stored, and the report
"""
