"""https://hl7.org/fhir/R4/narrative.html#xhtml: what may stand in a narrative, and what attackers would put there."""

import time

import pytest

from fhirserver.fhir.validation.narrative import narrative_problems

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'


def div(content: str) -> str:
    return f"{DIV}{content}</div>"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (div("a"), "text"),
        (" \n" + div("a"), "blanks before"),
        (div("<p>a<br/>b &amp; &lt; &#160;</p>"), "the entities of XML itself"),
        (div('<table class="x" border="1"><tr><td colspan="2" style="color: red">a</td></tr></table>'), "tables"),
        (div('<a href="http://x">a</a><a href="#y" name="y">b</a><a href="mailto:a@b">c</a>'), "links"),
        (div('<img src="http://x/y.png" alt="z"/>'), "an image is content"),
        (div('<img src="data:image/png;base64,AAAA"/>'), "an image of its own"),
        (div('<img src="#pic"/>'), "an image that is contained"),
        (div('<p style="background: url(data:image/png;base64,AA)">a</p>'), "an image in a style"),
        (div("<!-- a comment --><p>a</p>"), "comments"),
        (div('<div xmlns="http://www.w3.org/1999/xhtml">a</div>'), "the namespace twice"),
        (div('<p xml:lang="es" lang="es" dir="ltr" id="a" title="b">a</p>'), "attributes of all elements"),
        (div("<address>a</address><bdo dir='rtl'>b</bdo><kbd>c</kbd>"), "elements that txt-1 forgets, of chapter 7 to 9"),
        (div("javascript: alert(1)"), "text about scripts"),
        (div('<a href="http://x/?q=javascript:alert(1)">a</a>'), "scripts as text in links"),
        (div("<p>" * 150 + "a" + "</p>" * 150), "deep, but not too deep"),
    ],
)  # fmt: skip
def test_allowed(text: str, why: str) -> None:
    assert narrative_problems(text) == [], why


