"""`fhirserver terminology`: code systems from release files into tables of their own.

A reader for each kind of release; `load.py` finds the right one, places the concepts in their hierarchy and stores
them.
"""
