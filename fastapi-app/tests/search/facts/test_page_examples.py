"""The examples of R4's page on search, one by one, in its order: each with what it has to find, and near misses.

https://hl7.org/fhir/R4/search.html
"""

from typing import Any

import pytest

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
SNOMED = "http://snomed.info/sct"
ACME = "http://acme.org/fhir"
MRN = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
ALLERGY = "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical"


def code(*codes: str, text: str | None = None, display: str | None = None) -> dict[str, Any]:
    """A CodeableConcept of `system|code`."""
    codings: list[dict[str, str]] = []
    for item in codes:
        system, _, value = item.rpartition("|")
        codings.append(
            ({"system": system} if system else {}) | {"code": value} | ({"display": display} if display else {})
        )
    return ({"coding": codings} if codings else {}) | ({"text": text} if text else {})


def to(reference: str) -> dict[str, str]:
    return {"reference": reference}


def patient(given: str = "x", **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "name": [{"given": [given]}], **elements}


def speaks(*languages: str) -> dict[str, Any]:
    return {"communication": [{"language": code(language)} for language in languages]}


def observation(*codes: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": code(*codes or ("x",)), **elements}


def measured(value: Any, ucum: str | None = "mg", **elements: Any) -> dict[str, Any]:
    return observation(valueQuantity={"value": value} | ({"system": UCUM, "code": ucum} if ucum else {}) | elements)


def at(when: str | dict[str, str]) -> dict[str, Any]:
    return observation(**{"effectiveDateTime" if isinstance(when, str) else "effectivePeriod": when})


def procedure(subject: str, when: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Procedure",
        "status": "completed",
        "subject": to(subject),
        "performedDateTime": when,
        **elements,
    }


def condition(concept: dict[str, Any], **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Condition", "subject": to("Patient/@eve"), "code": concept, **elements}


def told(words: str) -> dict[str, Any]:
    """A condition with a narrative."""
    return condition(
        code("x"), text={"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{words}</div>'}
    )


def report(subject: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": code("x"),
        "subject": to(subject),
        **elements,
    }


def risk(probability: float) -> dict[str, Any]:
    return {
        "resourceType": "RiskAssessment",
        "status": "final",
        "subject": to("Patient/@eve"),
        "prediction": [{"probabilityDecimal": probability}],
    }


def sequence(start: int) -> dict[str, Any]:
    return {"resourceType": "MolecularSequence", "coordinateSystem": 0, "variant": [{"start": start}]}


def composition(*sections: str) -> dict[str, Any]:
    return {
        "resourceType": "Composition",
        "status": "final",
        "type": code("x"),
        "date": "2013",
        "author": [{"display": "x"}],
        "title": "x",
        "section": [{"code": code(f"{LOINC}|{section}")} for section in sections],
    }


def value_set(url: str) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "status": "active", "url": url}


def document(content_type: str) -> dict[str, Any]:
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"contentType": content_type, "url": "http://x"}}],
    }


def pressure(systolic: int, diastolic: int) -> dict[str, Any]:
    values = {"8480-6": systolic, "8462-4": diastolic}
    return observation(
        component=[
            {"code": code(f"{LOINC}|{name}"), "valueQuantity": {"value": value, "unit": "mmHg"}}
            for name, value in values.items()
        ]
    )


def group(**characteristics: str) -> dict[str, Any]:
    return {
        "resourceType": "Group",
        "type": "person",
        "actual": False,
        "characteristic": [
            {"code": code(name), "valueCodeableConcept": code(value), "exclude": False}
            for name, value in characteristics.items()
        ],
    }


def questionnaire(kind: str, value: str) -> dict[str, Any]:
    return {
        "resourceType": "Questionnaire",
        "status": "active",
        "useContext": [{"code": {"code": kind}, "valueCodeableConcept": code(f"{SNOMED}|{value}")}],
    }


def allergy(who: str, status: str | None = None) -> dict[str, Any]:
    made = {"resourceType": "AllergyIntolerance", "patient": to(f"Patient/{who}"), "code": code("x")}
    return made | ({"clinicalStatus": code(f"{ALLERGY}|{status}")} if status else {})


def prescription(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "subject": to("Patient/@eve"),
        "medicationCodeableConcept": code("x"),
        **elements,
    }


