"""What is no recording, or none in full, gives a reason and not a crash."""

import os
import pickle
import socket
import sys
from fractions import Fraction

import numpy as np
import pytest

from made_media import click, greys, make, quadrants, tone
from modashift.errors import DataError, ModashiftError
from modashift.extract.media import REASONS, MediaError, pictures, probe, read_sound
from modashift.extract.media.sniff import claims, sniff


def reason(path):
    """The same for all three functions."""
    found = set()
    for action in (probe, read_sound, lambda path: list(pictures(path))):
        with pytest.raises(MediaError) as caught:
            action(path)
        assert caught.value.reason in REASONS
        assert str(path) in str(caught.value)
        found.add(caught.value.reason)
    assert len(found) == 1
    return found.pop()


def test_what_is_no_file(tmp_path):
    assert reason(tmp_path / "none.mp4") == "missing"
    assert reason(tmp_path) == "not-a-file"
    (tmp_path / "empty.mp4").touch()
    assert reason(tmp_path / "empty.mp4") == "empty"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    assert reason(tmp_path / "pipe.mp4") == "not-a-file"
    assert reason("/dev/null") == "not-a-file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path):
    path = make(tmp_path / "a.wav", sound=tone(0.1, 16_000))
    path.chmod(0)
    assert reason(path) == "unreadable"


def test_what_is_not_media(tmp_path):
    for name, content in {
        "text.mp4": b"Dear diary, " * 500,
        "text.wav": b"x" * 100,
        "text.mp3": b"no sound at all " * 999,
        "noise.mkv": np.random.default_rng(0).bytes(50_000),
        "zero.mpg": bytes(50_000),
        "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(1000),
        "lines.srt": b"1\n00:00:00,000 --> 00:00:01,000\nhello\n\n" * 20,
    }.items():
        (tmp_path / name).write_bytes(content)
        assert reason(tmp_path / name) == "not-media"


def test_addresses_are_never_opened(monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket, "socket", fail)
    for address in (
        "http://127.0.0.1:9/a.mp4",
        "rtsp://127.0.0.1/a",
        "concat:a.ts|b.ts",
        "data:audio/wav;base64,UklGRg==",
        "pipe:0",
        "subfile,,start,0,end,9,,:a.mp4",
    ):
        with pytest.raises(MediaError, match="addresses are not opened") as caught:
            probe(address)
        assert caught.value.reason == "not-a-file"


def test_playlists_are_not_followed(tmp_path):
    target = make(tmp_path / "secret.wav", sound=tone(0.5, 16_000))
    lists = {
        "a.m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
        "a.ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
        "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
        "a.mpd": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{target}</BaseURL></MPD>',
        "a.pls": f"[playlist]\nFile1={target}\n",
    }
    for name, content in lists.items():
        for disguised in (name, name + ".mp4"):
            (tmp_path / disguised).write_text(content)
            assert reason(tmp_path / disguised) == "playlist"


def test_a_container_that_refers_to_another_file_is_refused(tmp_path, monkeypatch):
    """Were playlists ever among the containers, the files they name would still not be opened."""
    from modashift.extract.media import source

    target = make(tmp_path / "secret.wav", sound=tone(0.5, 16_000))
    (tmp_path / "a.ffconcat").write_text(f"ffconcat version 1.0\nfile '{target.name}'\n")
    (tmp_path / "a.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n")
    monkeypatch.setattr(source, "CONTAINERS", source.CONTAINERS + " concat hls")
    opened = []
    real = os.open
    monkeypatch.setattr(source.os, "open", lambda name, *rest: opened.append(name) or real(name, *rest))
    for name in ("a.ffconcat", "a.m3u8"):
        with pytest.raises(MediaError):
            probe(tmp_path / name)
    assert not any("secret" in str(name) for name in opened)


def test_a_container_without_sound_and_video(tmp_path):
    import av

    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as out:
        packet = av.Packet(b"neither sound nor video")
        packet.stream, packet.pts, packet.dts, packet.time_base = out.add_data_stream("klv"), 0, 0, Fraction(1, 90_000)
        out.mux(packet)
    assert reason(path) == "no-streams"


