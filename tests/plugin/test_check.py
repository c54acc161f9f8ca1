"""`--finetune-check`: one test a file and group, with a model and without, in one process and in several."""

from __future__ import annotations

import pytest
from planted_faults import clean_rows, lines, replaced, row, sentence

# pytester forgets what an inner session imports; numpy must not be imported twice.
import pytest_finetune.lifecycle.data.check
import pytest_finetune.lifecycle.data.tokens
import pytest_finetune.plugin.check  # noqa: F401
from pytest_finetune.lifecycle.data.check_result import CheckResult
from pytest_finetune.lifecycle.data.codes import make_finding
from pytest_finetune.plugin.check import check_once

GROUPS = ("file", "form", "meaning", "honesty", "safety")


@pytest.fixture
def write(pytester):
    def write(rows, name="train.jsonl"):
        path = pytester.path / "data" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(lines(rows))
        return path

    return write


@pytest.fixture
def check(pytester):
    def run(*options, subprocess=False):
        options = ("--finetune-check", "-p", "no:randomly", "-p", "no:cacheprovider", *options)
        return (pytester.runpytest_subprocess if subprocess else pytester.runpytest_inprocess)(*options)

    return run


def test_a_file_is_one_test_per_group(write, check):
    write(clean_rows())
    result = check("--finetune-train=data/train.jsonl", "-v")
    result.assert_outcomes(passed=len(GROUPS))
    result.stdout.fnmatch_lines([f"data/train.jsonl::check[[]{group}] PASSED*" for group in GROUPS])


def test_an_error_fails_its_group_with_the_findings_and_no_traceback(write, check):
    question = clean_rows()[9]["messages"][1]["content"]
    write(replaced({20: row(question, "other")}))
    result = check("--finetune-train=data/train.jsonl")
    result.assert_outcomes(passed=len(GROUPS) - 1, failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*train.jsonl check[[]meaning]*",
            "error   conflicting_answers *1",
            "    data/train.jsonl:20: data/train.jsonl:10 has the same prompt, another answer",
            "FAILED data/train.jsonl::check[[]meaning]*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")


def test_a_redacted_finding_shows_only_its_place(write, check):
    write(replaced({20: row(sentence(901), {"zebra": "quokka"}), 21: {"walrus": 1}}))
    shown = check("--finetune-train=data/train.jsonl")
    assert "walrus" in shown.stdout.str()
    result = check("--finetune-train=data/train.jsonl", "--finetune-redact", "-rA")
    result.stdout.fnmatch_lines(["error   *", "    data/train.jsonl:21"])
    assert not [word for word in ("zebra", "quokka", "walrus", "hint:") if word in result.stdout.str()]


def test_a_warning_is_shown_and_fails_only_with_fail_on_warning(write, check):
    write(replaced({20: row(sentence(901), "other ")}))
    result = check("--finetune-train=data/train.jsonl", "-rP")
    result.assert_outcomes(passed=len(GROUPS))
    result.stdout.fnmatch_lines(["*data check*", "warning surrounding_whitespace*"])
    stricter = check("--finetune-train=data/train.jsonl", "--finetune-check-fail-on=warning")
    stricter.assert_outcomes(passed=len(GROUPS) - 1, failed=1)


def test_files_and_ignored_codes_can_be_set_in_the_ini_file(write, check, pytester):
    write(replaced({20: row(sentence(901), "other "), 21: {"messages": []}}))
    write([row(sentence(2000), "bug")], "validation.jsonl")
    pytester.makeini(
        "[pytest]\nfinetune_train = data/train.jsonl\nfinetune_validation = data/validation.jsonl\n"
        "finetune_check_ignore = missing_messages_list\n"
    )
    check().assert_outcomes(passed=2 * len(GROUPS))


def test_the_eval_sets_of_the_project_are_checked_too(write, check, suite):
    question = clean_rows()[9]["messages"][1]["content"]
    write(clean_rows())
    suite(["bug"], inputs=[question], system="Classify the ticket.")
    result = check("--finetune-train=data/train.jsonl")
    result.assert_outcomes(passed=2 * len(GROUPS) - 1, failed=1)
    result.stdout.fnmatch_lines(["FAILED eval_sets/tickets.jsonl::check[[]honesty]*"])


def test_data_and_model_can_be_checked_in_one_session(write, evaluate, suite):
    write(clean_rows())
    suite(["bug"], system="Classify the ticket.", toml="[[gates]]\nmin = 1.0\n")
    result = evaluate("--finetune-check", "--finetune-train=data/train.jsonl", "-v")
    result.assert_outcomes(passed=1 + 1 + 2 * len(GROUPS))
    result.stdout.fnmatch_lines_random(
        ["eval_sets/tickets.jsonl::case-0 PASSED*", "*gate[[]accuracy>=1] PASSED*", "*::check[[]safety] PASSED*"]
    )


