"""Releases of code systems: recognised, read, loaded, found by the operations."""

import zipfile
from pathlib import Path

import pytest

from fhirserver.jobs.terminology.load import load, open_release, remove
from fhirserver.jobs.terminology.release import Options, ReleaseError
from fhirserver.storage.terminology import PostgresTerminology

SNOMED = "http://snomed.info/sct"
EDITION = f"{SNOMED}/900000000000207008/version/20240101"
FSN, SYNONYM, PREFERRED, ACCEPTABLE = (
    "900000000000003001",
    "900000000000013009",
    "900000000000548007",
    "900000000000549004",
)


def table(*rows: str) -> str:
    """Rows with blanks between the columns as RF2: tabs, and _ for a blank."""
    return "\r\n".join("\t".join(row.split()).replace("_", " ") for row in rows) + "\r\n"


def rf2() -> dict[str, str]:
    terminology, refset = "Snapshot/Terminology", "Snapshot/Refset"
    return {
        f"{terminology}/sct2_Concept_Snapshot_INT_20240101.txt": table(
            "id effectiveTime active moduleId definitionStatusId",
            "138875005 20020131 1 900000000000207008 900000000000074008",
            "73211009 20020131 1 900000000000207008 900000000000073002",
            "46635009 20020131 1 900000000000207008 900000000000073002",
            "11687002 20020131 0 900000000000207008 900000000000074008",
        ),
        f"{terminology}/sct2_Description_Snapshot-en_INT_20240101.txt": table(
            "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId",
            f"1 20020131 1 m 138875005 en {FSN} SNOMED_CT_Concept x",
            f"2 20020131 1 m 73211009 en {FSN} Diabetes_mellitus_(disorder) x",
            f"3 20020131 1 m 73211009 en {SYNONYM} DM_-_Diabetes_mellitus x",
            f"4 20020131 1 m 73211009 en {SYNONYM} Diabetes_mellitus x",
            f"5 20020131 0 m 73211009 en {SYNONYM} Sugar x",
            f"6 20020131 1 m 46635009 en {SYNONYM} \"Type_1\"_diabetes x",
            f"7 20020131 1 m 73211009 es {SYNONYM} diabetes_mellitus_(es) x",
        ),
        f"{terminology}/sct2_TextDefinition_Snapshot-en_INT_20240101.txt": table(
            "id effectiveTime active moduleId conceptId languageCode typeId term caseSignificanceId",
            "8 20020131 1 m 73211009 en x Too_much_sugar x",
        ),
        f"{terminology}/sct2_Relationship_Snapshot_INT_20240101.txt": table(
            "id effectiveTime active moduleId sourceId destinationId relationshipGroup typeId characteristicTypeId modifierId",
            "1 20020131 1 m 73211009 138875005 0 116680003 c x",
            "2 20020131 1 m 46635009 73211009 0 116680003 c x",
            "3 20020131 1 m 46635009 113331007 0 363698007 c x",
            "4 20020131 0 m 46635009 1 0 116680003 c x",
        ),
        f"{refset}/Language/der2_cRefset_LanguageSnapshot-en_INT_20240101.txt": table(
            "id effectiveTime active moduleId refsetId referencedComponentId acceptabilityId",
            f"x 20020131 1 m r 3 {ACCEPTABLE}",
            f"x 20020131 1 m r 4 {PREFERRED}",
        ),
        f"{refset}/Content/der2_Refset_SimpleSnapshot_INT_20240101.txt": table(
            "id effectiveTime active moduleId refsetId referencedComponentId",
            "x 20020131 1 m 723264001 46635009",
        ),
    }  # fmt: skip


def loinc() -> dict[str, str]:
    return {
        "LoincTable/Loinc.csv": '"LOINC_NUM","COMPONENT","SCALE_TYP","CLASSTYPE","STATUS","SHORTNAME","LONG_COMMON_NAME","DefinitionDescription"\n'
        '"8480-6","Intravascular systolic","Qn","2","ACTIVE","BP sys","Systolic blood pressure","The ""upper"" one, usually"\n'
        '"1-8","Acyclovir","OrdQn","1","DEPRECATED","Acyclovir","Acyclovir [Susceptibility]",""\n',
        "AccessoryFiles/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv": "PATH_TO_ROOT,SEQUENCE,IMMEDIATE_PARENT,CODE,CODE_TEXT\n"
        ",1,,LP432695-7,{component}\nLP432695-7,1,LP432695-7,LP1-1,Blood pressure\nLP432695-7.LP1-1,1,LP1-1,8480-6,Systolic blood pressure\n",
        "AccessoryFiles/AnswerFile/AnswerList.csv": "AnswerListId,AnswerListName,AnswerStringId,DisplayText\n"
        "LL1-1,Yes/No,LA33-6,Yes\nLL1-1,Yes/No,LA32-8,No\nLL2-2,Ever,LA33-6,Yes\nLL3-3,Other,,\n",
        "AccessoryFiles/LinguisticVariants/esES12LinguisticVariant.csv": "LOINC_NUM,LONG_COMMON_NAME,LinguisticVariantDisplayName\n8480-6,,Presión arterial sistólica\n",
    }  # fmt: skip


