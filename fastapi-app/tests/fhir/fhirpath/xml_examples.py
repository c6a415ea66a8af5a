"""HL7's example resources in XML, as the JSON that the server works with. For tests: the input is known to be right.

https://hl7.org/fhir/R4/xml.html and https://hl7.org/fhir/R4/json.html
"""

import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.resource_json import Number

FHIR = "{http://hl7.org/fhir}"
XHTML = "{http://www.w3.org/1999/xhtml}"
_NUMBERS = {"decimal": Number, "integer": int, "positiveInt": int, "unsignedInt": int}


def read_xml(path: Path, definitions: Definitions) -> dict[str, Any]:
    """The resource in a file."""
    ElementTree.register_namespace("", XHTML[1:-1])
    return _resource(ElementTree.parse(path).getroot(), definitions)


def _resource(element: ElementTree.Element, definitions: Definitions) -> dict[str, Any]:
    name = element.tag.removeprefix(FHIR)
    return {"resourceType": name} | _content(element, name, definitions)


def _content(element: ElementTree.Element, type_name: str, definitions: Definitions) -> dict[str, Any]:
    result: dict[str, Any] = {key: value for key, value in element.attrib.items() if key != "value"}
    for child in element:
        key = child.tag.removeprefix(FHIR)
        if child.tag == XHTML + "div":
            result["div"] = ElementTree.tostring(child, encoding="unicode").strip()
            continue
        known = definitions.type(type_name).properties[key]
        value, partner = _value(child, known.type_code, definitions)
        if known.element.is_list:
            _append(result, key, value)
            if partner or "_" + key in result:
                _append(result, "_" + key, partner)
                if len(result["_" + key]) < len(result[key]):
                    result["_" + key][:0] = [None] * (len(result[key]) - len(result["_" + key]))
        else:
            result |= {key: value} if value is not None else {}
            result |= {"_" + key: partner} if partner else {}
    return result


def _append(result: dict[str, Any], key: str, value: Any) -> None:
    result.setdefault(key, []).append(value)


def _value(element: ElementTree.Element, type_code: str, definitions: Definitions) -> tuple[Any, dict[str, Any] | None]:
    if type_code == "Resource":
        return _resource(element[0], definitions), None
    if definitions.type(type_code).kind != "primitive-type":
        return _content(element, type_code, definitions), None
    text = element.get("value")
    if type_code == "boolean" and text is not None:
        value: Any = text == "true"
    elif type_code in _NUMBERS and text is not None:
        value = _NUMBERS[type_code](text)
    else:
        value = text
    return value, _content(element, "Element", definitions) or None
