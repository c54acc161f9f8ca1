"""
How many planted faults the tests of a package notice.

    python benchmarks/mutants.py verdicts/gates verdicts/metrics
    python benchmarks/mutants.py --sample=400 --seed=1 lifecycle/registry

The tests in `TESTS` run once, which shows which of them reach which function. Then each fault of `mutations.py` is
planted in a forked copy of this process, where the tests that reach it run until one fails, those first that are fast
and noticed earlier faults. A fault in a class body or
in a table of constants takes effect at import, so a copy that has not imported the package runs all the tests; that
takes longest, and `--inside` leaves it out. mutmut would leave out properties too, where many decisions are.
"""

from __future__ import annotations

import argparse
import functools
import gc
import importlib
import importlib.machinery
import importlib.util
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType
from typing import TYPE_CHECKING

import pytest
from _pytest.runner import runtestprotocol
from mutations import MutatedModule, Mutation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    Functions = dict[str, list[FunctionType]]

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "pytest_finetune"
ENOUGH = 0.95
BROKEN = 99
SECONDS = 10
"""CPU time beyond that of the tests, after which a mutant counts as noticed: it hangs."""
TIMEOUT = 300
"""CPU time for all tests of a package."""
PRELOADED = ("aiohttp", "genai_prices", "jsonschema", "openai", "pydantic", "regex", "sqlglot")
"""What every copy of the process would import otherwise."""

GATES = [f"tests/test_gates{rest}.py" for rest in ("_strictness", "_outcome", "_messages", "_against", "", "_decided")]
GATES += ["tests/test_field_gates.py", "tests/test_confidence.py", "tests/test_judge_intervals.py"]
GATES += [f"tests/test_{name}.py" for name in ("f1_intervals", "groups", "gate_families", "recall_gates")]
PLANS = ["tests/test_power.py", "tests/cli/test_cli_gates.py"]
"""The chances of gates before a run, slow simulations among them."""
ASKING = ["tests/test_judge.py", "tests/test_preference.py"]
"""Scorers that ask a model, in sessions with a scripted server."""
SEVERAL = [f"tests/{name}.py" for name in ("test_several_scorers_in_sessions", "fail_open/test_several_scorers")]
SEVERAL.append("tests/fail_open/test_uncalibrated_judges.py")
DEMANDS = "tests/fail_open/test_weakened_gates.py"
TESTS = {
    "verdicts/gates": [*GATES, *PLANS, DEMANDS, *ASKING, *SEVERAL, "-k", "not (session or workers or page_says)"],
    "verdicts/metrics": ["tests/test_metrics.py", *GATES, *ASKING, *SEVERAL, "-k", "not (workers or page_says)"],
    "verdicts/scoring": [
        *("tests/scoring", "tests/evalset/test_scorer_table.py", "tests/evalset/test_scorer_fields.py"),
        *ASKING,
        "tests/fail_open/test_judges.py",
        *("-k", "not (helpers_of_a_judge or workers)"),
    ],
    "lifecycle/registry": [
        *("tests/registry", DEMANDS),
        *("-m", "not slow", "-k", "not (mlflow or processes or killed or session)"),
    ],
}
"""The tests that are expected to notice a fault; one that starts a process cannot, because that has no fault."""
LEFT_OUT = ("lifecycle/registry/mlflow_", "verdicts/scoring/duckdb_process")
"""These run only with an MLflow server, some seconds a test, or in a process of their own, which has no fault."""

