"""https://ucum.org/ucum"""

import json
import tarfile
from decimal import Decimal
from pathlib import Path

import pytest

from fhirserver.fhir.datatypes.ucum import canonical, convert, is_unit
from fhirserver.fhir.datatypes.ucum_table import definitions


@pytest.mark.parametrize(
    ("value", "code", "number", "base"),
    [
        ("500", "mg", "0.5", "g"),
        ("0.5", "g", "0.5", "g"),  # the same quantity is the same result
        ("5.40", "mmol/L", "3.2519560104E+24", "m-3"),  # a mole is a number
        ("1", "mm[Hg]", "133322", "m-1.s-2.g"),
        ("60", "/min", "1", "s-1"),  # nothing before the slash
        ("1", "{beats}/min", "0.01666666666666666666666666666666667", "s-1"),  # annotations mean 1
        ("60", "{beats}/h", "0.01666666666666666666666666666666667", "s-1"),
        ("1", "mg{creat}", "0.001", "g"),
        ("1", "g/(8.h){shift}", "0.00003472222222222222222222222222222222", "s-1.g"),
        ("5", "10*3/uL", "5E+12", "m-3"),
        ("5", "10^9/L", "5E+12", "m-3"),
        ("50", "%", "0.5", "1"),
        ("7", "1", "7", "1"),
        ("1", "kg.m/s2", "1E+3", "m.s-2.g"),
        ("1", "kg.m.s-2", "1E+3", "m.s-2.g"),
        ("1", "m/s/s", "1", "m.s-2"),  # from the left
        ("1", "m/(s/s)", "1", "m"),
        ("1", "[in_i]", "0.0254", "m"),
        ("1", "[lb_av]", "453.59237", "g"),
        ("1", "wk", "6.048E+5", "s"),
        ("1", "mo", "2.6298E+6", "s"),  # the Julian month
        ("1", "deg", "0.01745329251994329576923690768488613", "rad"),
        ("1", "Mibit", "1.048576E+6", "1"),
        ("37", "Cel", "310.15", "K"),
        ("98.6", "[degF]", "310.15", "K"),
        ("100", "cCel", "274.15", "K"),
        ("0", "[degRe]", "273.15", "K"),
        ("1", "Cel/h", "0.0002777777777777777777777777777777778", "s-1.Cel"),  # a difference, not a temperature
        ("3", "k[IU]/mL", "3E+9", "m-3.[iU]"),  # nothing else converts to arbitrary units
        ("7.4", "[pH]", "7.4", "[pH]"),
        ("20", "dB", "2", "B"),
        ("1", "B[10.nV]", "1", "B[10.nV]"),  # a dot in brackets is part of the name
        ("1", "[m/s2/Hz^(1/2)]", "1", "[m/s2/Hz^(1/2)]"),
    ],
)  # fmt: skip
def test_canonical(value: str, code: str, number: str, base: str) -> None:
    found = canonical(Decimal(value), code)
    assert found is not None
    assert found == (Decimal(number), base)


def test_equal_quantities_have_the_same_text() -> None:
    assert str(canonical(Decimal("500.0"), "mg")) == str(canonical(Decimal("0.50"), "g"))


@pytest.mark.parametrize(
    ("value", "code", "target", "expected"),
    [
        ("98.6", "[degF]", "Cel", "37"),
        ("37", "Cel", "[degF]", "98.6"),
        ("1", "[lb_av]", "kg", "0.45359237"),
        ("3", "[ft_i]", "[in_i]", "36"),
        ("1", "/min", "/h", "60"),
        ("1", "g", "m", None),
        ("1", "mg/dL", "mmol/L", None),  # needs the molar mass
        ("1", "[iU]", "U", None),
        ("1", "pounds", "kg", None),
        ("1", "kg", "pounds", None),
    ],
)
def test_convert(value: str, code: str, target: str, expected: str | None) -> None:
    assert convert(Decimal(value), code, target) == (None if expected is None else Decimal(expected))


@pytest.mark.parametrize(
    "code",
    [
        "",
        "pounds",
        "MMOL",  # codes are case sensitive
        "kmin",  # the minute takes no prefix
        "kkg",
        "mg ",
        " mg",
        "mg.",
        "mg//L",
        "(mg",
        "mg)",
        "{open",
        "m{a{b}}",
        "mg{a}{b}",
        "m0",
        "0",
        "m+-2",
        "km999",
        "µg",
        "k",
        "a" * 256,
        "(" * 60 + "m" + ")" * 60,
    ],
)
def test_not_ucum(code: str) -> None:
    assert not is_unit(code)
    assert canonical(Decimal(1), code) is None


def test_infinite_numbers_have_no_canonical_form() -> None:
    assert canonical(Decimal("1E+999999"), "km") is None
    assert convert(Decimal("1E+999999"), "km", "mm") is None


def test_every_unit_of_the_table_is_defined() -> None:
    assert len(definitions()) == 312
    assert [code for code in definitions() if not is_unit(code)] == []


def test_the_common_units_of_r4(shared: Path) -> None:
    with tarfile.open(shared / "fhir-r4" / "hl7.fhir.r4.core-4.0.1.tar.xz") as package:
        file = package.extractfile("package/ValueSet-ucum-common.json")
        assert file is not None
        (include,) = json.load(file)["compose"]["include"]
    codes = [concept["code"] for concept in include["concept"]]
    assert len(codes) > 1000
    assert [code for code in codes if not is_unit(code)] == []
