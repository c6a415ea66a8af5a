"""https://hl7.org/fhirpath/N1/#grammar"""

import pytest

from fhirserver.fhir.fhirpath.parser import FhirPathError, parse
from fhirserver.fhir.fhirpath.tree import Binary, Call, Expression, Index, Literal, Member, Unary, Variable


def text(node: Expression | None) -> str:
    """The tree as text with every operation in parentheses."""
    match node:
        case Literal(kind="string", value=value):
            return f"'{value}'"
        case Literal(kind="quantity", value=value, unit=unit):
            return f"{value}[{unit}]"
        case Literal(kind="empty"):
            return "{}"
        case Literal(kind=kind, value=value):
            return str(value) if kind in ("number", "boolean") else f"{kind}:{value}"
        case Variable(name=name):
            return name
        case Member(source=source, name=name):
            return f"{text(source)}.{name}" if source else name
        case Call(source=source, name=name, arguments=arguments):
            call = f"{name}({', '.join(map(text, arguments))})"
            return f"{text(source)}.{call}" if source else call
        case Index(source=source, position=position):
            return f"{text(source)}[{text(position)}]"
        case Unary(operator=operator, operand=operand):
            return f"({operator}{text(operand)})"
        case Binary(operator=operator, left=left, right=right):
            return f"({text(left)} {operator} {text(right)})"
    raise AssertionError(node)


@pytest.mark.parametrize(
    ("expression", "tree"),
    [
        # paths
        ("Patient", "Patient"),
        ("Patient.name.given", "Patient.name.given"),
        ("Bundle.entry[0].resource", "Bundle.entry[0].resource"),
        ("name.given[1 + 1]", "name.given[(1 + 1)]"),
        ("Task.for", "Task.for"),
        ("`div`.`a\\`b`", "div.a`b"),
        ("text.div", "text.div"),
        ("Observation.as(Quantity)", "Observation.as(Quantity)"),
        ("contains.in.is.as", "contains.in.is.as"),
        # literals
        ("'it\\'s \\u00e9\\n'", "'it's é\n'"),
        ("true and false", "(True and False)"),
        ("x.true", "x.true"),
        ("4.50", "4.50"),
        ("4 'mg'", "4[mg]"),
        ("3 days", "3[days]"),
        ("{}", "{}"),
        ("@2014-05", "date:2014-05"),
        ("@2014T", "dateTime:2014T"),
        ("@2014-05-10T10:00:00.5+02:00", "dateTime:2014-05-10T10:00:00.5+02:00"),
        ("@T14:30", "time:T14:30"),
        # variables
        ("$this.x", "$this.x"),
        ("%resource.id", "%resource.id"),
        ("%`vs-x`", "%vs-x"),
        ("%'vs-x'", "%vs-x"),
        # functions
        ("a.where(b = 'c').d", "a.where((b = 'c')).d"),
        ("iif(a, b, c)", "iif(a, b, c)"),
        ("today()", "today()"),
        ("a.where(resolve() is Patient)", "a.where((resolve() is Patient))"),
        # precedence, weakest first
        ("a implies b or c", "(a implies (b or c))"),
        ("a or b and c", "(a or (b and c))"),
        ("a xor b or c", "((a xor b) or c)"),
        ("a and b in c", "(a and (b in c))"),
        ("a contains b = c", "(a contains (b = c))"),
        ("a = b < c", "(a = (b < c))"),
        ("a < b | c", "(a < (b | c))"),
        ("a | b as c", "(a | (b as c))"),
        ("a is b + c", "(a is (b + c))"),
        ("a + b * c", "(a + (b * c))"),
        ("a div b mod c", "((a div b) mod c)"),
        ("a & b - c", "((a & b) - c)"),
        ("-a.b * c", "((-a.b) * c)"),
        ("- -1", "(-(-1))"),
        ("a !~ b", "(a !~ b)"),
        ("(a | b).c", "(a | b).c"),
        ("(a as b).c", "(a as b).c"),
        ("a as FHIR.Quantity", "(a as FHIR.Quantity)"),
        # white space and comments
        (" a /* one\ntwo */ . b // end", "a.b"),
    ],
)
def test_tree(expression: str, tree: str) -> None:
    assert text(parse(expression)) == tree


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("", "the end at position 0 of ''"),
        ("a.", "the end at position 2 of 'a.', a name was expected"),
        ("a..b", "'.' at position 2 of 'a..b', a name was expected"),
        ("a b", "'b' at position 2 of 'a b'"),
        ("a.where(b", "the end at position 9 of 'a.where(b', ',' was expected"),
        ("a.where(b c)", "'c' at position 10 of 'a.where(b c)', ',' was expected"),
        ("(a", "the end at position 2 of '(a', ')' was expected"),
        ("a[0", "the end at position 3 of 'a[0', ']' was expected"),
        ("a)", "')' at position 1 of 'a)'"),
        ("a = ", "the end at position 4 of 'a = '"),
        ("a and", "the end at position 5 of 'a and'"),
        ("and", "'and' at position 0 of 'and'"),
        ("a or or b", "'or' at position 5 of 'a or or b'"),
        ("a.'b'", "''b'' at position 2 of 'a.'b'', a name was expected"),
        ("{a}", "'a' at position 1 of '{a}', '}' was expected"),
        ("a # b", "'#' at position 2 of 'a # b'"),
        ("'open", "''' at position 0 of ''open'"),
        ("a = '\\u12'", "''' at position 4 of 'a = '\\u12''"),
        ("a.$this", "'$this' at position 2 of 'a.$this'"),
        ("é", "'é' at position 0 of 'é'"),
    ],
)
def test_errors_say_where(expression: str, message: str) -> None:
    with pytest.raises(FhirPathError) as caught:
        parse(expression)
    assert str(caught.value) == message


def test_nesting_is_bounded() -> None:
    assert text(parse("(" * 90 + "a" + ")" * 90)) == "a"
    with pytest.raises(FhirPathError, match="nested more than 200 deep"):
        parse("(" * 1000 + "a" + ")" * 1000)
