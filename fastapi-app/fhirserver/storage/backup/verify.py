"""Whether a backup is what it was when it was made, and complete."""

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from fhirserver.storage.backup.catalog import Backup, BackupError, Catalog, NodeCopy, files_of, gap, segments

_CHUNK = 1 << 20


def verify(catalog: Catalog, backup: Backup, only: NodeCopy | None = None) -> None:
    """Compare each file with the backup's manifest, each file of the copies with PostgreSQL's, and look for gaps.

    `only` this node. Raises BackupError with all that is wrong.
    """
    wrong = list(_problems(catalog.path(backup), backup, [only] if only else list(backup.nodes)))
    if wrong:
        raise BackupError(f"{backup.name} is damaged: {'; '.join(wrong[:10])}")


def _problems(folder: Path, backup: Backup, nodes: list[NodeCopy]) -> Iterator[str]:
    sound = True
    for node in nodes:
        found = {f"{node.folder}/{path}": file for path, file in files_of(folder / node.folder).items()}
        told = {path: file for path, file in backup.files.items() if path.startswith(f"{node.folder}/")}
        for path in sorted(told.keys() | found.keys()):
            if told.get(path) != found.get(path):
                sound = False
                state = "missing" if path not in found else "not of it" if path not in told else "not what it was"
                yield f"{path} is {state}"
        missing = gap(segments(folder / node.folder / "wal"), node.first_segment, node.last_segment, node.segment_bytes)
        if missing:
            yield f"{node.folder}/wal lacks {missing}"
    if sound:
        for node in nodes:
            yield from _against_postgres(folder / node.folder / "base", node)


def _against_postgres(base: Path, node: NodeCopy) -> Iterator[str]:
    """What pg_verifybackup looks at, within the archive: it takes folders only, before version 18."""
    text = (base / "backup_manifest").read_bytes()
    manifest = json.loads(text)
    begin = text.rindex(b'"Manifest-Checksum"')
    if hashlib.sha256(text[:begin]).hexdigest() != manifest["Manifest-Checksum"]:
        yield f"{node.folder}/base/backup_manifest is not what it was"
    expected = {
        file["Path"] if "Path" in file else bytes.fromhex(file["Encoded-Path"]).decode(errors="surrogateescape"): file
        for file in manifest["Files"]
    }
    with tarfile.open(base / "base.tar.gz", "r:gz") as archive:
        for member in archive:
            file = expected.pop(member.name, None)
            if file is None or not member.isfile():
                continue
            hashed = hashlib.sha256()
            content = archive.extractfile(member)
            while content is not None and (part := content.read(_CHUNK)):
                hashed.update(part)
            if member.size != file["Size"] or hashed.hexdigest() != file["Checksum"]:
                yield f"{node.folder}: {member.name} is not what PostgreSQL wrote"
    for path in sorted(expected):
        yield f"{node.folder}: {path} is not in the copy"