def test_names_that_look_like_patterns_are_plain_files(tmp_path):
    for name in ("a%03d.wav", "concat:b.wav", "http:c.wav", "-d.wav", "ü 字.wav", "e.WAV", "nothing"):
        path = tmp_path / name
        make(tmp_path / "plain.wav", sound=tone(0.1, 16_000)).rename(path)
        assert len(read_sound(path)) == 1600


@pytest.mark.parametrize("name", ["a.mkv", "a.avi"])
def test_a_cut_recording_gives_what_is_there_and_says_so(tmp_path, name):
    images = [np.roll(quadrants(), i, 1) for i in range(100)]
    path = make(tmp_path / name, sound=tone(4, 16_000), images=images, video_codec="mpeg4")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 6 // 10])
    problems = []
    assert 1.5 < len(read_sound(path, problems=problems)) / 16_000 < 3.5
    assert problems[0].reason == "truncated"
    problems.clear()
    found = list(pictures(path, problems=problems))
    assert 40 < len(found) < 90
    assert problems[0].reason == "truncated"
    assert probe(path).missing_bytes == pytest.approx(len(whole) * 0.4, rel=0.05)


def test_a_cut_wav_gives_what_is_there(tmp_path):
    path = make(tmp_path / "a.wav", sound=tone(1, 16_000))
    path.write_bytes(path.read_bytes()[: 44 + 2 * 6000])
    problems = []
    assert len(read_sound(path, problems=problems)) == pytest.approx(6000, abs=40)
    assert [problem.reason for problem in problems] == ["truncated"]


def test_mp4_cut_with_its_index_before_or_behind_the_data(tmp_path):
    path = make(tmp_path / "behind.mp4", sound=tone(2, 16_000), sound_codec="aac", images=greys(50))
    path.write_bytes(path.read_bytes()[:-3000])
    assert reason(path) == "truncated"
    path = make(
        tmp_path / "before.mp4",
        sound=tone(2, 16_000),
        sound_codec="aac",
        images=greys(50),
        options={"movflags": "faststart"},
    )
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 12_000])
    problems = []
    assert 0.5 < len(read_sound(path, problems=problems)) / 16_000 < 2
    assert problems[0].reason == "truncated"


