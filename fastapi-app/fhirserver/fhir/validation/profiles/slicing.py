"""Slices: which of the values of an element are of which slice, and what the slicing says of all.

https://hl7.org/fhir/R4/profiling.html#slicing
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fhirserver.fhir.validation.profiles.discriminators import Test
from fhirserver.fhir.validation.profiles.items import Item
from fhirserver.fhir.validation.profiles.run import ItemCheck, Run
from fhirserver.fhir.validation.report import Place

# Of all values of an element. Arguments: the values, the place of the element, the run.
ItemsCheck = Callable[[Sequence[Item], Place, Run], None]

DEFAULT = "@default"


@dataclass(frozen=True, slots=True)
class Slice:
    """`check` is that of each of its values, `within` that of all of them; `max` is None for any number.

    `url`: it is known by this url of its extensions, and `test` would only say the same.
    """

    name: str
    where: str
    test: Test
    check: ItemCheck | None
    within: ItemsCheck | None
    min: int
    max: int | None
    url: str | None = None

    @property
    def says_nothing(self) -> bool:
        """Whether it makes no difference that a value is of this slice."""
        return self.check is None and self.within is None and not self.min and self.max is None


@dataclass(frozen=True, slots=True)
class Slicing:
    """`default`: the slice of what is of no other."""

    slices: tuple[Slice, ...]
    default: Slice | None
    rules: str
    is_ordered: bool
    where: str

    def compiled(self) -> ItemsCheck | None:
        """The check of all values; None if there is nothing to check."""
        is_free = self.rules == "open" and not self.is_ordered and self.default is None
        slices = tuple(slice_ for slice_ in self.slices if not slice_.says_nothing) if is_free else self.slices
        if is_free and not slices:
            return None
        find = _finder(slices)
        closed, at_end, ordered, where = self.rules == "closed", self.rules == "openAtEnd", self.is_ordered, self.where
        default = self.default

        def check(items: Sequence[Item], place: Place, run: Run) -> None:
            members: list[list[Item]] = [[] for _ in slices]
            rest: list[Item] = []
            last = -1
            for item in items:
                found = find(item, run)
                if found is None:
                    rest.append(item)
                    if closed and default is None:
                        run.report.add("structure", f"{item.place[1]} is of no slice, as it must ({where})", item.place)
                    continue
                members[found].append(item)
                if at_end and rest:
                    problem = f"{item.place[1]}, of slice {slices[found].name}, must be before those of no slice"
                    run.report.add("structure", f"{problem} ({where})", item.place)
                if ordered and found < last:
                    problem = f"{item.place[1]}, of slice {slices[found].name}, must be before {slices[last].name}"
                    run.report.add("structure", f"{problem} ({where})", item.place)
                last = max(last, found)
            for slice_, own in zip(slices, members, strict=True):
                _check_slice(slice_, own, place, run)
            if default is not None:
                _check_slice(default, rest, place, run)

        return check


def _check_slice(slice_: Slice, items: Sequence[Item], place: Place, run: Run) -> None:
    if len(items) < slice_.min:
        count = f"{slice_.min} of " if slice_.min > 1 else ""
        run.report.add("required", f"{count}{place[1]} for slice {slice_.name} is missing ({slice_.where})", place)
    elif slice_.max is not None and len(items) > slice_.max:
        problem = f"There must be at most {slice_.max} {place[1]} for slice {slice_.name} ({slice_.where})"
        run.report.add("structure", problem, items[slice_.max].place)
    if slice_.check is not None:
        for item in items:
            slice_.check(item, run)
    if slice_.within is not None:
        slice_.within(items, place, run)


def _finder(slices: Sequence[Slice]) -> Callable[[Item, Run], int | None]:
    """Finds the first slice that an item is of."""
    urls = {slice_.url: index for index, slice_ in reversed(list(enumerate(slices)))}
    if None not in urls:
        return _finder_by_url(urls)
    tests = [slice_.test for slice_ in slices]

    def find(item: Item, run: Run) -> int | None:
        run.spend(len(tests))
        return next((index for index, test in enumerate(tests) if test(item, run)), None)

    return find


def _finder_by_url(urls: Mapping[str | None, int]) -> Callable[[Item, Run], int | None]:
    def find(item: Item, run: Run) -> int | None:
        url = item.value.get("url") if type(item.value) is dict else None
        return urls.get(url) if type(url) is str else None

    return find
