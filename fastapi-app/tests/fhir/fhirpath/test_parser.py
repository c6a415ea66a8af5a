"""https://hl7.org/fhirpath/N1/#grammar"""

import pytest

from fhirserver.fhir.fhirpath.errors import FhirPathError
from fhirserver.fhir.fhirpath.parser import parse
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
        ("", "unexpected: the end (position 0 of '')"),
        ("a.", "unexpected: the end, a name was expected (position 2 of 'a.')"),
        ("a..b", "unexpected: '.', a name was expected (position 2 of 'a..b')"),
        ("a b", "unexpected: 'b' (position 2 of 'a b')"),
        ("a.where(b", "unexpected: the end, ',' was expected (position 9 of 'a.where(b')"),
        ("a.where(b c)", "unexpected: 'c', ',' was expected (position 10 of 'a.where(b c)')"),
        ("(a", "unexpected: the end, ')' was expected (position 2 of '(a')"),
        ("a[0", "unexpected: the end, ']' was expected (position 3 of 'a[0')"),
        ("a)", "unexpected: ')' (position 1 of 'a)')"),
        ("a = ", "unexpected: the end (position 4 of 'a = ')"),
        ("a and", "unexpected: the end (position 5 of 'a and')"),
        ("and", "unexpected: 'and' (position 0 of 'and')"),
        ("a or or b", "unexpected: 'or' (position 5 of 'a or or b')"),
        ("a.'b'", "unexpected: ''b'', a name was expected (position 2 of 'a.'b'')"),
        ("{a}", "unexpected: 'a', '}' was expected (position 1 of '{a}')"),
        ("a # b", "unexpected: '#' (position 2 of 'a # b')"),
        ("'open", "unexpected: ''' (position 0 of ''open')"),
        ("a = '\\u12'", "unexpected: ''' (position 4 of 'a = '\\u12'')"),
        ("a.$this", "unexpected: '$this' (position 2 of 'a.$this')"),
        ("é", "unexpected: 'é' (position 0 of 'é')"),
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
