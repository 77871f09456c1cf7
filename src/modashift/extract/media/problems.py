"""What is wrong with a file: a refusal (`MediaError`) where nothing can be had, else a `Problem` beside the result."""

from pathlib import Path
from typing import Any, NamedTuple

from modashift.errors import DataError

__all__ = ["REASONS", "MediaError", "Problem", "Tally"]

REASONS = {
    "missing": "no file of this name",
    "not-a-file": "a folder, a pipe, a device or an address, not an ordinary file",
    "unreadable": "the file system does not let it be read",
    "empty": "zero bytes",
    "playlist": "a list of other files or addresses, which are never followed",
    "not-media": "no sound or video container that is read here",
    "no-streams": "a container with neither sound nor video",
    "no-sound": "no sound stream, or one without samples",
    "no-picture": "no video stream, or one without pictures; cover art is not video",
    "no-decoder": "a codec that this build of FFmpeg cannot decode",
    "too-large": "pictures larger than LARGEST_PICTURE pixels",
    "too-long": "longer than the limit given; what is before it was read",
    "truncated": "the end of the file is missing; what is before it was read",
    "damaged": "parts could not be read or decoded; the others were",
    "timestamps": "times that cannot be true were replaced by those that follow from the ones before",
    "gaps": "the sound has gaps, which were filled with silence",
}
"""Machine-readable reasons of `MediaError` and `Problem`, and what they mean."""


class MediaError(DataError):
    """A file of which nothing asked for can be had.

    Attributes:
        reason: one of `REASONS`.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive the way back from a worker process, which would call the class with the message alone."""
        return MediaError, (self.reason, str(self))


class Problem(NamedTuple):
    """Something that could not be had, while the rest could.

    Attributes:
        reason: one of `REASONS`.
        message: for people; names the file.
    """

    reason: str
    message: str


class Tally:
    """Counts what goes wrong while one stream is read, so that a thousand bad packets make one problem.

    Args:
        path: of the file.
        what: ``sound`` or ``picture``.

    Attributes:
        missing_bytes: of the file, see `sniff.claims`.
        claimed: whether the container claims that the stream lasts longer than nothing.
    """

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self.what = what
        self.unread = 0
        self.undecoded = 0
        self.corrupt = 0
        self.jumps = 0
        self.late = 0
        self.gaps = 0
        self.gap_seconds = 0.0
        self.gave_up = False
        self.missing_bytes = 0
        self.claimed = False
        self.too_long: float | None = None

    @property
    def damaged(self) -> bool:
        """Whether anything could not be read or decoded."""
        return bool(self.unread or self.undecoded or self.corrupt or self.gave_up)

    def problems(self, end: float) -> list[Problem]:
        """All that was counted, in words.

        Args:
            end: seconds that could be read.
        """
        name = self.path.name
        found = []
        if self.missing_bytes:
            found.append(
                Problem(
                    "truncated",
                    f"{name}: the last {self.missing_bytes} bytes are missing; its {self.what} was read to {end:.2f} s",
                )
            )
        if self.damaged:
            parts = [
                f"{count} {noun} could not be {verb}"
                for count, noun, verb in (
                    (self.unread, "places", "read"),
                    (self.undecoded, "packets", "decoded"),
                    (self.corrupt, "pictures", "decoded in full"),
                )
                if count
            ]
            stop = f"; given up after {end:.2f} s" if self.gave_up else ""
            found.append(Problem("damaged", f"{name}: {self.what}: {', '.join(parts)}{stop}"))
        if self.jumps or self.late:
            found.append(
                Problem(
                    "timestamps",
                    f"{name}: {self.what}: {self.jumps} impossible jumps of time were ignored, {self.late} pieces "
                    "that came too late were dropped, in part or in full",
                )
            )
        if self.gaps:
            found.append(
                Problem("gaps", f"{name}: {self.gaps} gaps, together {self.gap_seconds:.3f} s, filled with silence")
            )
        if self.too_long is not None:
            found.append(
                Problem("too-long", f"{name}: only the first {self.too_long:g} s of its {self.what} were read")
            )
        return found

    def nothing(self, absent: str) -> MediaError:
        """The error where not a single sample or picture came out.

        Args:
            absent: reason where nothing was wrong with the stream: it is simply empty.
        """
        if self.missing_bytes:
            return MediaError(
                "truncated",
                f"{self.path}: the last {self.missing_bytes} bytes are missing and no {self.what} can be decoded from "
                "the rest; copy the recording again",
            )
        if self.damaged or self.claimed:
            return MediaError(
                "damaged", f"{self.path}: no {self.what} could be decoded; copy or export the recording again"
            )
        return MediaError(absent, f"{self.path}: its {self.what} stream is empty; leave this modality out")
