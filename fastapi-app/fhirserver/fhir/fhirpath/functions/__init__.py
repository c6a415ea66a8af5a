"""The functions by name; a module for each section of the specification."""

from fhirserver.fhir.fhirpath.functions import (
    boundaries,
    combining,
    conversion,
    elements,
    existence,
    filtering,
    mathematics,
    navigation,
    strings,
    subsetting,
    terminology,
    utility,
)

FUNCTIONS = {
    **existence.FUNCTIONS,
    **filtering.FUNCTIONS,
    **subsetting.FUNCTIONS,
    **combining.FUNCTIONS,
    **conversion.FUNCTIONS,
    **strings.FUNCTIONS,
    **mathematics.FUNCTIONS,
    **boundaries.FUNCTIONS,
    **navigation.FUNCTIONS,
    **utility.FUNCTIONS,
    **elements.FUNCTIONS,
    **terminology.FUNCTIONS,
}