ORDER = "\n".join(
    f"{number:05d} {code:<7} {billable} {short:<60} {long}"
    for number, (code, billable, short, long) in enumerate(
        [
            ("E10", 0, "Type 1 diabetes mellitus", "Type 1 diabetes mellitus"),
            ("E101", 0, "Type 1 diabetes w ketoacidosis", "Type 1 diabetes mellitus with ketoacidosis"),
            (
                "E1010",
                1,
                "Type 1 diabetes w ketoacidosis w/o coma",
                "Type 1 diabetes mellitus with ketoacidosis without coma",
            ),
            ("E11", 0, "Type 2 diabetes mellitus", "Type 2 diabetes mellitus"),
        ],
        1,
    )
)

CLAML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE ClaML SYSTEM "ClaML.dtd">
<ClaML version="2.0.0"><Title name="ICD-10-WHO" version="2019"/>
<Class code="IV" kind="chapter"><SubClass code="E10"/><Rubric kind="preferred"><Label xml:lang="en">Endocrine diseases</Label></Rubric></Class>
<Class code="E10" kind="category"><SuperClass code="IV"/><ModifiedBy code="S04E10_4" all="false"><ValidModifierClass code=".0"/></ModifiedBy>
  <Rubric kind="preferred"><Label xml:lang="en">Type 1 <Term class="b">diabetes</Term> mellitus</Label></Rubric>
  <Rubric kind="inclusion"><Label xml:lang="en">brittle</Label></Rubric></Class>
<Modifier code="S04E10_4"/>
<ModifierClass modifier="S04E10_4" code=".0"><Rubric kind="preferred"><Label xml:lang="en">With coma</Label></Rubric></ModifierClass>
<ModifierClass modifier="S04E10_4" code=".9"><Rubric kind="preferred"><Label xml:lang="en">Without complications</Label></Rubric></ModifierClass>
</ClaML>"""  # fmt: skip

CSV = 'code,display,parent,inactive,colour\nA,"Top, one",,,red\nB,Below,A,,\nC,"Both ""sides""",A|B,1,blue\n'
RESOURCE = '{"resourceType":"CodeSystem","url":"urn:json","version":"4","status":"draft","name":"J","content":"complete","concept":[{"code":"x","concept":[{"code":"y"}]}]}'


