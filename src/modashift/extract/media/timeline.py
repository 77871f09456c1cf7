"""Places on the clock of a file, where timestamps may be absent or damaged."""

__all__ = ["Timeline"]

BEHIND = 10.0  # seconds by which a piece may come before the end of the last one and still be an overlap
AHEAD = 1.0  # seconds after the end of the last piece that are always believed
# Headers are believed to this extent: where the rate varies, recorders write durations that leave out long pauses.
FACTOR, MORE = 2.0, 10.0


class Timeline:
    """Turns the timestamps of one stream into places on the clock.

    A timestamp is believed where it is not too far after the last piece and lies within about twice the duration that
    the container claims, should it claim one. Otherwise the piece follows the last one without a gap, and so do the
    next ones: a single bad bit must not make hours of silence, and cameras that restart their counter in mid-file stay
    in step.

    Args:
        origin: timestamp of the zero of the clock, seconds.
        claimed: duration of the file as its header has it, or None.
        longest_gap: seconds between pieces, or before the first, that are believed at most.
    """

    def __init__(self, origin: float, claimed: float | None, longest_gap: float) -> None:
        self.shift = -origin
        self.claimed = claimed
        self.longest_gap = longest_gap
        self.jumps = 0

    def place(self, stamp: float | None, follows: float) -> float:
        """Time on the clock of a piece.

        Args:
            stamp: its timestamp, seconds, or None where it has none.
            follows: its time if it followed the last one without a gap.
        """
        if stamp is None:
            return follows
        time = stamp + self.shift
        ahead = time - follows
        claimed = self.claimed is None or time <= FACTOR * self.claimed + MORE
        possible = ahead <= AHEAD or (ahead <= self.longest_gap and claimed)
        if ahead >= -BEHIND and possible:
            return time
        self.jumps += 1
        self.shift += follows - time
        return follows
