"""Edit lists of MP4 files, written as players that trim without encoding anew write them (ISO/IEC 14496-12, 8.6.6)."""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

INSIDE = {b"moov", b"trak", b"mdia"}


def boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and payload of each box."""
    at = 0
    while at + 8 <= len(content):
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        yield kind, content[at + 8 : at + size]
        at += size


def box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def is_video(track: bytes) -> bool:
    media = dict(boxes(dict(boxes(track))[b"mdia"]))
    return media[b"hdlr"][8:12] == b"vide"


def write_edits(
    source: Path, target: Path, edits: Sequence[tuple[float, float | None]], *, sound: bool = False
) -> None:
    """Copy an MP4 whose index comes last, with these edits of the video track in place of its own.

    Each edit is its length and the start in the media, in seconds; None for the start is an empty edit.
    """
    content = source.read_bytes()
    assert content.rindex(b"moov") > content.index(b"mdat"), "the index is to come last, so that it may grow"
    movie = dict(boxes(content))[b"moov"]
    clock = struct.unpack(">I", dict(boxes(movie))[b"mvhd"][12:16])[0]
    changed = b""
    for kind, payload in boxes(movie):
        is_meant = kind == b"trak" and is_video(payload)
        changed += box(kind, _with_edits(payload, edits, clock) if is_meant else payload)
    target.write_bytes(b"".join(box(k, changed if k == b"moov" else payload) for k, payload in boxes(content)))


def _with_edits(track: bytes, edits: Sequence[tuple[float, float | None]], clock: int) -> bytes:
    parts = dict(boxes(track))
    media = struct.unpack(">I", dict(boxes(parts[b"mdia"]))[b"mdhd"][12:16])[0]
    # A decoder that reorders pictures delays the first: the list that was written tells by how much.
    old = dict(boxes(parts.get(b"edts", b""))).get(b"elst")
    delay = max(0, struct.unpack(">i", old[12:16])[0]) if old else 0
    rows = b"".join(
        struct.pack(">IiI", round(length * clock), -1 if start is None else delay + round(start * media), 65536)
        for length, start in edits
    )
    listed = box(b"edts", box(b"elst", struct.pack(">II", 0, len(edits)) + rows))
    changed = b""
    for kind, payload in boxes(track):
        if kind == b"mdia":
            changed += listed
        if kind != b"edts":
            changed += box(kind, payload)
    return changed