def medication(ingredient: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Medication", "ingredient": [{"itemCodeableConcept": code(ingredient)}], **elements}


def place(part_of: str | None = None) -> dict[str, Any]:
    return {"resourceType": "Location", "name": "x"} | ({"partOf": to(part_of)} if part_of else {})


def encounter(part_of: str | None = None) -> dict[str, Any]:
    made = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
    return made | ({"partOf": to(part_of)} if part_of else {})


def given_during(which: str) -> dict[str, Any]:
    return {
        "resourceType": "MedicationAdministration",
        "status": "completed",
        "subject": to("Patient/@eve"),
        "medicationCodeableConcept": code("x"),
        "effectiveDateTime": "2013",
        "context": to(f"Encounter/{which}"),
    }


def audit(who: str, what: str) -> dict[str, Any]:
    return {
        "resourceType": "AuditEvent",
        "type": {"code": "rest"},
        "recorded": "2013-01-14T10:00:00Z",
        "agent": [{"requestor": True, "altId": who, "who": {"identifier": {"value": who}}}],
        "source": {"observer": {"display": "x"}},
        "entity": [{"what": to(what)}],
    }


RESOURCES: dict[str, dict[str, Any]] = {
    "eve": patient(
        "Eve", gender="female", active=True, identifier=[{"system": "http://acme.org/patient", "value": "2345"}], **speaks("FR")
    ),
    "evelyn": patient(
        "Evelyn", gender="female", active=False, identifier=[{"system": "http://other.org/patient", "value": "2345"}],
        **speaks("NL"),
    ),
    "severine": patient("Severine", identifier=[{"type": MRN, "value": "446053"}], **speaks("FR", "NL")),
    "capitals": patient("EVE", identifier=[{"value": "446053"}], **speaks("NL", "EN")),
    "peter": patient(
        "Peter", gender="male", generalPractitioner=[to("Practitioner/@joe"), to("Practitioner/@jane")], **speaks("EN")
    ),
    "paul": patient("Paul", gender="male", generalPractitioner=[to("Practitioner/@joe")]),
    "joe": {"resourceType": "Practitioner", "name": [{"text": "Joe"}], "address": [{"state": "CA"}]},
    "jane": {"resourceType": "Practitioner", "name": [{"text": "Jane"}], "address": [{"state": "MN"}]},
    "rex": {"resourceType": "Device", "deviceName": [{"name": "peter", "type": "other"}]},
    # dates
    "midnight": at("2013-01-14T00:00:00Z"),
    "ten": at("2013-01-14T10:00:00Z"),
    "next-midnight": at("2013-01-15T00:00:00Z"),
    "january-14": at("2013-01-14"),
    "march-14": at("2013-03-14"),
    "january-21": at("2013-01-21"),
    "june-2015": at("2015-06-15"),
    "from-january-21": at({"start": "2013-01-21"}),
    "from-march-15": at({"start": "2013-03-15"}),
    "to-january-21": at({"end": "2013-01-21"}),
    "procedure-2009": procedure("Patient/@eve", "2009-12-31"),
    "procedure-2010": procedure("Patient/@eve", "2010-01-01"),
    "procedure-2011": procedure("Patient/@eve", "2011-12-31T23:59:59Z"),
    "procedure-2012": procedure("Patient/@eve", "2012-01-01"),
    "procedure-of-peter": procedure("Patient/@peter", "2011"),
    # numbers
    **{f"risk-{value}".replace(".", "-"): risk(value) for value in (0.79, 0.8, 0.81)},
    **{f"start-{number}": sequence(number) for number in (1, 2, 20)},
    # tags and profiles
    "to-review": condition(code("x"), meta={"tag": [{"system": "http://acme.org/codes", "code": "needs-review"}]}),
    "other-review": condition(code("x"), meta={"tag": [{"system": "http://acme.org/other", "code": "needs-review"}]}),
    "lipid": report("Patient/@eve", meta={"profile": ["http://hl7.org/fhir/StructureDefinition/lipid"]}),
    "local-lipid": report("Patient/@eve", meta={"profile": ["Profile/lipid"]}),
    "lipids": report("Patient/@eve", meta={"profile": ["http://hl7.org/fhir/StructureDefinition/lipids"]}),
    # tokens
    "allergies-section": composition("48765-2"),
    "both-sections": composition("10160-0", "48765-2"),
    "other-section": composition("10160-0"),
    "ha125": condition(code("http://acme.org/conditions/codes|ha125", text="Headache, left")),
    "other-ha125": condition(code("http://acme.org/other|ha125")),
    "displayed": condition(code("x", display="Headache")),
    "ill-displayed": condition(code("x", display="an ache of the head")),
    "xml": document("text/xml"),
    "xml-utf8": document("text/xml; charset=UTF-8"),
    "html": document("text/html"),
    # uris
    **{
        name: value_set(url)
        for name, url in {
            "vs-123": f"{ACME}/ValueSet/123",
            "vs-124": f"{ACME}/ValueSet/124",
            "vs-124-125": f"{ACME}/ValueSet/124,125",
            "vs-124-slash-125": f"{ACME}/ValueSet/124,ValueSet/125",
            "vs-1234": f"{ACME}/ValueSet/1234",
            "vs-elsewhere": "http://acme.org/fhirs/ValueSet/123",
            "vs-version": f"{ACME}/ValueSet/123/_history/5",
            "vs-oid": "urn:oid:1.2.3.4.5",
            "vs-longer-oid": "urn:oid:1.2.3.4.5.6",
        }.items()
    },
    # quantities
    **{f"mg-{value}".replace(".", "-"): measured(value) for value in (4.85, 4.86, 5.34, 5.35, 5.4, 5.44, 5.45, 5.94, 5.95)},
    "g-0-0054": measured(0.0054, "g"),
    "g-0-005405": measured(0.005405, "g"),
    "g-5-4": measured(5.4, "g"),
    "said-mg": measured(5.4, None, unit="mg"),
    "bare-5-4": measured(5.4, None),
    # references
    "of-eve": observation(subject=to("Patient/@eve")),
    "of-eve-absolute": observation(subject=to("http://test/fhir/Patient/@eve")),
    "of-peter": observation("http://loinc.org|1234-5", subject=to("Patient/@peter")),
    "of-paul": observation("http://loinc.org|1234-6", subject=to("Patient/@paul")),
    "of-device": observation("http://loinc.org|1234-5", subject=to("Device/@rex")),
    "of-mrn": observation(subject={"identifier": {"system": f"{ACME}/identifier/mrn", "value": "123456"}}),
    "of-other-mrn": observation(subject={"identifier": {"system": f"{ACME}/identifier/other", "value": "123456"}}),
    "report-on-peter": report("Patient/@peter"),
    "report-on-device": report("Device/@rex"),
    "report-on-eve": report("Patient/@eve"),
    "building": place(),
    "floor": place("Location/@building"),
    "room": place("Location/@floor"),
    "elsewhere": place(),
    "in-building": procedure("Patient/@paul", "2013", location=to("Location/@building")),
    "in-room": procedure("Patient/@paul", "2013", location=to("Location/@room")),
    "in-elsewhere": procedure("Patient/@paul", "2013", location=to("Location/@elsewhere")),
    "stay": encounter(),
    "visit": encounter("Encounter/@stay"),
    "other-visit": encounter("Encounter/@stay"),
    "in-stay": given_during("@stay"),
    "in-visit": given_during("@visit"),
    "in-other-visit": given_during("@other-visit"),
    # _has
    "seen-by-me": audit("MyUserId", "Observation/@of-peter"),
    "seen-by-other": audit("OtherId", "Observation/@of-paul"),
    # composites
    "high-potassium": observation(
        f"{LOINC}|2823-3", valueQuantity={"value": 5.5, "system": UCUM, "code": "mmol/L"}, subject=to("Patient/@paul")
    ),
    "low-potassium": observation(f"{LOINC}|2823-3", valueQuantity={"value": 4, "system": UCUM, "code": "mmol/L"}),
    "high-sodium": observation(f"{LOINC}|2951-2", valueQuantity={"value": 140, "system": UCUM, "code": "mmol/L"}),
    "report-high": report("Patient/@paul", result=[to("Observation/@high-potassium")]),
    "report-mixed": report("Patient/@paul", result=[to("Observation/@low-potassium"), to("Observation/@high-sodium")]),
    "low-systolic": pressure(55, 40),
    "low-diastolic": pressure(90, 55),
    "mixed": group(gender="mixed", owner="John"),
    "crossed": group(gender="female", other="mixed"),
    "of-eve-group": group(owner="Eve"),
    "substance-abuse": questionnaire("focus", "408934002"),
    "other-kind": questionnaire("workflow", "408934002"),
    # missing data
    "active-allergy": allergy("@eve", "active"),
    "resolved-allergy": allergy("@eve", "resolved"),
    "allergy": allergy("@eve"),
    # escapes
    "a": observation("a"),
    "b": observation("b"),
    "a-comma-b": observation("a,b"),
    # text
    "bone": told("<p>Bone</p> and <b>metastases</b>"),
    "liver": told("metastases in the liver"),
    "lung": told("metastases in the lung"),
    "healthy-liver": told("a healthy liver"),
    # lists
    "list": {
        "resourceType": "List", "status": "current", "mode": "working",
        "entry": [{"item": to("Patient/@eve")}, {"item": to("Patient/@peter")}],
    },
    # contained and included
    "with-contained": prescription(
        medicationCodeableConcept=None, medicationReference=to("#m1"), contained=[medication("http://acme.com./medications|abc", id="m1")]
    ),
    "with-medication": prescription(medicationCodeableConcept=None, medicationReference=to("Medication/@of-abc")),
    "with-code": prescription(requester=to("Practitioner/@joe"), performer=to("Practitioner/@jane")),
    "of-abc": medication("abc"),
    "of-def": medication("def"),
    "provenance": {
        "resourceType": "Provenance", "target": [to("MedicationRequest/@with-code")], "recorded": "2013-01-14T10:00:00Z",
        "agent": [{"who": {"display": "x"}}],
    },
    "dispense": {
        "resourceType": "MedicationDispense", "status": "completed", "medicationCodeableConcept": code("x"),
        "authorizingPrescription": [to("MedicationRequest/@with-code")],
    },
    "from-bone": observation(derivedFrom=[to("Observation/@from-from-bone")]),
    "from-from-bone": observation(derivedFrom=[to("Observation/@a")]),
}  # fmt: skip
for _resource in RESOURCES.values():
    if _resource.get("medicationCodeableConcept", "") is None:
        del _resource["medicationCodeableConcept"]

PATIENTS = "eve evelyn severine capitals peter paul"
OF_5_4_MG = "mg-5-35 mg-5-4 mg-5-44"

EXAMPLES = [
    # query, what it finds, what R4 says
    # 3.1.1.4.1 Parameters for all resources
    ("Patient?_id=@eve", "eve", "the patient with the given id"),
    ("Condition?_tag=http://acme.org/codes|needs-review", "to-review", "system and code of the tag"),
    ("DiagnosticReport?_profile=http://hl7.org/fhir/StructureDefinition/lipid", "lipid", "the very profile"),
    ("DiagnosticReport?_profile=Profile/lipid", "local-lipid", "a relative one: a profile of the same server"),
    # 3.1.1.4.4 Modifiers
    ("Patient?gender:missing=true", "severine capitals", "no value for the gender parameter"),
    ("Patient?gender:missing=false", "eve evelyn peter paul", "a value for the gender parameter"),
    # 3.1.1.4.6 number
    ("RiskAssessment?probability=gt0.8", "risk-0-81", "greater than 0.8"),
    ("RiskAssessment?probability=gt8e-1", "risk-0-81", "the same in exponential form"),
    ("MolecularSequence?variant-start=2", "start-2", "an integer is matched exactly (R4 doesn't define the dose-number of its example)"),
    # 3.1.1.4.7 date
    ("Observation?date=eq2013-01-14", "midnight ten january-14", "T00:00 and T10:00 match, the next T00:00 doesn't"),
    ("Observation?date=ne2013-01-14&date=ge2013-01-14&date=le2013-01-15T00:00:00Z", "next-midnight to-january-21", "the next T00:00 matches, T00:00 and T10:00 don't"),
    ("Observation?date=lt2013-01-14T10:00", "midnight january-14 to-january-21", "2013-01-14 includes the part before 10am"),
    ("Observation?date=gt2013-01-14T10:00&date=lt2013-01-21", "next-midnight january-14 to-january-21", "2013-01-14 includes the part after 10am"),
    ("Observation?date=ge2013-03-14", "march-14 june-2015 from-january-21 from-march-15", "'from 21-Jan 2013 onwards' may include times after"),
    ("Observation?date=le2013-03-14", "midnight ten next-midnight january-14 march-14 january-21 from-january-21 to-january-21", "'from 21-Jan 2013 onwards' may include times before"),
    ("Observation?date=sa2013-03-14", "june-2015 from-march-15", "'from 21-Jan' and 'before 21-Jan' start before"),
    ("Observation?date=eb2013-03-14", "midnight ten next-midnight january-14 january-21 to-january-21", "'from 21-Jan' doesn't end before, 'before 21-Jan' does"),
    ("Observation?date=ap2013-03-14", "march-14 from-january-21 from-march-15", "14-Mar exactly; 15-Jun 2015 isn't near; a tenth of ten months (of the time to the present) is a month"),
    ("Patient/@eve/Procedure?date=ge2010-01-01&date=le2011-12-31", "procedure-2010 procedure-2011", "procedures of the patient's compartment over two years"),
    # 3.1.1.4.8 string
    ("Patient?given=eve", "eve evelyn capitals", "Eve and Evelyn"),
    ("Patient?given:contains=eve", "eve evelyn capitals severine", "and Severine"),
    ("Patient?given:exact=Eve", "eve", "not 'eve' or 'EVE'"),
    # 3.1.1.4.9 uri
    (f"ValueSet?url={ACME}/ValueSet/123", "vs-123", "the exact URL"),
    (f"ValueSet?url:below={ACME}/", "vs-123 vs-124 vs-124-125 vs-124-slash-125 vs-1234 vs-version", "a URL that starts with it"),
    (f"ValueSet?url:above={ACME}/ValueSet/123/_history/5", "vs-123 vs-version", "the specified URL, and above it .../ValueSet/123"),
    ("ValueSet?url=urn:oid:1.2.3.4.5", "vs-oid", "an OID"),
    # 3.1.1.4.10 token
    ("Patient?identifier=http://acme.org/patient|2345", "eve", "the value in the system"),
    ("Patient?gender=male", "peter paul", "the code 'male'"),
    ("Patient?gender:not=male", "eve evelyn severine capitals", "'including patients that do not have a gender at all'"),
    ("Composition?section=48765-2", "allergies-section both-sections", "contains the section"),
    ("Composition?section:not=48765-2", "other-section", "'the negation applies to the set, not each individual entry'"),
    ("Patient?active=true", "eve", "not inactive, nor unknown"),
    ("Condition?code=http://acme.org/conditions/codes|ha125", "ha125", "the code in the code system"),
    ("Condition?code=ha125", "ha125 other-ha125", "whatever the code system"),
    ("Condition?code:text=headache", "ha125 displayed", "'either in the text, or a display'"),
    ("Patient?identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|446053", "severine", "the Medical Record Number"),
    ("DocumentReference?contenttype=text/xml", "xml", "'will miss documents with text/xml; charset=UTF-8'"),
    ("DocumentReference?contenttype:below=text/xml", "xml xml-utf8", "'will find all text/xml documents'"),
    # 3.1.1.4.11 quantity
    (f"Observation?value-quantity=5.4|{UCUM}|mg", f"{OF_5_4_MG} g-0-0054 g-0-005405", "5.4 (±0.05) mg, 'and potentially canonical'"),
    (f"Observation?value-quantity=5.40e-3|{UCUM}|g", "mg-5-4 g-0-0054", "0.0054 (±0.000005) g"),
    ("Observation?value-quantity=5.4||mg", f"{OF_5_4_MG} said-mg", "the code or the stated human unit is mg"),
    ("Observation?value-quantity=5.4", f"{OF_5_4_MG} said-mg bare-5-4 g-5-4", "irrespective of the unit"),
    (f"Observation?value-quantity=le5.4|{UCUM}|mg", "mg-4-85 mg-4-86 mg-5-34 mg-5-35 mg-5-4 g-0-0054", "less than or 5.4 mg exactly"),
    (f"Observation?value-quantity=ap5.4|{UCUM}|mg", f"mg-4-86 mg-5-34 {OF_5_4_MG} mg-5-45 mg-5-94 g-0-0054 g-0-005405", "'within 10% of the value'"),
    # 3.1.1.4.12 reference
    ("Observation?subject=Patient/@eve", "of-eve of-eve-absolute", "the absolute form of the same reference too"),
    ("Observation?subject=http://test/fhir/Patient/@eve", "of-eve of-eve-absolute", "'will also match both references'"),
    ("Observation?subject:Patient=@eve", "of-eve of-eve-absolute", "'the same effect as the previous search'"),
    ("Observation?patient=@eve", "of-eve of-eve-absolute", "'no need to specify :Patient'"),
    (f"Observation?subject:identifier={ACME}/identifier/mrn|123456", "of-mrn", "by a particular MRN"),
    # 3.1.1.4.14 hierarchies
    ("Procedure?location:below=@building", "in-building in-room", "'and locations that are part of it'"),
    ("MedicationAdministration?context:above=@visit", "in-stay in-visit", "'or during any parent encounter'"),
    # 3.1.1.4.15 chains
    ("DiagnosticReport?subject.name=peter", "report-on-peter", "a subject whose name includes 'peter'"),
    ("DiagnosticReport?subject:Patient.name=peter", "report-on-peter", "a subject that is a patient"),
    ("Patient?general-practitioner.name=Joe&general-practitioner.address-state=MN", "peter", "'no one practitioner need satisfy both conditions'"),
    # 3.1.1.4.16 _has
    ("Patient?_has:Observation:patient:code=1234-5", "peter", "an observation with this code refers to the patient"),
    ("Patient?_has:Observation:patient:code=1234-5,1234-6", "peter paul", "'Or searches are allowed'"),
    ("Patient?_has:Observation:patient:code=1234-5&_has:Observation:patient:code=1234-6", "", "each _has independently, none has both"),
    ("Patient?_has:Observation:patient:code=2823-3&_has:Observation:patient:code=1234-6", "paul", "each _has independently, one has both"),
    ("Patient?_has:Observation:patient:_has:AuditEvent:entity:altid=MyUserId", "peter", "an audit event of a specific user"),
    # 3.1.1.4.17 composites
    ("Patient?language=FR&language=NL", "severine", "speaks both languages"),
    ("Patient?language=FR,NL", "eve evelyn severine capitals", "speaks either language"),
    ("Patient?language=FR,NL&language=EN", "capitals", "English, as well as either French or Dutch"),
    (f"DiagnosticReport?result.code-value-quantity={LOINC}|2823-3$gt5.4|{UCUM}|mmol/L", "report-high", "a potassium value of >5.4"),
    (f"Observation?component-code-value-quantity={LOINC}|8480-6$lt60", "low-systolic", "a systolic blood pressure < 60"),
    ("Group?characteristic-value=gender$mixed", "mixed", "the characteristic 'gender' is 'mixed'"),
    ("Group?characteristic-value=gender$mixed,owner$Eve", "mixed of-eve-group", "'itself can be composed into a set of values'"),
    (f"Questionnaire?context-type-value=focus${SNOMED}|408934002", "substance-abuse", "a clinical focus"),
    # 3.1.1.4.18 missing data
    (f"AllergyIntolerance?clinical-status={ALLERGY}|active", "active-allergy", "'Resources missing a clinicalStatus will not be returned'"),
    ("AllergyIntolerance?clinical-status:missing=true", "allergy", "those with none"),
    (f"AllergyIntolerance?clinical-status={ALLERGY}|active&clinical-status:missing=true", "", "'will always return an empty list'"),
    # 3.1.1.4.19 escapes
    ("Observation?code=a,b", "a b", "either a or b"),
    (r"Observation?code=a\,b", "a-comma-b", "a,b"),
    (f"ValueSet?url={ACME}/ValueSet/123,{ACME}/ValueSet/124,125", "vs-123 vs-124", "three values"),
    (rf"ValueSet?url={ACME}/ValueSet/123,{ACME}/ValueSet/124\,125", "vs-123 vs-124-125", "two values"),
    # 3.1.1.4.20 text
    ("Condition?_text=(bone OR liver) and metastases", "bone liver", "metastases and either bone or liver in the narrative"),
    # 3.1.1.4.22 lists
    ("Patient?_list=@list", "eve peter", "referenced from the list"),
    ("Patient?_list=@list&gender=female", "eve", "the female patients of the list"),
    # 3.1.1.4.23 _filter
    (f"Observation?code={LOINC}|1234-5&subject:Patient.name=peter", "of-peter", "the same without _filter"),
    (f'Observation?_filter=code eq {LOINC}|1234-5 and subject.name co "peter"', "of-peter", "the same with _filter"),
    # 3.1.1.4.24 _type
    ("?_type=Observation,Condition&_id=@a,@ha125,@eve", "a ha125", "of these types only"),
    # 3.1.1.5.5 contained
    ("Medication?ingredient-code=abc", "of-abc", "'will not include the contained Medication'"),
    ("Medication?ingredient-code=http://acme.com./medications|abc&_contained=true", "with-contained", "only contained resources, in their containers"),
    ("Medication?ingredient-code=http://acme.com./medications|abc,def&_contained=both", "with-contained of-def", "both contained and normal resources"),
]  # fmt: skip


@pytest.mark.parametrize(("query", "names", "reason"), EXAMPLES)
async def test_examples(find, query: str, names: str, reason: str) -> None:
    assert sorted(await find(query)) == sorted(names.split()), reason


@pytest.mark.parametrize(
    ("query", "matches", "included", "reason"),
    [
        ("MedicationRequest?_include=MedicationRequest:patient&_id=@with-code", "with-code", "eve", "any patient that they refer to"),
        ("MedicationRequest?_revinclude=Provenance:target&_id=@with-code", "with-code", "provenance", "all provenance that refers to them"),
        ("MedicationDispense?_include=MedicationDispense:prescription&_include:iterate=MedicationRequest:requester", "dispense", "with-code joe", "prescriptions and their practitioners"),
        ("MedicationDispense?_include=MedicationDispense:prescription&_include=MedicationRequest:requester", "dispense", "with-code", "not without :iterate"),
        ("Observation?_id=@from-bone&_include=Observation:derived-from", "from-bone", "from-from-bone", "'only those directly related'"),
        ("Observation?_id=@from-bone&_include:iterate=Observation:derived-from", "from-bone", "from-from-bone a", "'also any related to any included'"),
        ("MedicationRequest?_include=MedicationRequest:*&_id=@with-code", "with-code", "eve joe jane", "'any search parameter of type=reference'"),
    ],
)  # fmt: skip
async def test_includes(known, query: str, matches: str, included: str, reason: str) -> None:
    bundle = await known.answer(query)
    assert known.names(bundle, "match") == matches.split()
    assert sorted(known.names(bundle, "include")) == sorted(included.split()), reason


async def test_sorted_by_several_keys(known) -> None:
    """Among equal statuses the latest first; a period is where it begins, or else ends; those without a date last."""
    found = await known.find("Observation?_sort=status,-date,category")
    groups = [
        {"june-2015"}, {"from-march-15"}, {"march-14"}, {"to-january-21"}, {"january-21", "from-january-21"},
        {"next-midnight"}, {"ten"}, {"midnight", "january-14"},
    ]  # fmt: skip
    for group in groups:
        assert {found.pop(0) for _ in group} == group
    assert "a" in found


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("Observation?patient.identifier=http://example.com/fhir/identifier/mrn|123456", "'an empty search set'"),
        ("Observation?code=loinc|1234-1", "'the code is not known to the server'"),
        ("Condition?onset-date=le1995", "'a time that is out of scope'"),
    ],
)
async def test_what_can_not_be_found_is_no_error(known, query: str, reason: str) -> None:
    assert await known.find(query) == [], reason


@pytest.mark.parametrize(
    ("query", "name", "reason"),
    [
        ("Condition?onset-date:text=1995", "onset-date", "'the modifier cannot be processed'"),
        ("Condition?onset-date=23%20May%202009", "onset-date", "'incorrect format'"),
        ("Patient?active:exact=true", "active", "'SHALL reject' a modifier that isn't supported for the parameter"),
    ],
)
async def test_errors(known, query: str, name: str, reason: str) -> None:
    answer = await known.client.get(query)
    assert answer.status_code == 400, reason
    assert answer.json()["issue"][0]["expression"] == [name]
