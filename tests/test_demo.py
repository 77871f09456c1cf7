"""A short version of the demo, on a small share of its sentences."""

import pytest

from modashift.demo import run_demo


@pytest.mark.slow
def test_the_demo_runs_from_start_to_end(tmp_path, capsys):
    found = run_demo(tmp_path / "demo", words=40, simulated_epochs=1, share=0.02, ask=False)
    out = capsys.readouterr().out
    for part in ("VADER lexicon", "train mean", "SIMULATED", "CMS map", "try next"):
        assert part in out
    assert set(found["mae"]) == {"bert", "cmsbert-clr", "cmsbert-clr, tracks swapped"}
    assert (tmp_path / "demo" / "cms_map.png").read_bytes().startswith(b"\x89PNG")
    for run in ("words", "bert", "cmsbert-clr"):
        assert (tmp_path / "demo" / run / "results.json").is_file()