def test_the_project_s_own_tests_run_too(write, check, pytester):
    write(clean_rows())
    pytester.makepyfile("def test_mine():\n    pass\n")
    check("--finetune-train=data/train.jsonl").assert_outcomes(passed=1 + len(GROUPS))


def test_a_group_can_be_selected_by_name(write, check):
    write(clean_rows())
    check("--finetune-train=data/train.jsonl", "-k", "safety").assert_outcomes(passed=1, deselected=4)


def test_collecting_reads_no_data(check):
    result = check("--finetune-train=nowhere.jsonl", "--collect-only", "-q")
    result.stdout.fnmatch_lines([f"nowhere.jsonl::check[[]{group}]" for group in GROUPS])


def test_a_missing_file_fails(check):
    result = check("--finetune-train=nowhere.jsonl")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["error   file_type*", "    nowhere.jsonl: cannot be read*"])


def test_xdist_distributes_the_tests(write, check):
    write(replaced({21: {"messages": []}}))
    result = check("--finetune-train=data/train.jsonl", "-n", "2", subprocess=True)
    result.assert_outcomes(passed=len(GROUPS) - 1, failed=1)


@pytest.mark.parametrize(
    ("ini", "options", "message"),
    [
        ("", (), "*name a training file: --finetune-train=PATH*"),
        ("finetune_check_ignore = duplicat", ("--finetune-train=x.jsonl",), "*did you mean 'duplicate'*"),
    ],
)
def test_a_check_with_wrong_options_is_a_usage_error(pytester, check, ini, options, message):
    pytester.makeini(f"[pytest]\n{ini}\n")
    result = check(*options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_without_the_option_no_training_file_is_read(write, pytester):
    write([b"{"])
    pytester.makepyfile("def test_mine():\n    pass\n")
    pytester.runpytest_inprocess("--finetune-train=data/train.jsonl").assert_outcomes(passed=1)


def test_a_test_is_run_alone_by_its_id(write, check, pytester):
    write(clean_rows())
    write([row(sentence(2000), "bug")], "validation.jsonl")
    pytester.makepyfile(test_mine="def test_mine():\n    pass\n")
    files = ("--finetune-train=data/train.jsonl", "--finetune-validation=data/validation.jsonl")
    result = check(*files, "data/train.jsonl::check[form]", "-v")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["data/train.jsonl::check[[]form] PASSED*"])
    check(*files, "data/validation.jsonl").assert_outcomes(passed=len(GROUPS))
    check(*files, "test_mine.py").assert_outcomes(passed=1 + 2 * len(GROUPS))


def test_all_tests_are_counted_as_collected(write, check):
    write(clean_rows())
    check("--finetune-train=data/train.jsonl").stdout.fnmatch_lines([f"collected {len(GROUPS)} items"])


def test_the_label_may_be_a_key_of_json_answers(write, check, pytester):
    write([row(sentence(at), '{"team": "bug"}' if at < 110 else '{"team": "other"}') for at in range(120)])
    pytester.makeini("[pytest]\nfinetune_check_label_by = team\n")
    result = check("--finetune-train=data/train.jsonl", "-rP")
    result.stdout.fnmatch_lines(["warning class_imbalance*"])
    pytester.makeini("[pytest]\nfinetune_check_label_by = taem\n")
    result = check("--finetune-train=data/train.jsonl")
    result.assert_outcomes(failed=len(GROUPS))
    result.stdout.fnmatch_lines(["data/train.jsonl: no answer has the key 'taem'", "*did you mean 'team'?"])


def test_processes_of_one_session_check_once(tmp_path):
    kept = CheckResult(
        (make_finding("duplicate", "train.jsonl", 3, "says \ud800 twice", "keep one", other="train.jsonl:1"),),
        {("train.jsonl", "duplicate"): 1},
        {"train.jsonl": 3},
    )
    made = []

    def make():
        made.append(1)
        return kept

    assert [check_once(str(tmp_path), make) for _ in range(3)] == [kept] * 3
    assert len(made) == 1
    assert check_once("", make) == check_once(str(tmp_path / "elsewhere"), make) == kept
    assert len(made) == 3


def test_xdist_workers_share_the_result_and_leave_no_files(write, check, pytester, monkeypatch):
    write(clean_rows())
    folder = pytester.mkdir("temporary")
    monkeypatch.setenv("TMPDIR", str(folder))
    pytester.makeconftest(
        "import pytest_finetune.plugin.check as plugin\n"
        "made = plugin.check\n"
        "def check(*files, **how):\n"
        f"    open({str(pytester.path / 'checks')!r}, 'a').write('x')\n"
        "    return made(*files, **how)\n"
        "plugin.check = check\n"
    )
    result = check("--finetune-train=data/train.jsonl", "-n", "2", "--dist", "each", subprocess=True)
    result.assert_outcomes(passed=2 * len(GROUPS))
    assert (pytester.path / "checks").read_text() == "x"
    assert not list(folder.glob("pytest-finetune-check-*"))
