"""The run page as a file: what it contains, what it never contains, and that its source makes no difference."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from page_runs import evaluated, recorded, write_set

from pytest_finetune.base.records import Completion, Failure, Sample, State
from pytest_finetune.evaluation.runs import Run
from pytest_finetune.reports.page.charts import interval_svg, scale_of
from pytest_finetune.reports.page.document import page_html
from pytest_finetune.reports.page.sections import headline, run_view
from pytest_finetune.reports.page.strings import LIMIT, Strings, visible
from pytest_finetune.reports.sources import from_record, from_session
from pytest_finetune.verdicts.gates import Baseline

if TYPE_CHECKING:
    from pytest_finetune.base.records import Case

ROOT = Path(__file__).parents[2]
GATED = """
scorer = "label"
labels = ["bug", "feature"]
[[gates]]
min = 0.9
[[gates]]
metric = "error_rate"
max = 0.5
[[gates]]
must_pass = ["critical"]
[[gates]]
metric = "latency_p95"
max = 1.5
[[gates]]
against = "production"
max_drop = 0.1
[[gates]]
against = "production"
max_flips = 1
"""
ROWS = [
    {
        "id": f"c-{n}",
        "input": f"q {n}",
        "expected": "bug" if n % 2 else "feature",
        "tags": ["critical"] if n == 1 else [],
    }
    for n in range(4)
]


def right(case: Case, _: int) -> str:
    return case.expected[0]


def all_wrong(*_: Any) -> str:
    return "bug"


def data_of(html: str) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_a_session_and_its_record_give_the_same_page(tmp_path: Path) -> None:
    eval_set = write_set(tmp_path, "t", ROWS, GATED.replace('against = "production"\nmax_drop = 0.1', "min = 0.5"))
    evaluation, results = evaluated(tmp_path, [eval_set], all_wrong)
    assert evaluation.run is not None
    assert page_html([from_session(evaluation, results)]) == page_html([from_record(evaluation.run, root=tmp_path)])


def test_bars_and_margins_follow_the_direction_of_their_gates(tmp_path: Path) -> None:
    eval_set = write_set(tmp_path, "t", ROWS, GATED)
    before, _ = evaluated(tmp_path, [eval_set], right)
    assert before.run is not None
    samples = list(before.run.samples().values())
    baseline = Baseline("production", eval_set.cases_sha256, 1, samples)
    evaluation, results = evaluated(tmp_path, [eval_set], all_wrong, baselines={eval_set.name: baseline})
    gates = from_session(evaluation, results).sets[0].gates
    by_name = {gate.verdict.gate: (gate.metric, gate.bar, gate.margin and round(gate.margin, 3)) for gate in gates}
    assert by_name == {
        "accuracy>=0.9": ("accuracy", 0.9, -0.4),
        "error_rate<=0.5": ("error_rate", 0.5, 0.5),
        "must_pass=critical": ("accuracy", None, None),
        "latency_p95<=1.5": ("latency_p95", 1.5, 1.25),
        "accuracy_drop<=0.1,vs=production": ("drop", 0.1, -0.4),
        "flips<=1,vs=production": ("flips", 1.0, -1.0),
    }
    html = page_html([from_session(evaluation, results)])
    assert "250 ms" in html
    assert "2 lost" in re.sub(r"<[^>]+>", "", html)


def test_a_verdict_whose_interval_crosses_the_bar_is_hollow_and_says_so(tmp_path: Path) -> None:
    certain = "[[gates]]\nmin = 0.1\nconfidence = 0.95\n"
    eval_set = write_set(tmp_path, "t", ROWS, GATED + certain)
    evaluation, results = evaluated(tmp_path, [eval_set], right)
    html = page_html([from_session(evaluation, results)])
    gates = re.findall(r'<td class="word ([^"]*)"><i class="glyph ([^"]*)"', html)
    # Accuracy 1.000 [0.398, 1.000] against 0.9; all must pass; the latency of four answers; a certain 0.1.
    passed = [word for word, _ in gates if word.startswith("pass")]
    assert passed[:4] == ["pass hollow", "pass hollow", "pass", "pass hollow"]
    assert gates[-1] == ("pass", "pass")
    assert all(word == glyph for word, glyph in gates)
    assert html.count('<path class="hole"') == 3
    assert "the value alone decides, its 95 % interval 0.398 to 1.000 crosses the bar" in html
    assert "confidence 0.95: at most 2.5 % of models at the bar would pass" in html


def test_the_headline_states_whether_it_ships_and_why_not(tmp_path: Path) -> None:
    plain = write_set(tmp_path, "t", ROWS)
    assert headline(from_session(*evaluated(tmp_path, [plain], right))) == "Ships: 4 of 4 cases passed (all must pass)"
    assert headline(from_session(*evaluated(tmp_path, [plain], all_wrong))) == (
        "Does not ship: 2 of 4 cases passed (all must pass)"
    )
    baseline = from_session(*evaluated(tmp_path, [plain], right), judged=False)
    assert headline(baseline) == "Baseline, not judged"
    assert baseline.sets[0].gates == ()


def test_the_model_under_test_comes_before_its_baseline(tmp_path: Path) -> None:
    plain = write_set(tmp_path, "t", ROWS)
    runs = [
        from_session(*evaluated(tmp_path, [plain], right, spec="ft:old"), judged=False),
        from_session(*evaluated(tmp_path, [plain], right, spec="ft:new")),
    ]
    assert "<title>ft:new: Ships" in page_html(runs)


def test_the_page_makes_no_requests_and_its_policy_allows_only_its_own_scripts(tmp_path: Path) -> None:
    html = page_html([from_session(*evaluated(tmp_path, [write_set(tmp_path, "t", ROWS)], right))])
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy
    assert policy[1].startswith("default-src &#39;none&#39;; ")
    assert "unsafe" not in policy[1]
    for tag, text in re.findall(r"<(style|script)(?: type=\"module\")?>(.*?)</\1>", html, re.DOTALL):
        assert b64encode(sha256(text.encode()).digest()).decode() in policy[1], tag
    markup = re.sub(r"<(style|script)[^>]*>.*?</\1>", "", html, flags=re.DOTALL)
    assert not re.search(r'\s(style|on\w+|src|srcset|action|ping)="', markup)
    assert set(re.findall(r'href="(.)', markup)) == {"#"}
    assert "http" not in markup.replace("http-equiv", "").replace("http://127.0.0.1:1/v1", "")


def test_the_same_run_makes_the_same_bytes(tmp_path: Path) -> None:
    run = recorded(tmp_path, [write_set(tmp_path, "t", ROWS, GATED)], all_wrong)
    assert page_html([from_record(run, root=tmp_path)]) == page_html([from_record(run, root=tmp_path)])


@pytest.mark.parametrize("text", ["</script>", "<!--", "\u2028", "\u2029", "&amp;", "]]>"])
def test_no_text_ends_the_data_early(tmp_path: Path, text: str) -> None:
    eval_set = write_set(tmp_path, "t", [{"id": "a", "input": text, "expected": "x"}])
    html = page_html([from_session(*evaluated(tmp_path, [eval_set], lambda *_: text))])
    block = html.partition('id="data">')[2].partition("</script>")[0]
    assert not set(block) & set("<>&\u2028\u2029")
    assert visible(text) in data_of(html)["strings"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n\u4e2d\u6587", "plain\ttext\n\u4e2d\u6587"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x07", "link"),
        ("\x1b(Bx\x1bM", "x"),
        ("a\u202eb\u2066c\u200bd", "a\\u202eb\\u2066c\\u200bd"),
        ("\x00\x07\x9b\ud800", "\\x00\\x07\\x9b\\ud800"),
        ("line\r\nline\rline", "line\nline\\rline"),
    ],
)
def test_what_cannot_be_seen_is_written_out_and_ansi_is_stripped(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_text_is_kept_once_and_an_endless_one_is_cut() -> None:
    strings = Strings()
    assert [strings.number(text) for text in ("", "a", "b", "a")] == [0, 1, 2, 1]
    strings.number("x" * 50_000)
    assert strings.table[3].endswith("… (30,000 more characters)")
    assert len(strings.table[3]) < 20_100


@pytest.mark.parametrize(
    ("values", "rate", "scale"),
    [
        ([0.97, None, 0.95], True, (0.9, 1.0)),
        ([0.85, 0.9], True, (0.8, 1.0)),
        ([0.6], True, (0.5, 1.0)),
        ([0.1, 0.9], True, (0.0, 1.0)),
        ([], True, (0.0, 1.0)),
        ([2.0, float("inf")], False, (0.0, 2.1)),
        ([-1.0, 1.0], False, (-1.0, 1.1)),
        ([], False, (0.0, 1.0)),
    ],
)
def test_a_scale_shows_all_its_values(values, rate, scale) -> None:
    assert scale_of(values, rate=rate) == pytest.approx(scale)


def test_a_chart_shows_the_interval_the_value_and_the_bar() -> None:
    drawn = interval_svg(0.95, (0.9, 1.0), scale=(0.8, 1.0), kind="pass", bar=0.9)
    assert re.findall(r'class="(\w+)" d="([^"]*)"', drawn) == [
        ("track", "M0 8H100"),
        ("bar", "M50.0 1V15"),
        ("range", "M50.0 8H100.0"),
        ("point", "M75.0 8h0"),
    ]
    assert interval_svg(None, (None, float("inf")), scale=(0, 1), kind="x").count("<path") == 1


MARKER = "xyzzy-plugh"


def redacted_answer(case: Case, attempt: int) -> Completion | Failure:
    if case.id == "c-3":
        return Failure("server", f"cannot answer {MARKER}")
    if attempt:
        return Completion(f'{{"{MARKER}": 1}}')
    return Completion(f'{{"a": "{MARKER}"}}', refusal=MARKER if case.id == "c-2" else "", finish_reason=MARKER)


@pytest.mark.parametrize("scorer", ["exact", "json", "label"])
def test_a_redacted_page_contains_no_prompt_and_no_answer(tmp_path: Path, scorer: str) -> None:
    expected: Any = {"a": MARKER, "b": MARKER} if scorer == "json" else MARKER
    rows = [
        {
            "id": f"c-{n}",
            "system": MARKER,
            "input": MARKER,
            "expected": expected,
            "metadata": {"x": MARKER},
            "tags": ["t"],
        }
        for n in range(4)
    ]
    labels = f'labels = ["{MARKER}", "other"]\n' if scorer == "label" else ""
    toml = f'scorer = "{scorer}"\n{labels}[stability]\nrepeats = 2\n[[gates]]\nmin = 0.5\n'
    eval_set = write_set(tmp_path, "t", rows, toml)
    before = recorded(tmp_path, [eval_set], lambda case, _: json.dumps(expected) if scorer == "json" else MARKER)
    run = recorded(tmp_path, [eval_set], redacted_answer)
    reported = from_record(run, root=tmp_path, against=before)
    assert MARKER in page_html([reported])
    html = page_html([reported], redact=True)
    # The names of labels are settings; which case expected or got which is not shown.
    head = re.sub(rf'<th scope="(row|col)">{MARKER}</th>', "", html) if scorer == "label" else html
    assert MARKER not in head
    assert ("c-2" in html, f"sha256:{sha256(MARKER.encode()).hexdigest()[:12]}" in html) == (True, True)


def test_a_broken_seal_is_reported(tmp_path: Path) -> None:
    run = recorded(tmp_path, [write_set(tmp_path, "t", ROWS)], right)
    manifest = run.path / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace("ft:test", "ft:fake"), "utf-8")
    changed = type(run).load(run.path)
    assert any("seal" in note for note in from_record(changed, root=tmp_path).notes)


def test_without_the_settings_verdicts_and_bars_come_from_the_record(tmp_path: Path) -> None:
    eval_set = write_set(tmp_path, "t", ROWS, GATED)
    run = recorded(tmp_path, [eval_set], right, copies=False)
    eval_set.path.with_suffix(".toml").write_text("[[gates]]\nmin = 0.1\n", "utf-8")
    reported = from_record(run, root=tmp_path)
    assert reported.sets[0].settings is None
    assert [gate.bar for gate in reported.sets[0].gates] == [0.9, 0.5, None, 1.5, 0.1, 1.0]
    assert "Labels of eval_sets/t.jsonl are not shown: its settings were removed or changed" in page_html([reported])


def test_a_record_of_an_earlier_version_has_the_bars_of_its_own_settings_or_none(tmp_path: Path) -> None:
    eval_set = write_set(tmp_path, "t", ROWS, GATED)
    run = without_rules(recorded(tmp_path, [eval_set], right, copies=False))
    assert [gate.bar for gate in from_record(run, root=tmp_path).sets[0].gates] == [0.9, 0.5, None, 1.5, 0.1, 1.0]
    eval_set.path.with_suffix(".toml").write_text("[[gates]]\nmin = 0.1\n", "utf-8")
    reported = from_record(run, root=tmp_path)
    assert {gate.bar for gate in reported.sets[0].gates} == {None}
    assert "Bars and labels of eval_sets/t.jsonl are not shown" in page_html([reported])


def without_rules(run: Run) -> Run:
    """The run as recorded by a version that did not store the demands of its gates."""
    path = run.path / "manifest.json"
    values = json.loads(path.read_text("utf-8"))
    for verdict in values["verdicts"]:
        del verdict["rule"], verdict["baseline"]
    path.write_text(json.dumps(values), "utf-8")
    return Run.load(run.path)


def test_a_scoring_function_of_the_users_is_not_copied_and_the_cases_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "eval_sets").mkdir()
    code = tmp_path / "eval_sets" / "my_page_scorer.py"
    code.write_text("def score(case, completion):\n    return completion.text == 'bug'\n", "utf-8")
    monkeypatch.chdir(tmp_path)
    toml = 'scorer = "my_page_scorer:score"\n[[gates]]\nmin = 0.9\n'
    run = recorded(tmp_path, [write_set(tmp_path, "t", ROWS, toml)], all_wrong)
    code.unlink()
    (tmp_path / "eval_sets" / "t.jsonl").unlink()
    reported = from_record(run, root=tmp_path)
    assert (reported.sets[0].missing_prompts, reported.sets[0].gates[0].bar) == ("", 0.9)
    assert not list(run.path.rglob("*.py"))


def test_documented_facts_of_the_page() -> None:
    chapter = (ROOT / "docs" / "reports.md").read_text("utf-8").partition("## The run page")[2].partition("\n## ")[0]
    assets = ROOT / "src" / "pytest_finetune" / "reports" / "page" / "assets"
    keys = set(re.findall(r"<kbd>(.*?)</kbd>", (assets / "page.html").read_text("utf-8")))
    assert {
        key for key in ("j", "k", "/", "Esc", "Enter", "t", "?") if f"`{key}`" not in chapter or key not in keys
    } == set()
    assert f"more than {LIMIT:,} characters" in chapter
    (printed,) = re.findall(r"PRINTED = (\d+);", (assets / "list.js").read_text("utf-8"))
    assert f"the first {printed} cases" in chapter


def test_failed_gates_come_first_whatever_their_set(tmp_path: Path) -> None:
    sets = [
        write_set(tmp_path, "one", ROWS, "[[gates]]\nmin = 0.1\n"),
        write_set(tmp_path, "two", ROWS, "[[gates]]\nmin = 0.2\n[[gates]]\nmin = 0.9\n"),
    ]
    html = page_html([from_session(*evaluated(tmp_path, sets, all_wrong))])
    rows = re.findall(r'<td class="name">(\S+) <span class="quiet">(\S+)</span></td>', html)
    assert rows == [
        ("accuracy&gt;=0.9", "two.jsonl"),
        ("accuracy&gt;=0.1", "one.jsonl"),
        ("accuracy&gt;=0.2", "two.jsonl"),
    ]
    assert '<td class="num" data-label="bar">≥ 0.9</td>' in html


def test_models_are_shown_side_by_side(tmp_path: Path) -> None:
    eval_set = write_set(tmp_path, "t", ROWS)
    both = [
        from_session(*evaluated(tmp_path, [eval_set], how, spec=spec)) for how, spec in ((right, "a"), (all_wrong, "b"))
    ]
    table = page_html(both).partition("Models side by side</h2>")[2].partition("</table>")[0]
    assert "<td>1 pass</td><td>1 fail</td>" in table
    assert page_html(both[:1]).count("Models side by side") == 0


def test_slices_have_the_accuracy_of_the_baseline(tmp_path: Path) -> None:
    eval_set = write_set(
        tmp_path, "t", [{**row, "tags": ["x" if number < 2 else "y"]} for number, row in enumerate(ROWS)]
    )
    before = recorded(tmp_path, [eval_set], right, spec="a")
    after = recorded(tmp_path, [eval_set], lambda *_: "wrong", spec="b")
    rows = run_view(from_record(after, root=tmp_path, against=before), 0, redact=False)["accuracy"]["groups"][0]["rows"]
    assert {row["name"]: row["before"] for row in rows if row["before"]} == {
        "t.jsonl": "1.000",
        "x": "1.000",
        "y": "1.000",
    }


def test_an_answer_whose_text_is_not_recorded_says_so(tmp_path: Path) -> None:
    eval_set = write_set(tmp_path, "t", ROWS)
    samples = tuple(Sample(eval_set.name, row["id"], 0, State.PASSED) for row in ROWS)
    baselines = {eval_set.name: Baseline("production", eval_set.cases_sha256, 1, samples)}
    html = page_html([from_session(*evaluated(tmp_path, [eval_set], all_wrong, baselines=baselines))])
    assert '"(not recorded)"' in html
