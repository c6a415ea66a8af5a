"""Whether what an Attachment says about its data is so.

https://hl7.org/fhir/R4/datatypes.html#Attachment
"""

import binascii
from typing import Any

from fhirserver.fhir.validation.report import Place, Report


def check_attachment(value: Any, place: Place, report: Report) -> None:
    """The check of the `size` of an Attachment that has its data with it.

    Not of `hash`: it is base64 of the SHA-1 in R4, of its hexadecimal digits elsewhere, and both are in use.
    """
    size = value.get("size") if type(value) is dict else None
    if type(size) is not int or type(value.get("data")) is not str:
        return
    try:
        data = binascii.a2b_base64(value["data"])
    except ValueError:
        return
    if size != len(data):
        report.add("value", f"size must be that of the data, {len(data)}, not {size}", (place, "size", None))
