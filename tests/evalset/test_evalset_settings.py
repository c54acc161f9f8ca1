from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.verdicts.evalset.reading import Faults
from pytest_finetune.verdicts.evalset.settings import EvalSettings
from pytest_finetune.verdicts.evalset.settings_file import read_settings
from pytest_finetune.verdicts.evalset.settings_hash import settings_sha256
from pytest_finetune.verdicts.evalset.toml_lines import line_of

if TYPE_CHECKING:
    Fault = tuple[str, str, str]


def read(text: str | bytes) -> tuple[EvalSettings | None, list[Fault]]:
    faults = Faults("set.toml")
    data = text if isinstance(text, bytes) else text.encode()
    settings, _ = read_settings(data, faults)
    return settings, [(fault.where, fault.problem, fault.hint) for fault in faults.found]


def fault_of(text: str | bytes) -> Fault:
    settings, faults = read(text)
    assert settings is None
    (fault,) = faults
    return fault


ONE = "a gate has exactly one of min, max, max_drop, max_flips, must_pass"
DROP = 'against = "p"\nmax_drop = 0.1'
FULL = """\
scorer = "label"
normalize = ["strip", "casefold"]
labels = ["bug", "feature"]

[request]
max_completion_tokens = 16
stop = ["\\n"]
extra_body = { top_k = 1 }

[stability]
repeats = 5
temperature = 0.7

[[gates]]
metric = "accuracy"
min = 0.95
confidence = 0.95

[[gates]]
metric = "accuracy"
where = { tag = "critical" }
min = 1.0
"""


@pytest.mark.parametrize("text", [FULL, FULL.replace("\n", "\r\n"), "\ufeff" + FULL, ""])
def test_good_settings_are_read(text: str) -> None:
    settings, faults = read(text)
    assert settings is not None
    assert faults == []
    assert settings.stability.repeats == (5 if text else 1)
    assert len(settings.gates) == (2 if text else 0)


def test_an_integer_is_a_valid_temperature() -> None:
    settings, _ = read("[request]\ntemperature = 1")
    assert settings is not None
    assert settings.request.temperature == 1.0


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("a = 1\nb = \n", "set.toml:2", "not TOML: Invalid value"),
        ("a = 1\na = 2\n", "set.toml:2", "not TOML: Cannot overwrite a value"),
        ("a = 1\n\nlabels = [\n", "set.toml:3", "not TOML: "),
        ("a = " + "9" * 5000, "set.toml:1", "not TOML: "),
        ("a = " + "[" * 50_000, "set.toml:1", "nested too deeply"),
    ],
)
def test_invalid_toml_is_reported_at_its_line(text: str, where: str, problem: str) -> None:
    found = fault_of(text)
    assert found[0] == where
    assert found[1].startswith(problem)
    assert found[2]


def test_settings_that_are_not_utf8_are_reported_at_their_line() -> None:
    assert fault_of(b'scorer = "exact"\nlabels = ["\xff"]\n') == (
        "set.toml:2",
        "byte 0xff is not UTF-8",
        "save the file as UTF-8",
    )


@pytest.mark.parametrize(
    ("text", "where", "problem", "hint"),
    [
        ('scorr = "label"', 1, "scorr: unknown key", "did you mean 'scorer'?"),
        ("[request]\n\nmax_token = 3", 3, "request.max_token: unknown key", "did you mean 'max_tokens'?"),
        ("[stability]\nrepeat = 3", 2, "stability.repeat: unknown key", "did you mean 'repeats'?"),
        ("[[gates]]\nmin = 1\n[[gates]]\nmin = 1\nwher = {}", 5, "gates[1].wher: unknown key", "did you mean 'where'?"),
        ("[stabilty]\nrepeats = 3", 1, "stabilty: unknown key", "did you mean 'stability'?"),
        ('[request]\nlabels = ["a"]', 2, "request.labels: unknown key", "labels belongs to the top of the file"),
        ("repeats = 5", 1, "repeats: unknown key", "repeats belongs to [stability]"),
        ("\nmin = 0.5", 2, "min: unknown key", "min belongs to [[gates]]"),
        ("gates = [{ min = 1, wher = {} }]", 1, "gates[0].wher: unknown key", "did you mean 'where'?"),
        ("request.max_token = 3", 1, "request.max_token: unknown key", "did you mean 'max_tokens'?"),
    ],
)
def test_an_unknown_key_is_reported_at_its_line_with_a_suggestion(
    text: str, where: str, problem: str, hint: str
) -> None:
    found = fault_of(text)
    assert found[:2] == (f"set.toml:{where}", problem)
    assert found[2].startswith(hint)


