"""FHIRPath: text → tree (`parser`), tree → closures that select values from a resource (`paths`).

https://hl7.org/fhirpath/N1/
"""
