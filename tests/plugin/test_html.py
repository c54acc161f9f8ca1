"""pytest-html's report of a session with a model: the content of the file. tests/browser checks how it looks."""

from __future__ import annotations

import json
import re
from html import unescape

import pytest

FOX = "the quick brown fox jumps over the lazy dog"
GATES = "[[gates]]\nmin = 0.5\n[[gates]]\nmin = 0.9\n"
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def report(pytester, evaluate):
    """Evaluate with --html; returns the page's source, and its rows by test id."""

    def run(*options, self_contained=True, subprocess=False, **how):
        contained = ("--self-contained-html",) if self_contained else ()
        result = evaluate("--html=out/report.html", *contained, *options, subprocess=subprocess, **how)
        source = (pytester.path / "out/report.html").read_text("utf-8")
        return result, source, rows_of(source)

    return run


def rows_of(source):
    data = json.loads(unescape(re.search(r'data-jsonblob="([^"]*)"', source)[1]))
    return {row["testId"]: row for rows in data["tests"].values() for row in rows}


def cell(row, column):
    return row[column].strip()


def test_the_title_names_the_models(suite, report):
    suite(1)
    _, source, _ = report("--model=ft:other")
    assert '<title id="head-title">ft:test · ft:other: evaluation</title>' in source


def test_the_summary_has_gates_with_their_margin_and_accuracy_with_its_interval_drawn(suite, report):
    suite(20, inputs=["wrong", *(f"word-{n}" for n in range(1, 20))], toml=GATES)
    _, source, _ = report()
    summary = source[source.index("ft-summary>") : source.index('class="run-count"')]
    assert "ships</span>: 2 of 2 gates passed" in summary
    assert ">+0.450<" in summary
    assert ">+0.050<" in summary
    assert "0.950 [0.751, 0.999]" in summary
    assert summary.count("<svg") == 1
    assert "<td>none<td>0<td>" in summary


def test_a_case_has_its_figures_in_columns_of_their_own(suite, report):
    suite(["a", "b"], inputs=["a", "x"], toml=GATES)
    _, source, rows = report()
    assert re.findall(r'data-column-type="(\w+)"', source)[:7] == [
        "result", "testId", "model", "verdict", "score", "latency", "tokens"
    ]  # fmt: skip
    passed, missed = rows["eval_sets/tickets.jsonl::case-0"], rows["eval_sets/tickets.jsonl::case-1"]
    shown = [[cell(row, name) for name in ("result", "model", "verdict", "score")] for row in (passed, missed)]
    assert shown == [["Passed", "ft:test", "passed", "1/1"], ["XFailed", "ft:test", "missed", "0/1"]]
    assert re.fullmatch(r"[0-9,]+ ms", cell(passed, "latency"))
    assert int(cell(passed, "tokens")) > 0


def test_figures_are_padded_because_the_page_sorts_a_column_by_its_text(suite, report):
    suite(["a", "b"], inputs=["a", "x" * 4000])
    _, _, rows = report()
    few, many = (rows[f"eval_sets/tickets.jsonl::case-{n}"]["tokens"] for n in (0, 1))
    assert few < many
    assert len(few) == len(many)


def test_a_missed_case_shows_prompt_expected_and_got_with_marked_words(suite, report):
    suite([FOX], inputs=[FOX.replace("brown", "red")], toml="[[gates]]\nmin = 0.5\n")
    _, _, rows = report()
    log = rows["eval_sets/tickets.jsonl::case-0"]["log"]
    assert log == (
        "<dl class=ft><dt>user<dd>the quick red fox jumps over the lazy dog"
        "<dt>expected<dd>the quick <del>brown</del> fox jumps over the lazy dog"
        "<dt>got<dd>the quick <ins>red</ins> fox jumps over the lazy dog</dl>"
    )


def test_json_answers_differ_by_path(suite, report):
    toml = 'scorer = "json"\n[[gates]]\nmin = 0.5\n'
    suite([{"name": "Ada", "age": 36}], inputs=['{"name": "Bob"}'], toml=toml)
    _, _, rows = report()
    log = rows["eval_sets/tickets.jsonl::case-0"]["log"]
    assert "<span>~ $.name: expected &quot;Ada&quot;, got &quot;Bob&quot;</span>" in log
    assert "<del>- $.age: 36 is missing</del>" in log
    assert cell(rows["eval_sets/tickets.jsonl::case-0"], "score") == "0/2 fields"


def test_an_error_is_shown_in_its_row(suite, report, server):
    from scripted_server import error

    suite(1, toml=GATES)
    server.answer = lambda body: error(400, "no <such> parameter")
    _, _, rows = report()
    row = rows["eval_sets/tickets.jsonl::case-0"]
    assert cell(row, "verdict") == "error: bad_request"
    assert "<dt>error<dd>bad_request: HTTP 400: no &lt;such&gt; parameter" in row["log"]


def test_gates_are_rows_with_their_verdict(suite, report):
    suite(2, toml=GATES)
    _, _, rows = report()
    gate = rows["eval_sets/tickets.jsonl::gate[accuracy&gt;=0.9]"]
    assert [cell(gate, name) for name in ("result", "verdict", "score")] == ["Passed", "pass", "1.000 [0.158, 1.000]"]
    assert gate["log"] == (
        "<dl class=ft><dt>gate<dd>accuracy 1.000 (2 of 2 cases), bar &gt;= 0.9:"
        " the value alone decides, its 95 % interval 0.158 to 1.000 crosses the bar</dl>"
    )


