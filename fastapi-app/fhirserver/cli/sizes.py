"""Sizes, for people."""


def size(number: int) -> str:
    """Bytes, in a unit that suits."""
    value, unit = float(number), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}"
