"""Pictures of made recordings: times, turning, shape, thinning."""

import io
import itertools
from fractions import Fraction

import numpy as np
import pytest

from made_media import BLUE, GREEN, RED, WHITE, click, corners, greys, make, quadrants
from modashift.extract.media import MediaError, encode_thumbnail, pictures, probe, read_sound
from modashift.extract.media.orientation import Orientation, displayed_size

UPRIGHT = [[RED, GREEN], [BLUE, WHITE]]


@pytest.mark.parametrize(
    ("name", "codec", "pixels"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mp4", "mpeg4", "yuv420p"),
        ("a.mkv", "ffv1", "yuv444p"),
        ("a.webm", "libvpx", "yuv420p"),
        ("a.avi", "mjpeg", "yuvj420p"),
        ("a.mpg", "mpeg1video", "yuv420p"),
        ("a.ts", "mpeg2video", "yuv420p"),
        ("a.mov", "libx264", "yuv420p10le"),
    ],
)
def test_every_picture_once_in_order_at_its_time(tmp_path, name, codec, pixels):
    path = make(tmp_path / name, images=greys(30), video_codec=codec, pixels=pixels)
    problems = []
    found = list(pictures(path, problems=problems))
    assert [picture.time for picture in found] == pytest.approx([i / 25 for i in range(30)], abs=0.001)
    levels = np.array([picture.rgb.mean() for picture in found])
    expected = np.array([rgb.mean() for rgb in greys(30)])
    np.testing.assert_allclose(levels, expected, atol=8)
    assert found[0].rgb.shape == (48, 64, 3)
    assert found[0].rgb.dtype == np.uint8
    assert problems == []


@pytest.mark.parametrize("threads", [0, 1, 2])
def test_threads_change_nothing(tmp_path, threads):
    path = make(tmp_path / "a.mp4", images=greys(30), video_codec="libx264")
    levels = [picture.rgb.mean() for picture in pictures(path, threads=threads)]
    assert levels == [picture.rgb.mean() for picture in pictures(path)]


def test_variable_rates_keep_their_times(tmp_path):
    times = [0.0, 0.033, 0.5, 0.533, 0.55, 2.0, 2.04, 3.5]
    for name, codec in (("a.mkv", "ffv1"), ("a.mp4", "libx264")):
        path = make(tmp_path / name, images=greys(8), times=times, video_codec=codec)
        assert [picture.time for picture in pictures(path)] == pytest.approx(times, abs=1e-6)


def test_pictures_that_start_later_keep_their_place_beside_the_sound(tmp_path):
    times = [0.7 + i / 25 for i in range(10)]
    path = make(tmp_path / "a.mkv", images=greys(10), times=times, video_codec="ffv1", sound=click(1, 0.5, 16_000))
    assert [picture.time for picture in pictures(path)] == pytest.approx(times, abs=1e-6)
    assert probe(path).picture_start == pytest.approx(0.7)
    assert len(read_sound(path)) == 16_000


