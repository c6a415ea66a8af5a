"""The check of one resource, with all in it, against the profiles that it claims and those that are asked for."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

from fhirserver.fhir.definitions import Definitions
from fhirserver.fhir.fhirpath import Environment, stub
from fhirserver.fhir.outcomes import Severity
from fhirserver.fhir.validation.profiles.items import Item, resource_type
from fhirserver.fhir.validation.report import Place, Report, TooManyIssues

_MOST_STEPS = 300_000
_STEPS_OF_TRIAL = 10
_DEEPEST = 50
_LONGEST_NAME = 200
_ANY_RESOURCE = frozenset({"Resource", "DomainResource"})

# The check of a value. It reports what is wrong to the report of the run.
ItemCheck = Callable[[Item, "Run"], None]
# Whether an extension may stand at a place, and in words where it may.
ContextCheck = Callable[[Place, Report], str | None]


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile, ready to check with. `check` is None if it says no more than R4, `problem` why it can't be used.

    `imposed`: other profiles that what conforms to it has to conform to. `context` is that of an extension. `doubts`
    tell what of it is not checked.
    """

    url: str
    type_name: str
    check: ItemCheck | None = None
    imposed: tuple[str, ...] = ()
    context: ContextCheck | None = None
    problem: str | None = None
    doubts: tuple[str, ...] = ()

    def is_for(self, type_code: str) -> bool:
        """Whether it is about values of this type."""
        return self.type_name == type_code or self.type_name in _ANY_RESOURCE


class Profiles(Protocol):
    """All profiles that are known. `is_full`: what is no error is reported too."""

    definitions: Definitions
    is_full: bool

    def profile(self, url: str) -> Profile | None:
        """The one with this canonical URL, which may have a version; None if it is not known."""


class TooCostly(Exception):
    """More steps were taken than a resource may cost."""


@dataclass(slots=True)
class _Shared:
    """What a run and its trials have in common."""

    outermost: dict[str, Any]
    steps: int = 0
    under_way: set[tuple[int, str]] = field(default_factory=set)
    outcomes: dict[tuple[int, str], str | None] = field(default_factory=dict)
    addresses: dict[str, dict[str, Any]] | None = None


class _Trial(Report):
    """Ends with the first error."""

    __slots__ = ()

    def add(self, code: str, diagnostics: str, place: Place, severity: Severity = "error") -> None:
        if severity == "error":
            super().add(code, diagnostics, place)
            raise TooManyIssues


