"""Whatever the user's own code raises or returns, a session ends, without a traceback of ours and without a pass."""

from __future__ import annotations

import gc
import sys

import pytest

from pytest_finetune.verdicts.scoring import scorer_class

GATE = "[[gates]]\nmin = 0.5\n"
RIGHT = "return Completion(request.messages[-1].content)"
UNPRINTABLE = """
class Unprintable(Exception):
    def __str__(self): raise SystemExit(0)
    __repr__ = __str__
"""
TARGET = (
    UNPRINTABLE
    + """
import asyncio
from pytest_finetune import Completion, Usage
class Own:
    spec = "mine:x"; model = "x"; base_url = ""; immutable = True; free = True; identity = "x"
    async def open(self):
        {open}
    async def ask(self, request, deadline):
        {ask}
    async def close(self):
        {close}
def pytest_finetune_target(spec, config):
    {hook}
    return Own()
"""
)
FOREVER = "await asyncio.sleep(1e6)"
STUBBORN = """while True:
            try: await asyncio.sleep(1e6)
            except asyncio.CancelledError: pass"""
RAISED = ["Unprintable()", "SystemExit(0)", "GeneratorExit()", "asyncio.CancelledError()"]


@pytest.fixture
def own(suite, pytester, monkeypatch):
    """Run a session with a target of the user's, whose methods have the given bodies."""
    from pytest_finetune.evaluation import background
    from pytest_finetune.evaluation.targets import user_target

    for module, name in ((user_target, "GRACE"), (user_target, "LONGEST_OPENING"), (background, "LONGEST_CLEANUP")):
        monkeypatch.setattr(module, name, 0.2)

    def run(*, hook="pass", ask=RIGHT, **bodies):
        pytester.makeconftest(TARGET.format(**{"open": "pass", "close": "pass"} | bodies, ask=ask, hook=hook))
        suite(3, toml=GATE)
        return pytester.runpytest_inprocess(
            "--model=mine:x", "-p", "no:randomly", "--finetune-no-cache", "--finetune-deadline=0.5"
        )

    return run


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("where", ["hook", "open", "ask"])
def test_a_target_that_raises_is_named_and_nothing_passes(own, where, raised):
    result = own(**{where: f"raise {raised}"})
    assert result.ret not in (0, pytest.ExitCode.INTERNAL_ERROR)
    output = result.stdout.str() + result.stderr.str()
    assert raised.partition("(")[0].rpartition(".")[2] in output
    assert "Traceback" not in output


@pytest.mark.parametrize("raised", [*RAISED, "KeyboardInterrupt()"])
def test_a_target_that_cannot_be_closed_has_given_its_answers(own, raised):
    own(close=f"raise {raised}").assert_outcomes(passed=4)


@pytest.mark.parametrize("body", [FOREVER, STUBBORN], ids=["waits", "ignores its cancellation"])
@pytest.mark.parametrize("where", ["open", "ask", "close"])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_target_that_never_returns_is_given_up(own, where, body):
    result = own(**{where: body})
    gc.collect()
    assert (result.ret == 0) is (where == "close")


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("5", "text is not text"),
        ("'word-0', finish_reason='error'", "did not finish the answer"),
        ("'word-0', finish_reason='whatever'", "unknown finish_reason"),
        ("'word-0', finish_reason=None", "finish_reason is not text"),
        ("'word-0', tool_calls=['a']", "tool_calls is not"),
        ("'word-0', usage=5", "usage is not"),
        ("'word-0', latency=float('nan')", "latency"),
        ("'word-0', logprobs=(('word',),)", "logprobs is not"),
    ],
)
def test_an_answer_of_other_types_is_an_error(own, answer, problem):
    result = own(ask=f"return Completion({answer})")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"*{problem}*"])


def test_a_targets_word_for_truncated_is_truncated(own, suite, pytester):
    result = own(ask="return Completion('', finish_reason='MAX_TOKENS')")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*truncated*"])


def test_token_counts_of_a_target_that_cannot_be_are_unknown(own, pytester, suite):
    own(ask="return Completion(request.messages[-1].content, usage=Usage(-1, 10**400))").assert_outcomes(passed=4)


@pytest.mark.parametrize("name", ["spec", "model", "immutable"])
def test_attributes_of_other_types_are_refused(own, pytester, name):
    result = own(hook=f"Own.{name} = 5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{name} of the target of type Own is a int*"])


@pytest.mark.parametrize("when", ["at import", "on an answer"])
def test_a_judge_whose_exception_cannot_be_shown(suite, evaluate, when):
    path = suite(3, toml='scorer = "judges:judge"\n' + GATE)
    body = "raise Unprintable()"
    judge = f"def judge(case, completion):\n    {body if when == 'on an answer' else 'return True'}\n"
    path.with_name("judges.py").write_text(UNPRINTABLE + judge + (body if when == "at import" else ""))
    result = evaluate()
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.TESTS_FAILED)
    output = result.stdout.str() + result.stderr.str()
    assert "Unprintable: its __str__ raises SystemExit" in output


@pytest.fixture
def installed(pytester, monkeypatch):
    """Install a scorer `theirs` whose method has the given body, as another package would."""

    def install(method, body):
        source = f"""
import asyncio
from pytest_finetune import Score, Scorer
{UNPRINTABLE}
class Theirs(Scorer):
    name = "theirs"
    @classmethod
    def make(cls, settings, folder):
        {body if method == "make" else "return cls()"}
    def check(self, case):
        {body if method == "check" else "return None"}
    def score(self, case, completion):
        {body if method == "score" else "return Score(passed=True)"}
{body if method == "import" else ""}
"""
        site = pytester.mkdir("site")
        (site / "theirs.py").write_text(source, "utf-8")
        metadata = site / "theirs-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n", "utf-8")
        (metadata / "entry_points.txt").write_text("[pytest_finetune.scorers]\ntheirs = theirs:Theirs\n", "utf-8")
        monkeypatch.syspath_prepend(str(site))

    yield install
    scorer_class.cache_clear()
    sys.modules.pop("theirs", None)


@pytest.mark.parametrize("raised", RAISED)
@pytest.mark.parametrize("method", ["import", "make", "check", "score"])
def test_a_scorer_of_another_package_that_raises(suite, evaluate, installed, method, raised):
    installed(method, f"raise {raised}")
    suite(3, toml='scorer = "theirs"\n' + GATE)
    result = evaluate()
    assert result.ret in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.TESTS_FAILED)
    output = result.stdout.str() + result.stderr.str()
    assert "Traceback" not in output
    assert raised.partition("(")[0].rpartition(".")[2] in output