def test_long_prompts_are_cut_and_say_so(suite, report):
    suite(["a", "b"], inputs=["a" + " " * 5000 + "z", "y" * 5000], toml='normalize = ["strip"]\n' + GATES)
    _, source, rows = report()
    assert "(3,000 more characters)" in rows["eval_sets/tickets.jsonl::case-1"]["log"]
    assert "cut at 2,000 characters, those of cases that passed at 200" in source


def test_what_passed_is_kept_short(suite, report, server):
    suite(["ok"], inputs=["y" * 5000])
    server.answer = lambda body: "ok"
    _, _, rows = report()
    assert len(rows["eval_sets/tickets.jsonl::case-0"]["log"]) < 400


def test_markup_in_ids_prompts_answers_and_models_stays_text(pytester, evaluate, server, report):
    folder = pytester.mkdir("eval_sets")
    case = {"id": MARKUP, "input": MARKUP, "expected": "calm", "tags": [MARKUP]}
    (folder / f"{MARKUP}.jsonl").write_text(json.dumps(case) + "\n", "utf-8")
    (folder / f"{MARKUP}.toml").write_text("[[gates]]\nmin = 0.5\n", "utf-8")
    _, source, rows = report("-rA", model=f"ft:{MARKUP}")
    assert "<img src=x" not in source
    assert "<img src=x" not in json.dumps(rows)


def test_an_id_with_a_backslash_is_shown(pytester, report):
    folder = pytester.mkdir("eval_sets")
    (folder / "t.jsonl").write_text(json.dumps({"id": r"C:\new\x", "input": "a", "expected": "a"}) + "\n", "utf-8")
    result, _, rows = report()
    assert result.ret == 0
    assert r"eval_sets/t.jsonl::C:\new\x" in rows


def test_a_line_that_starts_with_e_is_not_an_error_line(suite, report):
    suite(["a"], inputs=["first\nEnd </dl>"], toml="[[gates]]\nmin = 0.5\n")
    _, _, rows = report()
    assert "\n" not in rows["eval_sets/tickets.jsonl::case-0"]["log"]


def test_the_user_s_own_tests_and_hooks_are_shown(pytester, suite, report):
    pytester.makeconftest(
        """
        def pytest_html_report_title(report):
            report.title = "ours"

        def pytest_html_results_table_header(cells):
            cells.pop()

        def pytest_html_results_table_row(report, cells):
            cells.pop()
        """
    )
    pytester.makepyfile("def test_own(): print('hello')")
    suite(1)
    _, source, rows = report(".")
    assert '<title id="head-title">ours</title>' in source
    own, case = (
        rows["test_the_user_s_own_tests_and_hooks_are_shown.py::test_own"],
        rows["eval_sets/tickets.jsonl::case-0"],
    )
    assert "hello" in own["log"]
    assert own["verdict"] == ""
    assert len(own["resultsTableRow"]) == len(case["resultsTableRow"]) == 8


def test_a_broken_hook_shows_its_traceback_below_the_case(pytester, suite, report):
    pytester.makeconftest("def pytest_runtest_call(item):\n    raise RuntimeError('of my own making')\n")
    suite(1, toml="[[gates]]\nmin = 0.5\n")
    _, _, rows = report()
    log = rows["eval_sets/tickets.jsonl::case-0"]["log"]
    assert log.startswith("<dl class=ft><dt>user")
    assert "of my own making" in log


def test_it_works_with_separate_assets_and_when_written_after_every_test(pytester, suite, report):
    pytester.makeini("[pytest]\ngenerate_report_on_test = true\n")
    suite(3, toml=GATES)
    result, source, rows = report(self_contained=False)
    assert result.ret != pytest.ExitCode.INTERNAL_ERROR
    assert (pytester.path / "out/assets/style.css").exists()
    assert "ft-summary>" in source
    assert len(rows) == 5


def test_workers_make_the_same_rows(suite, report):
    suite(4, inputs=["word-0", "x", "word-2", "word-3"], toml=GATES)
    _, _, alone = report()
    _, source, shared = report("-n2", subprocess=True)
    timeless = ("resultsTableRow", "latency", "duration")

    def kept(rows):
        return {name: {key: row[key] for key in row if key not in timeless} for name, row in rows.items()}

    one, other = kept(shared), kept(alone)
    assert [(one[name], other[name]) for name in one if one[name] != other[name]] == []
    assert "ft-summary>" in source


def test_repeats_show_how_many_attempts_passed(suite, report, server):
    suite(["a"], toml="[stability]\nrepeats = 3\n[[gates]]\nmin = 0.5\n")
    answers = iter(["a", "b", "a"])
    server.answer = lambda body: next(answers)
    _, _, rows = report("--concurrency=1")
    row = rows["eval_sets/tickets.jsonl::case-0"]
    assert cell(row, "score") == "2/3"
    assert "<dt>attempts<dd>2 of 3 attempts passed; below is attempt 2" in row["log"]


def test_without_html_no_html_module_is_loaded(pytester, suite, evaluate):
    pytester.makeconftest(
        "import sys\n\ndef pytest_unconfigure():\n    print('LOADED', 'pytest_finetune.plugin.html' in sys.modules)\n"
    )
    suite(1)
    evaluate(subprocess=True).stdout.fnmatch_lines(["LOADED False"])
