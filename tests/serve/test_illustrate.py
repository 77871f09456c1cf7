"""Pictures of a recording, read one by one or jumped to."""

import io

import numpy as np
import pytest

from modashift.serve import illustrate

av = pytest.importorskip("av", reason="PyAV is not installed")


def film(path, seconds, rate):
    """A film whose pictures grow brighter from black to white."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.gop_size = 4
        count = seconds * rate
        for k in range(count):
            picture = np.full((48, 64, 3), round(255 * k / (count - 1)), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("seconds", "rate"), [(3, 10), (90, 2)])
def test_pictures_are_spread_and_at_their_times(tmp_path, seconds, rate):
    from PIL import Image

    found = illustrate.thumbnails(film(tmp_path / "film.mp4", seconds, rate), seconds)
    times = [t.time for t in found]
    assert len(found) == min(24, 2 * seconds)
    assert times == sorted(times)
    assert np.diff(times).max() < 2.5 * seconds / len(found)
    for t in found:
        image = Image.open(io.BytesIO(t.jpeg))
        assert image.size == (t.width, t.height) == (64, 48)
        brightness = np.asarray(image.convert("L")).mean() / 255
        assert brightness == pytest.approx(t.time / seconds, abs=0.06)


def test_no_pictures_and_no_sound_are_no_error(tmp_path):
    seen = illustrate.illustrate(film(tmp_path / "silent.mp4", 2, 10), 2.0)
    assert len(seen.low) == 0
    assert seen.thumbnails
    text = tmp_path / "text.mp4"
    text.write_text("nothing")
    nothing = illustrate.illustrate(text, 2.0)
    assert (nothing.thumbnails, len(nothing.low), len(nothing.high)) == ((), 0, 0)
