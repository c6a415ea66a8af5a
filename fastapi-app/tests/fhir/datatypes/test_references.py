import pytest

from fhirserver.fhir.datatypes.references import Ref, parse_reference

BASE = "https://example.org/fhir"


@pytest.mark.parametrize(
    ("text", "expected", "reason"),
    [
        ("Patient/1", Ref("local", "Patient", "1"), "relative"),
        ("Patient/1/_history/2", Ref("local", "Patient", "1", "2"), "relative, with a version"),
        (f"{BASE}/Patient/1", Ref("local", "Patient", "1"), "below our own base"),
        (f"{BASE}/Patient/1/_history/2", Ref("local", "Patient", "1", "2"), "below our own base, version"),
        (f"{BASE}x/Patient/1", Ref("absolute", "Patient", "1", None, f"{BASE}x/Patient/1"), "another base"),
        ("https://other.org/Patient/1/_history/a", Ref("absolute", "Patient", "1", "a",
         "https://other.org/Patient/1/_history/a"), "another server"),
        ("https://other.org/a.pdf", Ref("absolute", url="https://other.org/a.pdf"), "not RESTful"),
        ("https://other.org/Patient/1?a=1", Ref("absolute", url="https://other.org/Patient/1?a=1"), "query"),
        ("urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
         Ref("urn", url="urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"), "an entry of a bundle"),
        ("urn:oid:1.2.3", Ref("urn", url="urn:oid:1.2.3"), "an OID"),
        ("#p1", Ref("contained", id="p1"), "contained"),
        ("#", Ref("contained"), "the container itself"),
        ("Patient?identifier=a|b", Ref("conditional", "Patient", query="identifier=a|b"), "conditional"),
        (f"{BASE}/Patient?name=x y", Ref("conditional", "Patient", query="name=x y"), "with our base"),
        ("", None, "empty"),
        ("Patient", None, "no id"),
        ("Patient/", None, "no id"),
        ("Patient/a_b", None, "no valid id"),
        ("patient/1", None, "types begin with a capital"),
        ("/Patient/1", None, "no type before the slash"),
        ("Patient/1/_history/", None, "no version"),
        ("Patient?", None, "no criteria"),
        ("urn:", None, "an empty URN"),
        ("Patient/1\n", None, "a line feed"),
        ("see the other one", None, "prose"),
    ],
)  # fmt: skip
def test_reference(text: str, expected: Ref | None, reason: str) -> None:
    assert parse_reference(text, BASE) == expected, reason


@pytest.mark.parametrize("base", [BASE, BASE + "/"])
def test_base_with_and_without_slash(base: str) -> None:
    assert parse_reference(f"{BASE}/Patient/1", base) == Ref("local", "Patient", "1")


def test_without_a_base_all_urls_are_absolute() -> None:
    reference = parse_reference(f"{BASE}/Patient/1", None)
    assert reference is not None
    assert reference.kind == "absolute"
