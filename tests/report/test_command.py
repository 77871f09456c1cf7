"""The command and what it writes."""

import csv
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from made_runs import make_experiment, make_run, make_texts
from modashift.__main__ import main

ROWS = {"bert": ("bert", 1.3), "a_b & 100 % <x>|y": ("cmsbert", 0.7)}
FILES = {"report.html", "report.md", "table.tex", "table.csv", "comparisons.csv"}
FIGURES = {"overview", "learning", "calibration", "residuals", "confusion", "length"}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    root = tmp_path_factory.mktemp("e")
    texts = make_texts(root / "texts.jsonl")
    make_experiment(root, ROWS, config={"data": str(texts)})
    make_run(root / "runs" / "bert" / "mosi" / "9", "bert", 9, finished=False)
    (root / "failures.jsonl").write_text('{"run": "bert/mosi/8", "error": "<script>alert(1)</script>"}\n')
    assert main(["report", str(root), "--bootstrap", "300"]) == 0
    return root


class Page(HTMLParser):
    """Tags with their attributes, text, and whether every tag is closed."""

    VOID = ("meta", "img", "br", "link", "input", "hr")

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_everything_is_written(experiment):
    out = experiment / "report"
    assert {p.name for p in out.iterdir()} == FILES | {"figures"}
    names = {f"mosi-{kind}.{suffix}" for kind in FIGURES for suffix in ("png", "svg")}
    assert {p.name for p in (out / "figures").iterdir()} == names


def test_the_page_stands_alone_and_is_accessible(experiment):
    text = (experiment / "report" / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    tags = [tag for tag, _ in page.tags]
    assert "script" not in tags
    assert "link" not in tags
    assert not re.search(r"(src|href)=\"(?!data:|#)", text)
    assert "@import" not in text
    assert "url(" not in text
    images = [attributes for tag, attributes in page.tags if tag == "img"]
    assert len(images) == len(FIGURES)
    assert all(len(i["alt"]) > 40 and i["src"].startswith("data:image/png;base64,") for i in images)
    assert all(a.get("scope") in ("row", "col") for tag, a in page.tags if tag == "th")
    assert "prefers-color-scheme: dark" in text
    assert ("html", {"lang": "en"}) in page.tags
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert {a["href"][1:] for tag, a in page.tags if tag == "a"} <= set(ids)


def test_the_page_says_what_one_must_know(experiment):
    text = " ".join(Page((experiment / "report" / "report.html").read_text()).text.split())
    parts = """a_b & 100 % <x>|y; Text-only control: bert; Train mean for everybody; chosen on these very items;
        bert/mosi/8; <script>alert(1)</script>; runs/bert/mosi/9; not corrected; CMSBERT (B); 685"""
    for part in parts.split(";"):
        assert part.strip() in text


def test_names_are_escaped_in_every_form(experiment):
    out = experiment / "report"
    assert "a\\_b \\& 100 \\% <x>|y" in (out / "table.tex").read_text()
    assert "| a_b & 100 % <x>\\|y | 3 |" in (out / "report.md").read_text()
    assert "<x>" not in (out / "report.html").read_text()


def test_csv_tables_hold_the_numbers(experiment):
    with (experiment / "report" / "table.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 3 * 7
    mae = next(line for line in table if line["row"] == "bert" and line["metric"] == "mae")
    values = [float(v.split(":")[1]) for v in mae["values"].split()]
    assert float(mae["mean"]) == pytest.approx(sum(values) / 3)
    assert mae["marks"] == "text only"
    with (experiment / "report" / "comparisons.csv").open(newline="") as file:
        tests = list(csv.DictReader(file))
    assert [t["metric"] for t in tests] == ["mae", "corr", "acc2_has0", "acc2_non0", "f1_has0", "f1_non0"]
    assert {t["family"] for t in tests} == {"6"}
    assert tests[2]["p_mcnemar"]
    assert not tests[0]["p_mcnemar"]


def test_markdown_and_latex_are_whole(experiment):
    out = experiment / "report"
    text = (out / "report.md").read_text()
    for path in re.findall(r"!\[[^]]*\]\(([^)]*)\)", text):
        assert (out / path).is_file()
    for block in re.findall(r"(?:^\|.*\n)+", text, flags=re.M):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    latex = (out / "table.tex").read_text()
    assert latex.count("\\begin{") == latex.count("\\end{")
    body = [line for line in latex.splitlines() if line.endswith("\\\\") and "&" in line]
    assert len({len(re.findall(r"(?<!\\)&", line)) for line in body}) == 1
    assert "Acc-2 (has0/non0) $\\uparrow$" in latex


def test_the_same_runs_give_the_same_bytes(experiment, tmp_path):
    command = [
        sys.executable,
        "-m",
        "modashift",
        "report",
        str(experiment),
        "--bootstrap",
        "300",
        "--out",
        str(tmp_path),
    ]
    subprocess.run(command, check=True, capture_output=True)
    for path in sorted((experiment / "report").rglob("*.*")):
        assert (tmp_path / path.relative_to(experiment / "report")).read_bytes() == path.read_bytes(), path.name


def test_mistakes_are_told(tmp_path, capsys):
    assert main(["report", str(tmp_path / "none")]) == 2
    assert "there is no folder" in capsys.readouterr().err
    make_run(tmp_path / "r-1", seed=1)
    assert main(["report", str(tmp_path), "--metrics", "mae,rmse", "--bootstrap", "100"]) == 2
    assert "no metric rmse" in capsys.readouterr().err
    assert not (tmp_path / "report").exists()
