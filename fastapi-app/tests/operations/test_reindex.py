"""Who may let be reindexed: those who may update all that it is about."""

from datetime import UTC, datetime

import pytest

from fhirserver.access.policy import Scoped
from fhirserver.access.scopes import parse_scopes
from fhirserver.fhir.outcomes import Forbidden
from fhirserver.interactions.context import Call
from fhirserver.operations.reindex import require_all


@pytest.mark.parametrize(
    ("scopes", "types", "may"),
    [
        ("user/*.cruds", [], True),
        ("system/*.u", [], True),
        ("system/*.u", ["Patient"], True),
        ("system/*.u", ["AuditEvent"], False),  # that is not what * stands for
        ("user/*.rs", [], False),
        ("user/Patient.u", ["Patient"], True),
        ("user/Patient.u", ["Patient", "Observation"], False),
        ("user/Patient.u", [], False),
        ("user/Patient.u?gender=male", ["Patient"], False),  # not all of them
        ("patient/*.cruds", [], False),
    ],
)
def test_who_may(server, definitions, scopes, types, may):
    policy = Scoped([parse_scopes(scopes)], "p", definitions, UTC, datetime(2026, 1, 1, tzinfo=UTC))
    call = Call("http://test/fhir", "test", policy)
    if may:
        require_all(server, call, types)
    else:
        with pytest.raises(Forbidden):
            require_all(server, call, types)
