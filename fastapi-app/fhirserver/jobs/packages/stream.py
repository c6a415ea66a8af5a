"""A compressed file as a stream that is read once, from its start to its end, within bounds of time and memory."""

import io
import lzma
import zlib
from typing import BinaryIO

MOST_BYTES = 2 * 1024 * 1024 * 1024
LARGEST_READ = 64 * 1024 * 1024
_CHUNK = 256 * 1024
_LZMA_MEMORY = 128 * 1024 * 1024


class TooLarge(Exception):
    """More than a package may have."""


class ForwardStream(io.RawIOBase):
    """What tarfile needs of a file: to read, to skip, and to go back by one byte, but no further.

    Raises `TooLarge` when there are more than `MOST_BYTES`, or more than `LARGEST_READ` are asked for at once (such as
    the header of a tar archive that says it is endless); `zlib.error`, `lzma.LZMAError`, `EOFError` for damaged data.
    """

    def __init__(self, file: BinaryIO):
        self._file = file
        self._decompressor = _decompressor(file.read(6))
        file.seek(0)
        self._ready = b""
        self._at = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET or offset < self._at - 1:
            raise io.UnsupportedOperation("it is read once")
        if offset < self._at:
            self._ready = self._last + self._ready
            self._at = offset
        while self._at < offset and self.read(min(offset - self._at, _CHUNK)):
            pass
        return self._at

    def read(self, size: int = -1) -> bytes:
        if size > LARGEST_READ or size < 0:
            raise TooLarge(f"a part of it has more than {LARGEST_READ // 2**20} MB")
        parts = []
        while size:
            if not self._ready:
                self._ready = self._more()
                if not self._ready:
                    break
            part, self._ready = self._ready[:size], self._ready[size:]
            size -= len(part)
            parts.append(part)
        found = b"".join(parts)
        self._at += len(found)
        self._last = found[-1:] or self._last
        if self._at > MOST_BYTES:
            raise TooLarge(f"it has more than {MOST_BYTES // 2**20} MB")
        return found

    _last = b""

    def _more(self) -> bytes:
        """The next bytes, decompressed; none at the end."""
        if self._decompressor is None:
            return self._file.read(_CHUNK)
        while not self._decompressor.eof:
            found = self._decompressor.next(self._file)
            if found:
                return found
        return b""


class _Gzip:
    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)
        self.eof = False

    def next(self, file: BinaryIO) -> bytes:
        given = self._zlib.unconsumed_tail or file.read(_CHUNK)
        if not given:
            raise EOFError("it ends too early")
        found = self._zlib.decompress(given, _CHUNK)
        self.eof = self._zlib.eof
        return found


class _Xz:
    def __init__(self) -> None:
        self._lzma = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_LZMA_MEMORY)
        self.eof = False

    def next(self, file: BinaryIO) -> bytes:
        given = file.read(_CHUNK) if self._lzma.needs_input else b""
        if self._lzma.needs_input and not given:
            raise EOFError("it ends too early")
        found = self._lzma.decompress(given, _CHUNK)
        self.eof = self._lzma.eof
        return found


def _decompressor(head: bytes) -> _Gzip | _Xz | None:
    if head.startswith(b"\x1f\x8b"):
        return _Gzip()
    return _Xz() if head == b"\xfd7zXZ\x00" else None