def folder(at: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_text(text)
    return at


def packed(at: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(at / "release.zip", "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return at / "release.zip"


def lines(release) -> list[str]:
    """Each concept in a line: code, display, parents, ! if it is inactive, properties."""
    return [
        " ".join(
            [
                f"{concept.code}{'!' if concept.inactive else ''} '{concept.display}' <{' '.join(concept.parents)}>",
                *(
                    f"{item['code']}={next(v for k, v in item.items() if k.startswith('value'))}"
                    for item in concept.properties
                ),
            ]
        )
        for concept in release.concepts
    ]


def test_snomed(tmp_path: Path):
    release = open_release(packed(tmp_path, rf2()), None, Options())
    assert (release.header["url"], release.header["version"]) == (SNOMED, EDITION)
    concepts = {concept.code: concept for concept in release.concepts}
    diabetes = concepts["73211009"]
    assert (diabetes.display, diabetes.definition) == ("Diabetes mellitus", "Too much sugar")
    assert [(item["language"], item["use"]["code"], item["value"]) for item in diabetes.designations] == [
        ("en", SYNONYM, "Diabetes mellitus"),
        ("en", SYNONYM, "DM - Diabetes mellitus"),
        ("en", FSN, "Diabetes mellitus (disorder)"),
        ("es", SYNONYM, "diabetes mellitus (es)"),
    ]
    type_1 = concepts["46635009"]
    assert (type_1.display, type_1.parents) == ('"Type 1" diabetes', ["73211009"])  # quotation marks are no syntax
    assert {"code": "363698007", "valueCode": "113331007"} in type_1.properties
    assert {"code": "memberOf", "valueCode": "723264001"} in type_1.properties
    assert [concepts[code].inactive for code in ("11687002", "138875005")] == [True, False]
    spanish = open_release(packed(tmp_path, rf2()), "snomed", Options(languages=("es", "en")))
    assert {concept.code: concept.display for concept in spanish.concepts}["73211009"] == "diabetes mellitus (es)"


def test_loinc(tmp_path: Path):
    release = open_release(folder(tmp_path / "Loinc_2.77", loinc()), None, Options(languages=("en", "es")))
    assert (release.header["version"], "Regenstrief" in release.header["copyright"]) == ("2.77", True)
    concepts = {concept.code: concept for concept in release.concepts}
    assert list(concepts) == ["8480-6", "1-8", "LP432695-7", "LP1-1", "LL1-1", "LL2-2", "LL3-3", "LA33-6", "LA32-8"]
    systolic = concepts["8480-6"]
    assert (systolic.parents, systolic.definition) == (["LP1-1"], 'The "upper" one, usually')
    assert [item["value"] for item in systolic.designations] == ["BP sys", "Presión arterial sistólica"]
    assert systolic.values("SCALE_TYP") == ["Qn"]
    assert (concepts["1-8"].inactive, concepts["LP1-1"].parents) == (True, ["LP432695-7"])
    assert concepts["LA33-6"].values("LIST") == ["LL1-1", "LL2-2"]
    without = open_release(tmp_path / "Loinc_2.77", None, Options(version="2.0"))
    assert len(next(without.concepts).designations) == 1


def test_icd_10_cm(tmp_path: Path):
    release = open_release(
        folder(tmp_path, {"icd10cm_order_2024.txt": ORDER}) / "icd10cm_order_2024.txt", None, Options()
    )
    assert (release.header["url"], release.header["version"]) == ("http://hl7.org/fhir/sid/icd-10-cm", "2024")
    assert lines(release) == [
        "E10 'Type 1 diabetes mellitus' <> billable=False",
        "E10.1 'Type 1 diabetes mellitus with ketoacidosis' <E10> billable=False",
        "E10.10 'Type 1 diabetes mellitus with ketoacidosis without coma' <E10.1> billable=True",
        "E11 'Type 2 diabetes mellitus' <> billable=False",
    ]


def test_claml(tmp_path: Path):
    release = open_release(folder(tmp_path, {"icd102019en.xml": CLAML}), None, Options())
    assert release.header["url"] == "http://hl7.org/fhir/sid/icd-10"
    assert (release.header["version"], release.header["title"], release.header["language"]) == (
        "2019",
        "ICD-10-WHO",
        "en",
    )
    assert lines(release) == [
        "IV 'Endocrine diseases' <> kind=chapter",
        "E10 'Type 1 diabetes mellitus' <IV> kind=category inclusion=brittle",
        "E10.0 'Type 1 diabetes mellitus: With coma' <E10> kind=category",
    ]


def test_tables_and_resources(tmp_path: Path):
    release = open_release(folder(tmp_path, {"c.csv": CSV}) / "c.csv", None, Options("urn:csv", "1"))
    expected = ["A 'Top, one' <> colour=red", "B 'Below' <A>", "C! 'Both \"sides\"' <A B> colour=blue inactive=True"]
    assert lines(release) == expected
    release = open_release(folder(tmp_path, {"c.json": RESOURCE}) / "c.json", None, Options())
    assert (release.header["url"], release.header["version"], release.header["content"]) == (
        "urn:json",
        "4",
        "not-present",
    )
    assert lines(release) == ["x 'None' <>", "y 'None' <x>"]


@pytest.mark.parametrize(
    ("files", "kind", "options", "problem"),
    [
        ({"a.txt": "x"}, None, {}, "not a release of any kind"),
        ({"c.csv": CSV}, "loinc", {}, "not a release of kind loinc"),
        ({"c.csv": CSV}, None, {}, "say the system"),
        ({"c.csv": "a,b\n1,2\n"}, None, {"system": "urn:x"}, "no column code, display"),
        ({"c.csv": "code,display\n1,a\n1,b\n"}, None, {"system": "urn:x"}, "'1' is there twice"),
        ({"c.csv": "code,display\n,a\n"}, None, {"system": "urn:x"}, "has no code"),
        ({"c.csv": "code,display\n"}, None, {"system": "urn:x"}, "no concept"),
        ({"c.csv": 'code,display\n1,"a'}, None, {"system": "urn:x"}, "c.csv: unexpected end"),
        ({"c.json": "{"}, None, {}, "c.json: The body is not valid JSON"),
        ({"c.json": "{}"}, None, {}, "not a CodeSystem with concepts"),
        ({"Loinc.csv": loinc()["LoincTable/Loinc.csv"]}, None, {}, "which version of LOINC"),
        ({"icd10cm_order_2024.txt": "garbage"}, None, {}, "line 1: not a line"),
        ({"a.xml": "<ClaML><"}, None, {}, "a.xml: unclosed token"),
        ({"sct2_Concept_Snapshot_INT_x.txt": ""}, None, {}, "no date in its name"),
        ({"sct2_Concept_Snapshot_INT_20240101.txt": "id\n"}, None, {}, "no column active"),
    ],
)
async def test_what_cant_be_loaded(server, call, pool, statements, tmp_path, files, kind, options, problem):
    tables = PostgresTerminology(pool, statements)
    before = await tables.loaded()
    with pytest.raises(ReleaseError, match=problem):
        await load(
            server,
            call,
            tables,
            open_release(folder(tmp_path, files), kind, Options(**options)),
            lambda number: None,
            0,
        )
    assert await tables.loaded() == before


async def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(ReleaseError, match="does not exist"):
        open_release(tmp_path / "nothing", None, Options())


async def test_loaded_code_systems_are_asked_like_others(server, call, client, pool, statements, tmp_path):
    tables = PostgresTerminology(pool, statements)
    done = await load(
        server, call, tables, open_release(packed(tmp_path, rf2()), None, Options()), lambda number: None, 0
    )
    assert (done.url, done.version, done.size) == (SNOMED, EDITION, 4)
    (entry,) = (await client.get(f"CodeSystem?url={SNOMED}")).json()["entry"]
    assert (entry["resource"]["content"], entry["resource"]["count"]) == ("not-present", 4)

    async def values(address):
        answer = (await client.get(address)).json()
        return {
            item["name"]: next((item[key] for key in item if key.startswith("value")), None)
            for item in answer["parameter"]
        }

    id = entry["resource"]["id"]
    for address in (
        "CodeSystem/$validate-code?url=" + SNOMED,
        f"CodeSystem/{id}/$validate-code?",
        f"ValueSet/$validate-code?url={SNOMED}?fhir_vs%3Disa/73211009&system={SNOMED}",
    ):
        good = await values(address + "&code=46635009")
        assert (good["result"], good["display"]) == (True, '"Type 1" diabetes'), address
        assert (await values(address + "&code=1"))["result"] is False
    lookup = (await client.get(f"CodeSystem/$lookup?system={SNOMED}&code=73211009&property=child")).json()["parameter"]
    assert lookup[-1]["part"] == [{"name": "code", "valueCode": "child"}, {"name": "value", "valueCode": "46635009"}]
    related = f"CodeSystem/$subsumes?system={SNOMED}&codeA=138875005&codeB="
    assert [(await values(related + code))["outcome"] for code in ("46635009", "138875005", "11687002")] == [
        "subsumes",
        "equivalent",
        "not-subsumed",
    ]
    for query, codes in (
        ("?fhir_vs", ["138875005", "73211009", "46635009", "11687002"]),
        ("?fhir_vs%3Drefset/723264001", ["46635009"]),
        ("?fhir_vs%3Disa/73211009&filter=dia", ["46635009", "73211009"]),
        ("/900000000000207008?fhir_vs%3Disa/46635009", ["46635009"]),  # any version of the edition
    ):
        answer = (await client.get(f"ValueSet/$expand?url={SNOMED}{query}")).json()
        assert sorted(item["code"] for item in answer["expansion"]["contains"]) == sorted(codes), query
    terminology = server.terminology
    assert await terminology.codes(SNOMED + "?fhir_vs=isa/73211009") == {SNOMED: {"73211009", "46635009"}}
    assert await terminology.below(SNOMED, "73211009") == {"73211009", "46635009"}
    assert await terminology.above(SNOMED, "46635009") == {"46635009", "73211009", "138875005"}
    assert await remove(server, call, tables, SNOMED) == 1
    assert (await client.get(f"CodeSystem/{id}")).status_code == 410
