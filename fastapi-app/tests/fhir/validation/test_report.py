"""What a report keeps when there is too much to report."""

import pytest

from fhirserver.fhir.validation.report import MAX_ISSUES, Context, Place, Report, TooManyIssues

PLACE: Place = (None, "Patient", None)


def test_warnings_leave_room_for_errors() -> None:
    report = Report(Context())
    for number in range(MAX_ISSUES + 50):
        report.add("value", f"warning {number}", PLACE, "warning")
    for number in range(3):
        report.add("value", f"error {number}", PLACE)
    assert len(report.issues) == MAX_ISSUES
    assert [issue.diagnostics for issue in report.issues if issue.is_error] == ["error 0", "error 1", "error 2"]


def test_it_ends_with_the_last_error_that_fits() -> None:
    report = Report(Context())
    report.add("value", "warning", PLACE, "warning")
    for _ in range(MAX_ISSUES - 1):
        report.add("value", "error", PLACE)
    with pytest.raises(TooManyIssues):
        report.add("value", "error", PLACE)
    assert [issue.severity for issue in report.issues] == ["error"] * MAX_ISSUES