def test_damage_inside_is_passed_over_and_told(tmp_path):
    path = make(tmp_path / "a.mp3", sound=click(5, 4.5, 44_100), rate=44_100, sound_codec="libmp3lame")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = np.random.default_rng(1).bytes(2000)
    path.write_bytes(content)
    found = read_sound(path, problems=(problems := []))
    assert len(found) > 4 * 16_000
    assert found.max() > 0.5  # the click after the damage
    images = [np.roll(quadrants(128, 96), 3 * i, 1) for i in range(60)]
    path = make(tmp_path / "a.mkv", images=images, video_codec="ffv1")
    content = bytearray(path.read_bytes())
    for at in range(len(content) // 4, len(content) // 2, 97):
        content[at] ^= 0xFF
    path.write_bytes(content)
    problems.clear()
    assert 10 < len(list(pictures(path, problems=problems))) < 61
    assert "damaged" in {problem.reason for problem in problems}


def test_places_that_cannot_be_are_answered_as_ffmpeg_expects(tmp_path):
    from modashift.extract.media.source import _Bytes

    path = make(tmp_path / "a.wav", sound=tone(0.1, 16_000))
    with path.open("rb", buffering=0) as file:
        seen = _Bytes(file, path)
        assert seen.seek(-1, os.SEEK_END) == path.stat().st_size - 1
        assert seen.seek(-5) < 0
        assert seen.tell() == path.stat().st_size - 1


def test_nothing_but_damage_is_an_error(tmp_path):
    path = make(tmp_path / "a.m4a", sound=tone(1, 16_000), sound_codec="aac")
    content = bytearray(path.read_bytes())
    start = content.index(b"mdat") + 4
    size = int.from_bytes(content[start - 8 : start - 4], "big") - 8
    content[start : start + size] = b"\xff" * size
    path.write_bytes(content)
    with pytest.raises(MediaError, match="no sound could be decoded") as caught:
        read_sound(path)
    assert caught.value.reason == "damaged"


def test_absurd_sizes_are_refused(tmp_path):
    """30000 x 30000 in the container's headers and in those of every picture."""
    path = make(tmp_path / "a.avi", images=greys(3), video_codec="mjpeg", pixels="yuvj420p")
    content = path.read_bytes()
    stored = (64).to_bytes(4, "little") + (48).to_bytes(4, "little")
    assert stored in content
    content = content.replace(stored, 2 * (30_000).to_bytes(4, "little"))
    stored = (48).to_bytes(2, "big") + (64).to_bytes(2, "big")  # rows come first in a JPEG
    assert content.count(stored) >= 3
    path.write_bytes(content.replace(stored, 2 * (30_000).to_bytes(2, "big")))
    before = peak_memory()
    with pytest.raises(MediaError, match="no picture could be decoded"):
        list(pictures(path))
    assert peak_memory() - before < 100_000


def test_pictures_above_the_limit_are_refused(tmp_path, monkeypatch):
    from modashift.extract.media import decode

    path = make(tmp_path / "a.mkv", images=greys(3))
    monkeypatch.setattr(decode, "LARGEST_PICTURE", 64 * 48 - 1)
    with pytest.raises(MediaError, match="64 × 48") as caught:
        list(pictures(path))
    assert caught.value.reason == "too-large"


def test_an_index_that_claims_a_billion_samples_takes_no_memory(tmp_path):
    path = make(tmp_path / "a.mp4", sound=tone(1, 16_000), sound_codec="aac")
    content = bytearray(path.read_bytes())
    at = content.index(b"stsz")
    for size, count in ((1, 10**9), (1, 80_000_000), (0, 10**9)):
        content[at + 8 : at + 16] = size.to_bytes(4, "big") + count.to_bytes(4, "big")
        path.write_bytes(content)
        before = peak_memory()
        with pytest.raises(MediaError) as caught:
            read_sound(path)
        assert caught.value.reason == "damaged"
        assert peak_memory() - before < 100_000


def test_fragments_that_claim_a_billion_samples_take_no_memory(tmp_path):
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    path = make(tmp_path / "trunk.mp4", sound=tone(2, 16_000), sound_codec="aac", options=options)
    assert len(read_sound(path)) > 31_000
    content = bytearray(path.read_bytes())
    at = content.index(b"trun")
    content[at + 4 : at + 12] = (1).to_bytes(4, "big") + (80_000_000).to_bytes(4, "big")
    path.write_bytes(content)
    before = peak_memory()
    assert reason(path) == "damaged"
    assert peak_memory() - before < 100_000


def test_the_names_of_tables_may_stand_in_a_title(tmp_path):
    """A title in the index, which has the name of a table of fragments in it."""
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "the elephant's trunk, and its stsz: a long one"
        stream = out.add_stream("aac", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(1, 16_000).T.copy(), "fltp", "mono")
        frame.sample_rate = 16_000
        out.mux(stream.encode(frame) + stream.encode(None))
    assert b"trunk" in path.read_bytes()
    assert len(read_sound(path)) >= 16_000


def peak_memory():
    """Kilobytes that this process ever held."""
    resource = pytest.importorskip("resource")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_missing_bytes_and_signatures():
    assert sniff(b"\xef\xbb\xbf#EXTM3U\n") == "playlist"
    assert sniff(b"RIFF....WAVE") == "media"
    assert sniff(b"") == "unknown"


def test_missing_bytes_of_whole_files_are_none(tmp_path):
    for name, codec in (("a.wav", "pcm_s16le"), ("a.mp4", "aac"), ("a.mkv", "aac"), ("a.avi", "libmp3lame")):
        path = make(tmp_path / name, sound=tone(0.5, 44_100), rate=44_100, sound_codec=codec)
        with path.open("rb") as file:
            assert claims(file) == (0, False)


def test_errors_survive_the_way_from_a_worker():
    error = pickle.loads(pickle.dumps(MediaError("empty", "a.wav: the file is empty")))
    assert isinstance(error, DataError)
    assert (error.reason, str(error)) == ("empty", "a.wav: the file is empty")


def test_without_pyav(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ModashiftError, match=r'pip install "modashift\[extract\]"'):
        probe(tmp_path / "a.wav")
