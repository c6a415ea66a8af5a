"""The expressions of R4's own search parameters: all compile, to values of types that can be indexed."""

from datetime import UTC

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath.paths import compile_paths
from fhirserver.search.keys import ParameterKeys
from fhirserver.search.parameter_types import PARAMETER_TYPES
from fhirserver.search.types.clause import Source

# (type, parameter, type of the value): branches of choice elements that the parameter's type has no use for.
NOT_INDEXED = {
    ("Procedure", "date", "Age"): "performed[x] of an age says nothing of the date",
    ("Procedure", "date", "Range"): "performed[x] of a range of ages says nothing of the date",
    ("Consent", "source-reference", "Attachment"): "source[x] that is an attachment refers to nothing",
}
NO_EXPRESSION = {"_content", "_query", "_text"}  # of the whole resource, or of none
# What SQL/JSON can't select, and _sort does not order by.
NO_JSON_PATH = {("Patient", "deceased"): "computed: exists() and != false"}


def test_every_parameter_selects_what_the_index_knows(definitions: Definitions) -> None:
    without, not_indexed, no_json_path, count = set(), set(), set(), 0
    for resource_type in definitions.resource_types:
        for code, parameter in definitions.search_parameters(resource_type).items():
            if parameter.expression is None:
                without.add(code)
                continue
            branches = compile_paths(parameter.expression, resource_type, definitions)
            assert branches, (resource_type, code, parameter.expression)
            if any(branch.json_path is None for branch in branches):
                no_json_path.add((resource_type, code))
            kind = PARAMETER_TYPES.get(parameter.type)
            if kind is None:
                assert parameter.type in ("composite", "special")
                continue
            keys = ParameterKeys(resource_type, code)
            for branch in branches:
                source = Source(parameter, branch, keys, definitions, UTC)
                if kind.indexer(source) is None:
                    not_indexed.add((resource_type, code, branch.type_name))
                count += 1
    assert without == NO_EXPRESSION
    assert not_indexed == NOT_INDEXED.keys()
    assert no_json_path == NO_JSON_PATH.keys()
    assert count > 2000