@pytest.mark.parametrize(
    ("text", "where", "problem", "hint"),
    [
        ("scorer = 3", 1, "scorer: Input should be a valid string", ""),
        ('normalize = ["strip", "casefld"]', 1, "normalize[1]: unknown value 'casefld'", "did you mean 'casefold'?"),
        ("[stability]\nrepeats = 0", 2, "stability.repeats: Input should be greater than or equal to 1", ""),
        ("[stability]\nrepeats = true", 2, "stability.repeats: Input should be a valid integer", ""),
        (
            '[[gates]]\nmin = 1\nmetric = "acuracy"',
            3,
            "gates[0].metric: unknown metric 'acuracy'",
            "did you mean 'accuracy'?",
        ),
        ("[[gates]]\nmin = 1\nmax = 1", 1, f"gates[0]: {ONE}; found min and max", ""),
        ('[[gates]]\nmetric = "macro_f1"', 1, f"gates[0]: {ONE}; found none", ""),
        ("[[gates]]\nmust_pass = []", 1, f"gates[0]: {ONE}; found none", ""),
        ("gates = [3]", 1, f"gates[0]: {ONE}; found none", ""),
        (f"[[gates]]\n{DROP}\nmin = 1", 4, "gates[0].min: does not go with max_drop", ONE),
        (f'[[gates]]\n{DROP}\nmust_pass = ["a"]', 4, "gates[0].must_pass: does not go with max_drop", ONE),
        ("[[gates]]\nmax_flips = -1\nagainst = 'p'", 2, "gates[0].max_flips: Input should be greater", ""),
        (
            "[[gates]]\nmax_flips = 1",
            1,
            "gates[0]: max_flips needs against",
            'name the baseline: against = "production"',
        ),
        (
            '[[gates]]\nmin = 1\nagainst = "p"',
            3,
            "gates[0].against: does not go with min or max",
            "against goes with max_drop or max_flips",
        ),
        (
            '[[gates]]\nagainst = "p"\nmax_flips = 1\nconfidence = 0.9',
            4,
            "gates[0].confidence: does not go with max_flips",
            "confidence goes with max_drop or min or max",
        ),
        (
            '[[gates]]\nmust_pass = ["a"]\nconfidence = 0.9',
            3,
            "gates[0].confidence: does not go with must_pass",
            "confidence goes with max_drop or min or max",
        ),
        (
            '[[gates]]\nmetric = "valid_rate"\nagainst = "p"\nmax_flips = 1',
            2,
            "gates[0].metric: max_flips counts cases that pass, not valid_rate",
            "leave metric out",
        ),
        (
            '[[gates]]\nmetric = "latency_p95"\nmust_pass = ["a"]',
            2,
            "gates[0].metric: must_pass counts cases that pass, not latency_p95",
            "leave metric out",
        ),
        (
            '[[gates]]\nmetric = "valid_rate"\nmin = 0.5\nper_case = "1 of 2"',
            4,
            "gates[0].per_case: per_case says when a case passes, which valid_rate does not count",
            "use it with accuracy",
        ),
        (
            '[[gates]]\nmetric = "cost_per_case"\nmax = 2.0\nconfidence = 0.95',
            4,
            "gates[0].confidence: cost_per_case has a long tail",
            "leave confidence out",
        ),
        (
            '[[gates]]\nmetric = "cost_per_case"\nmax = 2.0\nrisk = 0.05',
            4,
            "gates[0].risk: cost_per_case has a long tail",
            "leave risk out",
        ),
        (
            "[[gates]]\nmin = 0.9\nconfidence = 0.95\nrisk = 0.025",
            1,
            "gates[0]: confidence and risk are two ways to write one level",
            "leave one of them out",
        ),
        (
            '[[gates]]\nmetric = "latency_p50"\nmax = 0',
            1,
            "gates[0]: nothing stays within latency_p50 <= 0",
            "use a bar above 0",
        ),
        (
            "[[gates]]\nmax = 0.5\nmax_errors = 1",
            1,
            "gates[0]: a gate with max tolerates no errors, so max_errors has no effect",
            "leave max_errors out",
        ),
        (
            '[[gates]]\nmetric = "error_rate"\nmax = 0.1\nmax_errors = 0',
            1,
            "gates[0]: max_errors has no effect on a gate whose bar limits the errors",
            "leave max_errors out",
        ),
        (
            f'[[gates]]\nmetric = "latency_p50"\n{DROP}',
            1,
            "gates[0]: a drop of latency_p50 cannot be judged by pairs of cases",
            "use max",
        ),
        (
            f'[[gates]]\nmetric = "macro_f1"\n{DROP}\nconfidence = 0.9',
            1,
            "gates[0]: a drop of macro_f1 has no paired interval",
            "leave confidence out",
        ),
        (
            f"[[gates]]\n{DROP}\nconfidance = 0.9",
            4,
            "gates[0].confidance: unknown key",
            "did you mean 'confidence'?",
        ),
        ("[[gates]]\nmin = 95", 1, "gates[0]: accuracy is in [0, 1]; the bar 95 cannot be met or missed", ""),
        ('[[gates]]\nmin = 1\nper_case = "6 of 5"', 3, "gates[0].per_case: '6 of 5' is not of the form '3 of 5'", ""),
        ("[request.extra_body]\nstream = true", 1, "request.extra_body: stream cannot be set here", ""),
        ("[request]\nstop = 3", 2, "request.stop: Input should be a valid string; or Input should be a valid list", ""),
        ("[request]\ntools = { a = 1 }", 2, "request.tools: Input should be a valid list", ""),
        ("gates = 3", 1, "gates: Input should be a valid list", ""),
        ("request = 3", 1, "request: Input should be", ""),
    ],
)
def test_a_wrong_value_is_reported_at_the_line_of_its_key(text: str, where: str, problem: str, hint: str) -> None:
    found = fault_of(text)
    assert found[0] == f"set.toml:{where}"
    assert found[1].startswith(problem)
    assert found[2].startswith(hint)


