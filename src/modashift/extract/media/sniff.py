"""What a file is by its bytes, where FFmpeg's own answer would not tell a person what to do."""

import os
from typing import BinaryIO, NamedTuple

__all__ = ["Claims", "claims", "sniff"]

PLAYLISTS = (b"#EXTM3U", b"ffconcat version", b"[playlist]", b"v=0\r\n", b"v=0\n", b"RTSPtext", b"[Reference]")
MANIFESTS = (b"<MPD", b"<ASX", b"<asx", b"<smil", b"<SmoothStreamingMedia", b"<AssetMap")
SIGNATURES = (
    b"RIFF", b"RIFX", b"RF64", b"FORM", b"OggS", b"fLaC", b"ID3", b"\x1aE\xdf\xa3", b"\x00\x00\x01\xba",
    b"\x00\x00\x01\xb3", b"FLV\x01", b"\x30\x26\xb2\x75", b"#!AMR", b".snd", b"caff", b".RMF", b"NIST_1A", b"GIF8",
)  # fmt: skip
ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"moof", b"styp", b"pnot")
MOST_ATOMS = 100_000
LARGEST_INDEX = 1 << 26  # bytes of an index that are looked at
SAMPLES_A_BYTE = 64  # old QuickTime codecs count the samples of sound of which several share a byte


def sniff(head: bytes) -> str:
    """``media``, ``playlist`` or ``unknown``, from the first bytes of a file."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(PLAYLISTS) or (text.startswith(b"<") and any(mark in head for mark in MANIFESTS)):
        return "playlist"
    if head.startswith(SIGNATURES) or head[4:8] in ATOMS or head[:1] == b"\x47" == head[188:189]:
        return "media"
    return "unknown"


class Claims(NamedTuple):
    """What the sizes in a container's headers say of the file.

    Attributes:
        missing_bytes: beyond the end of the file; 0 where the container does not tell.
        impossible: its index claims so many samples that reading it would take gigabytes of memory.
    """

    missing_bytes: int
    impossible: bool = False


def claims(file: BinaryIO) -> Claims:
    """Known for MP4 and QuickTime (the outer atoms), RIFF (WAV, AVI) and Matroska (the segment's size)."""
    size = os.fstat(file.fileno()).st_size
    file.seek(0)
    head = file.read(4096)
    if head[4:8] in ATOMS:
        return _of_atoms(file, size)
    if head[:4] == b"RIFF":
        claimed = int.from_bytes(head[4:8], "little")
        # 0 and numbers near the largest are written by recorders that stream; a last odd chunk may lack its padding
        return Claims(max(claimed + 8 - size - 1, 0) if 0 < claimed < 0x7FFFF000 else 0)
    if head[:4] == b"\x1aE\xdf\xa3":
        return Claims(_missing_of_segment(head, size))
    return Claims(0)


def _of_atoms(file: BinaryIO, size: int) -> Claims:
    at = 0
    for _ in range(MOST_ATOMS):
        file.seek(at)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1 and len(head) == 16:
            length = int.from_bytes(head[8:], "big")
        if kind in (b"moov", b"moof") and _claims_too_much(file.read(min(length or size, LARGEST_INDEX)), size):
            return Claims(0, impossible=True)
        # Shorter than its own header: 0 for "to the end of the file", or damage, or the end
        if length < 8 or not kind.isalnum():
            return Claims(0)
        at += length
        if at > size:
            return Claims(at - size)
    return Claims(0)


def _claims_too_much(index: bytes, size: int) -> bool:
    """Whether tables that need not list their samples one by one claim more of them than the file can hold.

    They are those of equal sizes (``stsz``) and of fragments (``trun``); FFmpeg takes 24 bytes of memory for each.
    """
    most = SAMPLES_A_BYTE * size + (1 << 16)
    for kind, skipped in ((b"stsz", 12), (b"trun", 8)):
        at = index.find(kind)
        while at >= 0:
            length = int.from_bytes(index[max(at - 4, 0) : at], "big")
            count = int.from_bytes(index[at + skipped : at + skipped + 4], "big")
            if 16 <= length <= len(index) and count > most:  # else the name stands in a text
                return True
            at = index.find(kind, at + 4)
    return False


def _missing_of_segment(head: bytes, size: int) -> int:
    """Two elements, each an identifier and a length: the header and the segment."""
    at = 4
    length, at = _variable(head, at)
    if length is None or head[at + length : at + length + 4] != b"\x18\x53\x80\x67":
        return 0
    length, at = _variable(head, at + length + 4)
    return 0 if length is None else max(at + length - size, 0)


def _variable(head: bytes, at: int) -> tuple[int | None, int]:
    """A number of Matroska: the leading zeros of its first byte tell its length. None where it means "unknown"."""
    first = head[at] if at < len(head) else 0
    if not first:
        return None, at
    width = 9 - first.bit_length()
    bits = 7 * width
    value = int.from_bytes(head[at : at + width], "big") & ((1 << bits) - 1)
    return (None if value == (1 << bits) - 1 else value), at + width
