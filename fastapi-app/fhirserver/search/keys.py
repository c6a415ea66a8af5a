"""The 64-bit keys of an index entry: hashes (xxh3) of type, parameter, form and value, as signed integers.

Both sides of a search use these functions: what is stored, and what is asked for.
"""

from xxhash import xxh3_64_intdigest

MOST_PLACES = 16
"""So many contained resources of a type can be searched for in one resource."""

_SIGN = 1 << 63
_MODULUS = 1 << 64


def signed(number: int) -> int:
    """The 64-bit number as PostgreSQL has it."""
    return number - _MODULUS if number & _SIGN else number


def self_key(resource_type: str, id: str) -> int:
    """The key of a resource as a target of references."""
    return signed(xxh3_64_intdigest(f"{resource_type}/{id}".encode()))


def target_key(url: str) -> int:
    """The key of a target that is no resource of this server: an absolute URL, a canonical, a URN."""
    return signed(xxh3_64_intdigest(url.encode()))


def place_of(number: int) -> str:
    """The place of a contained resource among those of its type, counted from 0, as `ParameterKeys` takes it."""
    return f"#{number}"


class ParameterKeys:
    """The keys of one search parameter of one resource type; of contained resources, each by its `place`."""

    __slots__ = (
        "_cell",
        "_code",
        "_date",
        "_exact",
        "_magnitude",
        "_of_type",
        "_prefix",
        "_range",
        "_token",
        "_under",
        "_uri",
        "long",
        "name",
        "place",
        "present",
        "reference",
        "wide",
    )

    def __init__(self, resource_type: str, code: str, place: str = ""):
        self.place = place
        self.name = f"{place}{resource_type}.{code}" if place else code
        """What its strings are called in the entry."""

        def start(form: str) -> bytes:
            return f"{resource_type}{place}\x1f{code}\x1f{form}\x1f".encode()

        self._code = start("code")
        self._token = start("token")
        self._exact = start("exact")
        self._uri = start("uri")
        self._date = start("date")
        self._range = start("range")
        self._of_type = start("of-type")
        self._under = start("under")
        self._cell = start("cell")
        self._prefix = start("prefix")
        self._magnitude = start("magnitude")
        self.present = signed(xxh3_64_intdigest(start("present")))
        """Of a resource that has a value."""
        self.reference = signed(xxh3_64_intdigest(start("reference")))
        """Combined with a target's key by xor it is the key of a reference to it."""
        self.wide = signed(xxh3_64_intdigest(start("wide")))
        """Of an interval that no key of a magnitude, or no `sort_date`, tells enough about."""
        self.long = signed(xxh3_64_intdigest(start("long")))
        """Of a principal date that goes on for days, but is not `wide`."""

    def contained(self, resource_type: str, number: int | None) -> int:
        """Of a reference to a contained resource, by its place among those of its type; None: to any of the type."""
        return self.reference ^ self_key(resource_type, f"#{'' if number is None else number}")

    def token(self, system: str | None, code: str) -> int:
        """Of a code in a system; `""`: that has no system; None: whatever its system."""
        if system is None:
            return signed(xxh3_64_intdigest(self._code + code.casefold().encode()))
        return signed(xxh3_64_intdigest(self._token + f"{system}\x1f{code.casefold()}".encode()))

    def system(self, system: str) -> int:
        """Of any code in this system."""
        return signed(xxh3_64_intdigest(self._token + f"{system}\x1f".encode()))

    def exact(self, text: str) -> int:
        """Of this very string."""
        return signed(xxh3_64_intdigest(self._exact + text.encode()))

    def uri(self, uri: str) -> int:
        """Of this very URI."""
        return signed(xxh3_64_intdigest(self._uri + uri.encode()))

    def of_type(self, system: str, code: str, value: str) -> int:
        """Of an identifier with this value and a type with this code."""
        return signed(xxh3_64_intdigest(self._of_type + f"{system}\x1f{code}\x1f{value}".casefold().encode()))

    def under(self, uri: str) -> int:
        """Of any URI that is this one or lies below it."""
        return signed(xxh3_64_intdigest(self._under + uri.encode()))

    def cell(self, level: int, row: int, column: int) -> int:
        """Of a position in a cell of a grid (`types/near.py`)."""
        return signed(xxh3_64_intdigest(self._cell + f"{level}/{row}/{column}".encode()))

    def date(self, unit: str) -> int:
        """Of an interval within this year, month or day (`2024`, `2024-05`, `2024-05-10`)."""
        return signed(xxh3_64_intdigest(self._date + unit.encode()))

    def prefix(self, text: str) -> int:
        """Of a normalised string that starts with these few characters."""
        return signed(xxh3_64_intdigest(self._prefix + text.encode()))

    def magnitude(self, level: int, number: int) -> int:
        """Of a number of this magnitude (`types/magnitude.py`)."""
        return signed(xxh3_64_intdigest(self._magnitude + f"{level}/{number}".encode()))

    def range(self, unit: str = "") -> int:
        """Of the intervals; for quantities, of those in a unit: `system|code` or `code`."""
        return signed(xxh3_64_intdigest(self._range + unit.encode()))