@pytest.mark.parametrize("quarters", [0, 1, 2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_display_matrix(tmp_path, quarters, mirrored):
    path = make(
        tmp_path / "a.mp4", images=[quadrants()] * 3, video_codec="libx264", rotation=90 * quarters, mirrored=mirrored
    )
    shown = np.rot90(np.array(UPRIGHT), quarters)  # counter-clockwise, as the matrix
    if mirrored:
        shown = shown[:, ::-1]
    for picture in pictures(path):
        assert corners(picture.rgb) == [tuple(colour) for colour in shown.reshape(4, 3).tolist()]
    info = probe(path)
    assert (info.rotation, info.mirrored) == ((-90 * quarters) % 360, mirrored)
    assert (info.height, info.width) == picture.rgb.shape[:2] == ((48, 64) if quarters % 2 == 0 else (64, 48))
    small = next(pictures(path, max_side=32)).rgb
    assert small.shape == ((24, 32, 3) if quarters % 2 == 0 else (32, 24, 3))
    assert corners(small) == corners(picture.rgb)


@pytest.mark.parametrize("turn", [Orientation(*bits) for bits in itertools.product((False, True), repeat=3)])
def test_degrees_and_mirroring_say_what_is_done(turn):
    stored = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    expected = np.rot90(stored, -turn.degrees // 90)
    if turn.mirrored:
        expected = expected[:, ::-1]
    np.testing.assert_array_equal(turn.apply(stored), expected)


def test_pixels_that_are_not_square_are_made_so(tmp_path):
    path = make(tmp_path / "a.mp4", images=[quadrants()] * 3, aspect=Fraction(4, 3), video_codec="libx264", rotation=90)
    assert (probe(path).width, probe(path).height) == (48, 85)
    assert next(pictures(path)).rgb.shape == (85, 48, 3)
    assert next(pictures(path, max_side=40)).rgb.shape == (40, 23, 3)
    assert displayed_size(100, 50, Fraction(1000, 1)) == (100, 50)
    assert displayed_size(100, 50, None) == (100, 50)


def test_thinning_takes_the_first_of_each_interval(tmp_path):
    path = make(tmp_path / "a.mkv", images=greys(50), video_codec="ffv1")
    times = [picture.time for picture in pictures(path, every=0.1)]
    assert times == pytest.approx([0, 0.12, 0.2, 0.32, 0.4, 0.52, 0.6, 0.72, 0.8, 0.92, 1.0, 1.12, 1.2, 1.32, 1.4,
                                   1.52, 1.6, 1.72, 1.8, 1.92])  # fmt: skip
    assert [picture.time for picture in pictures(path, every=0.2)] == pytest.approx([i / 5 for i in range(10)])
    assert len(list(pictures(path, every=0.01))) == 50
    assert len(list(pictures(path, every=100))) == 1


def test_smaller_pictures_are_not_enlarged(tmp_path):
    path = make(tmp_path / "a.mkv", images=greys(2), video_codec="ffv1")
    assert next(pictures(path, max_side=1000)).rgb.shape == (48, 64, 3)


def test_the_limit_of_length_cuts_and_says_so(tmp_path):
    path = make(tmp_path / "a.mkv", images=greys(50), video_codec="ffv1")
    problems = []
    assert len(list(pictures(path, longest=1.0, problems=problems))) == 26
    assert [problem.reason for problem in problems] == ["too-long"]


def test_cover_art_is_not_video(tmp_path):
    for name, codec in (("a.mp3", "libmp3lame"), ("a.mov", "aac")):
        path = make(tmp_path / name, sound=click(1, 0.5, 44_100), rate=44_100, sound_codec=codec, cover=quadrants())
        info = probe(path)
        assert (info.has_sound, info.has_picture, info.width) == (True, False, None)
        with pytest.raises(MediaError, match="no video") as caught:
            next(pictures(path))
        assert caught.value.reason == "no-picture"
        assert len(read_sound(path)) == pytest.approx(16_000, abs=700)


def test_arguments_are_checked(tmp_path):
    for wrong in ({"every": 0}, {"max_side": 0}, {"longest": 0}, {"threads": -1}):
        with pytest.raises(ValueError, match="impossible"):
            next(pictures(tmp_path, **wrong))


def test_thumbnails():
    from PIL import Image

    data = encode_thumbnail(quadrants(640, 480), 160)
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (160, 120))
        assert corners(np.asarray(image)) == [RED, GREEN, BLUE, WHITE]
    with Image.open(io.BytesIO(encode_thumbnail(quadrants(), 160))) as image:
        assert image.size == (64, 48)
    for wrong in (quadrants()[..., 0], quadrants().astype(float), quadrants()[:0]):
        with pytest.raises(ValueError, match="uint8"):
            encode_thumbnail(wrong, 10)
