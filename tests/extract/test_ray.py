"""The same extraction on a local Ray cluster of two workers, one of which is killed on the way."""

import importlib.util

import pytest

from made_batches import Clips, Quiet
from made_clips import OBEY
from modashift.errors import ModashiftError
from modashift.extract.bulk import Given, clips_folder, extract_all, plan
from modashift.extract.clip import ExtractOptions
from modashift.extract.engines.ray import RayEngine
from modashift.extract.engines.work import Limit
from modashift.extract.gather import gather

INSTALLED = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(INSTALLED, reason="Ray is installed")
def test_without_ray_the_extra_is_named() -> None:
    with pytest.raises(ModashiftError, match=r"modashift\[cluster\]"):
        RayEngine(2)


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason='Ray is not installed: pip install "modashift[cluster]"')
@pytest.mark.filterwarnings("ignore")  # Ray's own
def test_ray_gives_the_same_files_though_a_worker_is_killed(tmp_path) -> None:
    orders = {"a": "ok", "b": "die-once", "c": "ok", "d": "faceless", "e": "media", "f": "die", "g": "hang", "h": "ok"}
    for name in ("ray", "local"):
        (tmp_path / name).mkdir()
    ray, local = Clips(tmp_path / "ray", **orders), Clips(tmp_path / "local", **orders)
    tasks = plan(gather([ray.folder]), ray.store, ExtractOptions(), Given(), OBEY)
    listener = Quiet()
    found = extract_all(tasks, ray.store, RayEngine(2, limit=Limit(25.0, 0.0)), listener)
    local.write(g="media")  # no need to wait for it twice
    expected = local.run(2)
    said = {e.name: (e.status, e.reason, e.attempts) for e in found.entries}
    assert said.pop("g") == ("failed", "timeout", 1)
    assert said == {e.name: (e.status, e.reason, e.attempts) for e in expected.entries if e.name != "g"}
    assert said["b"] == ("ok", "", 2)
    assert said["f"] == ("failed", "crashed", 2)
    assert set(ray.files()) == {f"{n}.clip.safetensors" for n in "abcdh"}
    assert ray.files() == local.files()
    for file in ("arrays.safetensors",):
        assert (ray.store / file).read_bytes() == (local.store / file).read_bytes()
    again = extract_all(tasks[:4], ray.store, RayEngine(2), listener)
    assert again.found == 4  # with nothing to do, no cluster is started
    assert (clips_folder(ray.store) / "manifest.jsonl").is_file()