@pytest.mark.parametrize(
    ("text", "says", "why"),
    [
        ("a", "syntax error", "no XML"),
        ("", "no element found", "nothing"),
        (DIV + "<p>a</div>", "mismatched tag", "not well-formed"),
        (DIV + "a", "no element found", "not closed"),
        (div("a") + div("b"), "junk after", "two of them"),
        (div("a&nbsp;b"), "undefined entity", "entities of HTML are none of XML"),
        (div("a\x01"), "not well-formed", "a control character"),
        ("<p>a</p>", "one <div>", "not a div"),
        ("<div>a</div>", "xmlns", "no namespace"),
        ('<div xmlns="http://www.w3.org/2000/svg">a</div>', "xmlns", "another namespace"),
        (div(""), "txt-2", "nothing in it"),
        (div(" \n <p/>"), "txt-2", "nothing but blanks in it"),
        (div("<img/>"), "txt-2", "an image of nothing"),
        (div("<script>alert(1)</script>"), "<script>", "a script"),
        (div("<SCRIPT>alert(1)</SCRIPT>"), "<SCRIPT>", "a script, to those who read HTML"),
        (div("<x:script xmlns:x='http://www.w3.org/1999/xhtml'>alert(1)</x:script>"), "<x:script>", "with a prefix"),
        (div("<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"), "<svg>", "SVG"),
        (div("<iframe src='http://x'/>a"), "<iframe>", "a frame"),
        (div("<object data='x'/>a"), "<object>", "an object"),
        (div("<embed src='x'/>a"), "<embed>", "another"),
        (div("<form action='x'><input/></form>a"), "<form>", "a form"),
        (div("<link rel='stylesheet' href='x'/>a"), "<link>", "an external stylesheet"),
        (div("<style>p {}</style>a"), "<style>", "a stylesheet"),
        (div("<base href='http://x'/>a"), "<base>", "a base"),
        (div("<meta http-equiv='refresh' content='0'/>a"), "<meta>", "a head"),
        (div("<body>a</body>"), "<body>", "a body"),
        (div("<ins>a</ins>"), "<ins>", "chapter 9, section 4"),
        (div("<font color='red'>a</font>"), "<font>", "deprecated"),
        (div("<p onclick='alert(1)'>a</p>"), "onclick", "an event handler"),
        (div("<img src='x' onerror='alert(1)'/>"), "onerror", "an event handler"),
        (div("<p OnMouseOver='alert(1)'>a</p>"), "OnMouseOver", "an event handler"),
        (div("<a xlink:href='x' xmlns:xlink='http://www.w3.org/1999/xlink'>a</a>"), "xlink:href", "xlink"),
        (div("<a href='javascript:alert(1)'>a</a>"), "active", "a script in a link"),
        (div("<a href=' JaVaScRiPt:alert(1)'>a</a>"), "active", "case and blanks don't matter"),
        (div("<a href='java&#10;script:alert(1)'>a</a>"), "active", "browsers pass over line feeds"),
        (div("<a href='&#1;javascript:alert(1)'>a</a>"), "reference to invalid character", "and control characters"),
        (div("<a href='java&#x200b;script:alert(1)'>a</a>"), "active", "invisible characters"),
        (div("<a href='vbscript:x'>a</a>"), "active", "another language"),
        (div("<a href='data:text/html,x'>a</a>"), "active", "a page in a link"),
        (div("<a href='data:image/png;base64,AA'>a</a>"), "active", "not even an image: it is no <img>"),
        (div("<img src='javascript:alert(1)'/>"), "active", "a script for an image"),
        (div("<img src='data:image/svg+xml,x'/>"), "active", "SVG may have scripts"),
        (div("<q cite='javascript:alert(1)'>a</q>"), "active", "a script for a source"),
        (div("<p style='width: expression(alert(1))'>a</p>"), "active", "CSS that runs"),
        (div("<p style='width: exp/**/ression(alert(1))'>a</p>"), "active", "with a comment in it"),
        (div(r"<p style='width: \65 xpression(alert(1))'>a</p>"), "active", "escaped"),
        (div("<p style='background: url( javascript:alert(1) )'>a</p>"), "active", "a script in CSS"),
        (div("<p style='-moz-binding: url(x)'>a</p>"), "active", "a binding"),
        (div("<p style='behavior: url(x)'>a</p>"), "active", "a behaviour"),
        (div("<![CDATA[<script>alert(1)</script>]]>"), "CDATA", "text to XML, a script to HTML"),
        (div("<?php x ?>a"), "processing instruction", "an instruction"),
        (div("<!--><script>alert(1)</script>-->a"), "comment", "HTML ends the comment at once"),
        (div("<!--[if IE]><script>alert(1)</script><![endif]-->a"), "comment", "a conditional comment"),
        ('<?xml version="1.0"?>' + div("a"), "XML declaration", "a declaration"),
        ('<!DOCTYPE div [<!ENTITY x "y">]>' + div("&x;"), "DOCTYPE", "an entity"),
        ('<!DOCTYPE div [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + div("&x;"), "DOCTYPE", "an external entity"),
        ('<!DOCTYPE div SYSTEM "http://x/y.dtd">' + div("a"), "DOCTYPE", "an external DTD"),
        (div("<p>" * 250 + "a" + "</p>" * 250), "deeper", "too deep"),
    ],
)  # fmt: skip
def test_refused(text: str, says: str, why: str) -> None:
    problems = narrative_problems(text)
    assert any(says in problem for problem in problems), (why, problems)


def test_all_problems_are_told_but_no_more_than_ten() -> None:
    assert len(narrative_problems(div("<p onclick='x'><script/><b style='behavior:x'/>a</p>"))) == 3
    assert len(narrative_problems(div("<script/>" * 1000 + "a"))) == 10


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f'<!DOCTYPE div [<!ENTITY l0 "lol">{LAUGHS}]>' + div("&l9;"), "a billion laughs"),
        ("<div>" * 300_000, "deep beyond measure"),
        (div("<p" + "".join(f" a{n}='x'" for n in range(100_000)) + ">a</p>"), "a hundred thousand attributes"),
        (div("<p/>" * 400_000), "wide"),
        (div("<!--" + "- " * 500_000 + "-->"), "a long comment"),
        (div(f"<p style='{'/*' * 300_000}'>a</p><script/>"), "comments in CSS that never end"),
    ],
)
def test_bombs_are_refused_before_they_go_off(text: str, why: str) -> None:
    started = time.process_time()
    assert narrative_problems(text), why
    assert time.process_time() - started < 5, why  # of the processor; what is not bounded takes minutes
