"""`fhirserver load`: files of bundles and resources into the database, in parallel, each exactly once.

documents.py   paths → documents (bytes with a name)
take_in.py     one document → the database
run.py         all documents over several processes, and the report
"""
