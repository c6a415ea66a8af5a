"""XHTML that R4 allows in a narrative: formatting, links and images, but nothing that acts.

https://hl7.org/fhir/R4/narrative.html#xhtml. The text is parsed as XML without a DTD, so it has no entities of its own
and takes time and memory in proportion to its length. Where browsers, which read it as HTML, see something else than
an XML parser does (CDATA, processing instructions, some comments), it is refused.
"""

import re
from collections.abc import Callable
from typing import Any
from xml.parsers import expat

_XHTML = "http://www.w3.org/1999/xhtml"
_DEEPEST = 200
_MOST_PROBLEMS = 10

# What the invariant txt-1 lists, and the rest of the chapters of HTML 4.0 that it names, and of images.
_FORMATTING = """
    a abbr acronym address area b bdo big blockquote br caption cite code col colgroup dd dfn div dl dt em h1 h2 h3 h4
    h5 h6 hr i img kbd li map ol p pre q samp small span strong sub sup table tbody td tfoot th thead tr tt ul var
"""
_PLAIN = """
    abbr accesskey align alt axis bgcolor border cellhalign cellpadding cellspacing cellvalign char charoff charset
    cite class colspan compact coords dir frame headers height href hreflang hspace id ismap lang longdesc name nohref
    nowrap rel rev rowspan rules scope shape span src start style summary tabindex title type usemap valign value
    vspace width xml:lang
"""
_ELEMENTS, _ATTRIBUTES = frozenset(_FORMATTING.split()), frozenset(_PLAIN.split())
_LINKS = frozenset({"href", "src", "cite", "longdesc", "usemap"})
_BLANKS = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202f\ufeff]+").sub
_ACTIVE_LINK = re.compile(r"(?:javascript|vbscript|livescript|data):").match
_PICTURE = re.compile(r"data:image/(?:png|gif|jpe?g|webp|bmp|x-icon)[;,]").match
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL).sub
_CSS_ESCAPE = re.compile(r"\\(?:([0-9a-fA-F]{1,6})\s?|(.))", re.DOTALL).sub
_ACTIVE_STYLE = re.compile(
    r"expression\(|javascript:|vbscript:|-moz-binding|behaviou?r:|@import|url\(['\"]?data:(?!image/(?!svg))"
).search


class _TooMany(Exception):
    """There is enough to say about this text."""


class _Reading:
    """What is found while the text is parsed."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self.depth = 0
        self.has_content = False

    def refuse(self, problem: str) -> None:
        self.problems.append(problem)
        if len(self.problems) >= _MOST_PROBLEMS:
            raise _TooMany

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth == 1:
            if name != "div":
                self.refuse(f"it has to be one <div>, not <{name[:40]}>")
            if attributes.get("xmlns") != _XHTML:
                self.refuse(f'the <div> needs xmlns="{_XHTML}"')
        elif name not in _ELEMENTS:
            self.refuse(f"the element <{name[:40]}> is not allowed (txt-1)")
        if self.depth > _DEEPEST:
            self.refuse(f"it is nested deeper than {_DEEPEST} levels")
            raise _TooMany
        for attribute, value in attributes.items():
            if attribute not in _ATTRIBUTES:
                if attribute != "xmlns" or value != _XHTML:
                    self.refuse(f"the attribute {attribute[:40]} of <{name[:40]}> is not allowed (txt-1)")
            elif attribute in _LINKS and _is_active(value, name == "img"):
                self.refuse(f"the {attribute} of <{name[:40]}> is active content (txt-1)")
            elif attribute == "style" and _acts(value):
                self.refuse(f"the style of <{name[:40]}> is active content (txt-1)")
        if name == "img" and "src" in attributes:
            self.has_content = True

    def end(self, name: str) -> None:
        self.depth -= 1

    def text(self, text: str) -> None:
        if not self.has_content and not text.isspace():
            self.has_content = True

    def comment(self, text: str) -> None:
        if text.startswith((">", "->", "[if")):
            self.refuse("such a comment is not allowed: some browsers read what is in it (txt-1)")

    def forbidden(self, what: str) -> Callable[..., None]:
        def handler(*_: Any) -> None:
            self.refuse(f"{what} is not allowed (txt-1)")
            raise _TooMany

        return handler


def narrative_problems(text: str) -> list[str]:
    """What is wrong with the XHTML of a narrative, at most ten things, each in words; nothing if it is allowed."""
    reading = _Reading()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.text
    parser.CommentHandler = reading.comment
    parser.StartDoctypeDeclHandler = reading.forbidden("a DOCTYPE")
    parser.ProcessingInstructionHandler = reading.forbidden("a processing instruction")
    parser.XmlDeclHandler = reading.forbidden("an XML declaration")
    parser.StartCdataSectionHandler = reading.forbidden("CDATA")
    try:
        parser.Parse(text.lstrip(), True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        where = f"line {error.lineno}, column {error.offset + 1} of it"
        return [*reading.problems, f"it is not well-formed XML: {reason} ({where})"]
    except UnicodeEncodeError:
        return ["it has half a character (lone surrogate)"]
    except _TooMany:
        return reading.problems
    if not reading.has_content:
        reading.problems.append("it has neither text nor images (txt-2)")
    return reading.problems


def _is_active(link: str, of_image: bool) -> bool:
    """Whether following the link runs something: browsers pass over blanks and control characters in its scheme."""
    plain = _BLANKS("", link).lower()
    return _ACTIVE_LINK(plain) is not None and not (of_image and _PICTURE(plain))


def _acts(style: str) -> bool:
    """Whether a browser, a very old one maybe, finds something to run in this CSS."""
    plain = _CSS_ESCAPE(_unescaped, _CSS_COMMENT("", style))
    return _ACTIVE_STYLE(_BLANKS("", _CSS_COMMENT("", plain)).lower()) is not None


def _unescaped(match: "re.Match[str]") -> str:
    if match[1] is None:
        return str(match[2])
    number = int(match[1], 16)
    return chr(number) if number < 0x110000 else ""