class Run:
    """Reports to `report`. `asked`: the profiles that the outermost resource is checked against besides its own.

    A trial shares what was found out, and has a report of its own.
    """

    def __init__(self, profiles: Profiles, report: Report, shared: _Shared, asked: Sequence[str] = ()):
        self.report = report
        self.environment = report.environment
        self._profiles = profiles
        self._asked = asked
        self._shared = shared

    @classmethod
    def of(cls, resource: dict[str, Any], asked: Sequence[str], profiles: Profiles, report: Report) -> "Run":
        """That of an outermost resource."""
        return cls(profiles, report, _Shared(resource), asked)

    def resource(self, value: dict[str, Any], place: Place) -> None:
        """Check a resource against the profiles in its meta, the outermost also against those that are asked for."""
        claims = self._claims(value, place)
        if not claims:
            return
        outer = self.report.environment
        self.environment = self._environment(value, outer.root_resource)
        item = Item(value, resource_type(value, self._profiles.definitions), place)
        with self._bounded(place):
            for url, at in claims:
                self._against(url, item, at)

    def extension(self, value: dict[str, Any], url: str, place: Place) -> None:
        """Check an extension against its definition, if that is known."""
        definition = self._profiles.profile(url)
        if definition is None:
            return
        if definition.type_name != "Extension":
            problem = f"{_named(url)} is no extension, but a profile of {definition.type_name}"
            self.report.add("extension", problem, (place, "url", None))
            return
        if definition.context is not None:
            expected = definition.context(place, self.report)
            if expected is not None:
                self._misplaced(url, expected, place)
        self.environment = self.report.environment
        with self._bounded(place):
            self._apply(definition, Item(value, "Extension", place))

    def check(self, item: Item, url: str) -> None:
        """Report what a profile that the type of the item has says of it."""
        if (
            item.type_code == "Extension"
            and type(item.value) is dict
            and item.value.get("url") == url.partition("|")[0]
        ):
            # An extension is checked against its definition wherever it is.
            if self._profiles.profile(url) is None:
                self._unknown(url, item.place)
            return
        self._against(url, item, item.place)

    def problem(self, item: Item, url: str) -> str | None:
        """The first thing that keeps an item from conforming to a profile; None if it conforms, as far as is known."""
        key = id(item.value), url
        shared = self._shared
        if key in shared.outcomes:
            return shared.outcomes[key]
        profile = self._profiles.profile(url)
        if profile is None:
            self._unknown(url, item.place)
            return None
        if not profile.is_for(item.type_code):
            return f"it is a {item.type_code}, not a {profile.type_name}"
        self.spend(_STEPS_OF_TRIAL)
        trial = Run(self._profiles, _Trial(self.report.context), shared)
        trial.report.malformed = self.report.malformed
        trial.environment = self._environment_of(item)
        with suppress(TooManyIssues):
            trial._apply(profile, item)
        self.report.unknown_profiles += trial.report.unknown_profiles
        found = trial.report.issues[0].diagnostics if trial.report.issues else None
        if type(item.value) is dict:
            shared.outcomes[key] = found
        return found

    def type_of_profile(self, url: str) -> str | None:
        """The type that a profile is about; None if it is not known."""
        profile = self._profiles.profile(url)
        return profile.type_name if profile is not None else None

    def target(self, text: str) -> dict[str, Any] | None:
        """The resource that a reference leads to, if it is contained in the one at hand or an entry of the Bundle."""
        if not text.startswith("#"):
            return self._addresses().get(text)
        root = self.environment.current_root
        return root if text == "#" else next((item for item in _contained(root) if item.get("id") == text[1:]), None)

    def type_of(self, resource: dict[str, Any]) -> str:
        """The type of a resource."""
        return resource_type(resource, self._profiles.definitions)

    def spend(self, steps: int) -> None:
        """Note that work was done. Raises TooCostly when it is too much."""
        self._shared.steps += steps
        if self._shared.steps > _MOST_STEPS:
            raise TooCostly

    def _misplaced(self, url: str, expected: str, place: Place) -> None:
        # R4's own definitions have R4's own extensions in more places than R4 says.
        is_definition = "url" in (self.report.environment.resource or {})
        if is_definition and not self._profiles.is_full:
            return
        severity: Severity = "warning" if is_definition else "error"
        self.report.add("extension", f"{_named(url)} must not be here, but in {expected}", place, severity)

    def _claims(self, value: dict[str, Any], place: Place) -> list[tuple[str, Place]]:
        meta = value.get("meta")
        listed = meta.get("profile") if type(meta) is dict else None
        claims: dict[str, Place] = {}
        for index, url in enumerate(listed if type(listed) is list else ()):
            if type(url) is str:
                claims.setdefault(url, ((place, "meta", None), "profile", index))
        if place[0] is None:
            for url in self._asked:
                claims.setdefault(url, place)
        return list(claims.items())

    def _against(self, url: str, item: Item, at: Place) -> None:
        profile = self._profiles.profile(url)
        if profile is None:
            self._unknown(url, at)
        elif not profile.is_for(item.type_code):
            problem = f"{_named(url)} is a profile of {profile.type_name}, not of {item.type_code}"
            self.report.add("invalid", problem, at)
        else:
            self._apply(profile, item)

    def _apply(self, profile: Profile, item: Item) -> None:
        key = id(item.value), profile.url
        under_way = self._shared.under_way
        if key in under_way:
            return
        if len(under_way) >= _DEEPEST:
            raise TooCostly
        under_way.add(key)
        try:
            if profile.problem is not None:
                self.report.add("processing", f"{_named(profile.url)} can't be used: {profile.problem}", item.place)
            for doubt in profile.doubts:
                self.report.add(
                    "processing", f"Not all of {_named(profile.url)} is checked: {doubt}", item.place, "warning"
                )
            if profile.check is not None:
                profile.check(item, self)
            for url in profile.imposed:
                self._against(url, item, item.place)
        finally:
            under_way.discard(key)

    def _unknown(self, url: str, place: Place) -> None:
        self.report.unknown_profiles.append((url, place))

    def _bounded(self, place: Place) -> "_Bounded":
        return _Bounded(self.report, place)

    def _resource_behind(self, reference: Any) -> dict[str, Any] | None:
        text = reference.get("reference") if type(reference) is dict else reference
        found = self._addresses().get(text) if type(text) is str else None
        return found if found is not None else stub(reference)

    def _conforms_to(self, value: Any, url: str) -> bool | None:
        profile = self._profiles.profile(url)
        if profile is None:
            return None
        is_resource = type(value) is dict and "resourceType" in value
        type_code = self.type_of(value) if is_resource else profile.type_name
        return self.problem(Item(value, type_code, (None, type_code, None)), url) is None

    def _environment_of(self, item: Item) -> Environment:
        """What expressions on an item are evaluated in."""
        value, own = item.value, self.environment
        if value is own.resource or not self._profiles.definitions.is_resource_type(item.type_code):
            return own
        root = own.current_root
        return self._environment(value, root if any(value is each for each in _contained(root)) else value)

    def _environment(self, resource: dict[str, Any], root: Any) -> Environment:
        return Environment(resource, root, resolve=self._resource_behind, conforms_to=self._conforms_to)

    def _addresses(self) -> dict[str, dict[str, Any]]:
        shared = self._shared
        if shared.addresses is None:
            shared.addresses = _addresses_in(shared.outermost)
        return shared.addresses


class _Bounded:
    """Says that a check was broken off, and lets the rest go on."""

    def __init__(self, report: Report, place: Place):
        self._report = report
        self._place = place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if not isinstance(error, TooCostly | RecursionError):
            return False
        self._report.add("too-costly", "It takes too much to check this against its profiles", self._place)
        return True


def _named(url: str) -> str:
    return url[:_LONGEST_NAME]


def _contained(root: Any) -> list[dict[str, Any]]:
    listed = root.get("contained") if type(root) is dict else None
    return [resource for resource in listed if type(resource) is dict] if type(listed) is list else []


def _addresses_in(bundle: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The resources of a Bundle by the references that lead to them."""
    found: dict[str, dict[str, Any]] = {}
    entries = bundle.get("entry") if bundle.get("resourceType") == "Bundle" else None
    for entry in entries if type(entries) is list else ():
        url, resource = (entry.get("fullUrl"), entry.get("resource")) if type(entry) is dict else (None, None)
        if type(url) is str and type(resource) is dict:
            found.setdefault(url, resource)
            relative = f"{resource.get('resourceType')}/{resource.get('id')}"
            if url.endswith("/" + relative):
                found.setdefault(relative, resource)
    return found