OPTIONS = ["-q", "-x", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider", "--capture=sys", "--tb=native"]
# To rewrite assertions, pytest would import the package itself, as a plugin's, without the mutant.
OPTIONS += ["--assert=plain", "--hypothesis-profile=mutants"]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A fault in a file; its number identifies it in another process."""

    path: Path
    number: int
    mutation: Mutation

    def __str__(self) -> str:
        return f"{self.path.relative_to(PACKAGE)}:{self.mutation.line}: {self.mutation}"


class Profile:
    """Hypothesis tries the same examples for every mutant, and does not shrink what fails."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self) -> None:
        """Before hypothesis loads the profile; an import before pytest's would be too early for its assertions."""
        from hypothesis import HealthCheck, Phase, settings

        settings.register_profile(
            "mutants", deadline=None, derandomize=True, database=None,
            phases=(Phase.explicit, Phase.generate), suppress_health_check=[HealthCheck.too_slow],
        )  # fmt: skip


@dataclass
class Session(Profile):
    """Plugin of a pytest session that runs its tests once as they are, then with each mutant that is in a function."""

    modules: dict[str, MutatedModule]
    mutants: list[Mutant]
    survived: list[Mutant] = field(default_factory=list)
    _functions: Functions = field(default_factory=dict)
    _kills: Counter[str] = field(default_factory=Counter)
    _reached: dict[tuple[str, int], list[pytest.Item]] = field(default_factory=lambda: defaultdict(list))
    _seconds: dict[str, float] = field(default_factory=dict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Instead of pytest's own loop."""
        for item in session.items:
            self._run_traced(item)
        gc.collect()
        self._functions = _functions()
        gc.freeze()  # a copy that collects garbage would copy every page of memory
        self._leave_out_what_fails_in_a_copy(session.items)
        for number, mutant in enumerate(self.mutants, 1):
            if mutant.mutation.function and not self._is_noticed(mutant):
                _report(f"survived  {mutant}")
                self.survived.append(mutant)
            if number % 100 == 0:
                _report(f"{number} of {len(self.mutants)} done, {len(self.survived)} survived")
        return True

    def _run_traced(self, item: pytest.Item) -> None:
        called: set[tuple[str, int]] = set()

        def trace(frame: FrameType, _event: str, _arg: object) -> None:
            if module := self.modules.get(frame.f_code.co_filename):
                called.add((frame.f_code.co_filename, module.function_at(frame.f_code.co_firstlineno)))

        start = time.monotonic()
        threading.settrace(trace)
        sys.settrace(trace)
        failed = _fails(item)
        sys.settrace(None)
        threading.settrace(None)
        if failed:
            pytest.exit(f"{item.nodeid} fails without a mutant", returncode=3)
        self._seconds[item.nodeid] = time.monotonic() - start
        for place in called:
            self._reached[place].append(item)

    def _leave_out_what_fails_in_a_copy(self, items: list[pytest.Item]) -> None:
        """Such a test, or one that needs the order of the tests, would seem to notice every mutant."""
        items = self._by_speed(items)
        _, failed = _in_a_copy(lambda note: [note(place) for place, item in enumerate(items) if _fails(item)], TIMEOUT)
        for place in failed:
            _report(f"left out  {items[place].nodeid}, which fails in a copy of the process")
        for reached in self._reached.values():
            reached[:] = [item for item in reached if all(item is not items[place] for place in failed)]

    def _by_speed(self, items: Iterable[pytest.Item]) -> list[pytest.Item]:
        return sorted(items, key=lambda item: self._seconds[item.nodeid] / (1 + self._kills[item.nodeid]))

    def _is_noticed(self, mutant: Mutant) -> bool:
        items = self._by_speed(self._reached[str(mutant.path), mutant.mutation.function])
        module = self.modules[str(mutant.path)]

        def planted(begin: Callable[[int], object]) -> bool:
            _plant(module, mutant.mutation, self._functions)
            for place, item in enumerate(items):
                begin(place)
                # The signal ends the process; it is due after CPU time, because others may use the machine.
                signal.setitimer(signal.ITIMER_PROF, SECONDS / 3 + 5 * self._seconds[item.nodeid])
                if _fails(item):
                    return True
            return False

        seconds = int(SECONDS + 3 * sum(self._seconds[item.nodeid] for item in items))
        noticed, begun = _in_a_copy(planted, seconds)
        if noticed and begun:
            self._kills[items[begun[-1]].nodeid] += 1
        return noticed


def _in_a_copy(fails: Callable[[Callable[[int], object]], object], seconds: int) -> tuple[bool, list[int]]:
    """Whether tests fail in a copy of this process, or take longer; and the numbers that the copy noted."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            _silence()
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            signal.alarm(3 * seconds)
            os._exit(bool(fails(lambda number: os.write(writer, number.to_bytes(2)))))
        finally:
            os._exit(BROKEN)
    os.close(writer)
    status = os.waitpid(child, 0)[1]
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        os.set_blocking(reader, False)  # a process that the copy started may hold the other end
        noted = pipe.read() or b""
    broken = os.WIFEXITED(status) and os.WEXITSTATUS(status) == BROKEN
    if broken:
        _report("cannot be planted, and counts as survived:")
    return status != 0 and not broken, [high << 8 | low for high, low in zip(noted[::2], noted[1::2], strict=True)]


def _report(line: str) -> None:
    print(line, file=sys.__stdout__, flush=True)  # pytest holds back what goes to sys.stdout


def _fails(item: pytest.Item) -> bool:
    return any(report.failed for report in runtestprotocol(item, log=False, nextitem=None))


def _silence() -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)


def _functions() -> Functions:
    """The package's functions by file; in tests they are made from the code of these."""
    functions: Functions = defaultdict(list)
    for thing in gc.get_objects():
        # `isinstance` would wake proxies, which import what they stand for.
        if type(thing) is FunctionType and thing.__code__.co_filename.startswith(str(PACKAGE)):
            functions[thing.__code__.co_filename].append(thing)
        elif type(thing) is functools._lru_cache_wrapper and thing.__module__.startswith(PACKAGE.name):  # noqa: SLF001
            thing.cache_clear()  # results of the code without a mutant
    return functions


def _plant(module: MutatedModule, mutation: Mutation, functions: Functions) -> None:
    """Give the functions that exist the code of the mutated module; whoever imported one has it too."""
    codes = {_place(code): code for code in _codes_in(module.compiled(mutation))}
    filename = next(iter(codes.values())).co_filename
    for function in functions[filename]:
        if changed := codes.get(_place(function.__code__)):
            function.__code__ = changed


def _codes_in(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes_in(constant)


def _place(code: CodeType) -> tuple[object, ...]:
    columns = [(start, end) for _, _, start, end in code.co_positions() if start is not None]
    return code.co_qualname, code.co_firstlineno, code.co_freevars, min(columns) if code.co_name == "<lambda>" else None


class MutatedImport(importlib.machinery.SourceFileLoader):
    """Loads one module with a mutant in it."""

    def __init__(self, name: str, mutant: Mutant, module: MutatedModule) -> None:
        super().__init__(name, str(mutant.path))
        self._code = module.compiled(mutant.mutation)

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the name is known
        """The mutated code, whatever is in the cache."""
        return self._code

    def find_spec(self, name: str, path: object = None, target: ModuleType | None = None) -> ModuleSpec | None:  # noqa: ARG002
        """As a finder: only the one module."""
        return importlib.util.spec_from_loader(name, self) if name == self.name else None


def is_noticed_at_import(mutant: Mutant, module: MutatedModule, tests: list[str]) -> bool:
    """Whether the tests fail where the mutated module is imported; this process must not have imported it."""
    name = ".".join(mutant.path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")

    def fails(_note: Callable[[int], object]) -> bool:
        sys.meta_path.insert(0, MutatedImport(name, mutant, module))
        return pytest.main([*OPTIONS, *tests], plugins=[Profile()]) != 0

    return _in_a_copy(fails, TIMEOUT)[0]


def mutants_of(packages: Iterable[str]) -> tuple[dict[str, MutatedModule], list[Mutant]]:
    """The modules under some paths of the package, and the mutants of each."""
    found = [PACKAGE / name for name in packages]
    paths = [path for one in found for path in (sorted(one.rglob("*.py")) if one.is_dir() else [one])]
    paths = [path for path in paths if not str(path.relative_to(PACKAGE)).startswith(LEFT_OUT)]
    modules = {str(path): MutatedModule(path.read_text("utf-8"), str(path)) for path in paths}
    mutants = [
        Mutant(Path(path), number, mutation)
        for path, module in modules.items()
        for number, mutation in enumerate(module.mutations)
    ]
    return modules, mutants


def run(package: str, given: argparse.Namespace) -> float:
    """Share of the package's mutants that its tests notice; the others are printed."""
    tests = next((tests for name, tests in TESTS.items() if package.startswith(name)), None)
    if tests is None:
        sys.exit(f"{package} is in none of {', '.join(TESTS)}")
    modules, mutants = mutants_of([package])
    mutants = [one for one in mutants if not (given.inside if not one.mutation.function else given.at_import)]
    if given.sample:
        # In the order drawn: of a run that is stopped, what was printed is a sample too.
        mutants = random.Random(given.seed).sample(mutants, min(given.sample, len(mutants)))
    for name in PRELOADED:
        importlib.import_module(name)
    session = Session(modules, mutants)
    for mutant in mutants:
        if not (mutant.mutation.function or is_noticed_at_import(mutant, modules[str(mutant.path)], tests)):
            _report(f"survived  {mutant}")
            session.survived.append(mutant)
    inside = any(mutant.mutation.function for mutant in mutants)
    if inside and (status := pytest.main([*OPTIONS, *tests], plugins=[session])):
        sys.exit(int(status))
    killed = len(mutants) - len(session.survived)
    print(f"{package}: {killed} of {len(mutants)} mutants killed, {killed / len(mutants):.1%}", end="")
    if given.sample:
        from pytest_finetune.verdicts.stats import rate_interval  # not before the mutants that take effect at import

        interval = rate_interval(killed, len(mutants))
        print(f" (a sample; exact 95 % interval {interval.low:.1%} to {interval.high:.1%})", end="")
    print(flush=True)
    return killed / len(mutants)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "packages", nargs="*", default=list(TESTS), help="packages, or modules in them, below the source"
    )
    place = parser.add_mutually_exclusive_group()
    place.add_argument("--inside", action="store_true", help="only faults inside functions")
    place.add_argument("--at-import", action="store_true", help="only faults that take effect at import")
    parser.add_argument("--sample", type=int, default=0, help="only so many faults of each package, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="random seed of --sample")
    given = parser.parse_args()
    os.chdir(ROOT)
    if len(given.packages) > 1:  # a process each, because pytest collects with what an earlier session imported
        options = [one for one in sys.argv[1:] if one not in given.packages]
        command = [sys.executable, __file__, *options]
        sys.exit(max(subprocess.run([*command, one], check=False).returncode for one in given.packages))
    sys.exit(run(given.packages[0].rstrip("/"), given) < ENOUGH)


if __name__ == "__main__":
    main()
