"""Value sets that no resource defines: those that a code system implies by its URL.

https://hl7.org/fhir/R4/snomedct.html#implicit, https://hl7.org/fhir/R4/loinc.html and https://hl7.org/fhir/R4/icd.html
"""

from fhirserver.fhir.terminology.concepts import Json

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
SID = "http://hl7.org/fhir/sid/"


def implicit_value_set(url: str) -> Json | None:
    """The ValueSet that such a URL stands for; None if it stands for none.

    `http://snomed.info/sct?fhir_vs`, `?fhir_vs=isa/[code]` and `?fhir_vs=refset/[code]`, also of an edition and
    version; `http://loinc.org/vs` and `http://loinc.org/vs/[answer list or part]`; `http://hl7.org/fhir/sid/[…]/vs`.
    """
    address, mark, query = url.partition("?")
    if mark and address.startswith(SNOMED):
        include: Json = {"system": SNOMED}
        if address != SNOMED:
            include["version"] = address
        kind, _, code = query.removeprefix("fhir_vs").removeprefix("=").partition("/")
        operators = {"isa": "is-a", "refset": "in"}
        if query == "fhir_vs":
            pass
        elif query.startswith("fhir_vs=") and kind in operators and code:
            include["filter"] = [{"property": "concept", "op": operators[kind], "value": code}]
        else:
            return None
        return _value_set(url, include)
    if url.startswith(LOINC + "/vs/"):
        code = url.removeprefix(LOINC + "/vs/")
        chosen = {"property": "LIST", "op": "=", "value": code}
        if not code.startswith("LL"):
            chosen = {"property": "concept", "op": "is-a", "value": code}
        return _value_set(url, {"system": LOINC, "filter": [chosen]})
    if url.endswith("/vs") and url.startswith((LOINC, SID)):
        return _value_set(url, {"system": url.removesuffix("/vs")})
    return None


def _value_set(url: str, include: Json) -> Json:
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": [include]}}