@pytest.mark.parametrize(
    ("gate", "digest"),
    [
        ("min = 1", "797c155fd334b417"),
        ('min = 0.95\nconfidence = 0.95\nmetric = "accuracy"', "265cdbf4a8ac0d0e"),
        ('metric = "latency_p95"\nmax = 2\nwhere = { tag = "a", hard = true }', "3ea8676aa8e9c004"),
        ('max_drop = 0.02\nagainst = "production"\nconfidence = 0.9', "ff0fda0fdb9f3872"),
        ('max_flips = 1\nagainst = "ft:a"\nper_case = "1 of 1"', "b6ea803deeada20c"),
        ('must_pass = ["a", "b"]\nmax_errors = 0', "f931b0a8c9409a89"),
        ('metric = "accuracy"\nmax_flips = 0\nagainst = "production"', "222aaaedd0a3e0b1"),
    ],
)
def test_the_hash_of_a_gate_equals_that_of_earlier_versions(gate: str, digest: str) -> None:
    """Runs and registries hold these hashes as evidence: they may change only on purpose."""
    settings, _ = read(f"[[gates]]\n{gate}\n")
    assert settings is not None
    assert settings_sha256(settings)[:16] == digest


def test_all_wrong_keys_are_reported() -> None:
    _, faults = read('scorr = "x"\n[request]\ntop_p = "a"\nfoo = 1\n[[gates]]\nmin = "a"\n')
    assert [(where, problem.split(":")[0]) for where, problem, _ in sorted(faults)] == [
        ("set.toml:1", "scorr"),
        ("set.toml:3", "request.top_p"),
        ("set.toml:4", "request.foo"),
        ("set.toml:6", "gates[0].min"),
    ]


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ('[[gates]]\nmetric = "latency_p95"\nmax = inf', 3, "gates[0].max: inf is not a finite number"),
        ('[[gates]]\nmetric = "latency_p95"\nmax = nan', 3, "gates[0].max: nan is not a finite number"),
        ("[request]\ntemperature = nan", 2, "request.temperature: nan is not a finite number"),
        ("[request]\nextra_body = { since = 2026-01-01 }", 2, "request.extra_body.since: JSON has no dates"),
        ("[request.extra_body]\na = [[1, 12:00:00]]", 2, "request.extra_body.a[0][1]: JSON has no dates"),
    ],
)
def test_values_that_json_cannot_express_are_faults(text: str, where: str, problem: str) -> None:
    found = fault_of(text)
    assert found[0] == f"set.toml:{where}"
    assert found[1].startswith(problem)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("scorer",), 1),
        (("labels", 1), 3),
        (("request",), 5),
        (("request", "max_completion_tokens"), 6),
        (("request", "extra_body", "top_k"), 8),
        (("request", "not_there"), 5),
        (("stability", "temperature"), 12),
        (("gates", 0), 14),
        (("gates", 0, "min"), 16),
        (("gates", 1, "min"), 22),
        (("gates", 1, "where", "tag"), 21),
        (("gates", 1, "per_case"), 19),
        (("not_there",), 1),
    ],
)
def test_a_key_is_found_at_its_line(path: Any, line: int) -> None:
    assert line_of(FULL, path) == line


def test_a_risk_is_the_error_of_one_end_of_the_interval() -> None:
    written = [{"min": 0.9, "risk": 0.05}, {"max_drop": 0.1, "against": "production", "risk": 0.025}]
    assert [rule.confidence for rule in EvalSettings.model_validate({"gates": written}).rules] == [0.9, 0.95]


def test_a_risk_changes_the_hash_of_the_settings() -> None:
    gates = {"min": 0.9}, {"min": 0.9, "risk": 0.05}
    plain, risky = (EvalSettings.model_validate({"gates": [gate]}) for gate in gates)
    assert settings_sha256(plain) != settings_sha256(risky)
