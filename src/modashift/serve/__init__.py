"""From a recording to a score that explains itself: `modashift predict RUN clip.mp4`."""
