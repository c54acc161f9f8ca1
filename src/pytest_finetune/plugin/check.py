"""`--finetune-check`: checks training data as tests, one per file and group of findings."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_finetune.base.errors import FinetuneError
from pytest_finetune.base.files import write_file
from pytest_finetune.lifecycle.data.check import check
from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.check_result import CheckResult
from pytest_finetune.lifecycle.data.codes import CODES, codes_wanted
from pytest_finetune.lifecycle.data.finding import Finding, Severity
from pytest_finetune.reports.findings import check_json, code_lines
from pytest_finetune.verdicts.evalset.discovery import eval_set_name, find_eval_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _pytest._code.code import TerminalRepr, TracebackStyle
    from xdist.workermanage import WorkerController

GROUPS = tuple(dict.fromkeys(code.group for code in CODES.values()))
"""Groups of findings; each is a test of every file, such as `data/train.jsonl::check[form]`."""

_CHECK = pytest.StashKey["DataCheck"]()


class DataFaultError(Exception):
    """Findings that fail a test; the text is the whole failure text."""


class DataCheck:
    """
    The files of one session and the findings in them.

    Args:
        config: Names training and validation files; the eval sets are those of the whole project.

    Raises:
        pytest.UsageError: No training file is named, or an option is wrong.
    """

    def __init__(self, config: pytest.Config) -> None:
        option = config.option
        self._root, self._redact = config.rootpath, option.pytest_finetune_redact
        self._label_by = str(config.getini("finetune_check_label_by"))
        self._shared_folder = str(getattr(config, "workerinput", {}).get("finetune_check", ""))
        self.training = _named(config, option.pytest_finetune_train, "finetune_train")
        self.validation = _named(config, option.pytest_finetune_validation, "finetune_validation")
        if not self.training:
            hint = "name a training file: --finetune-train=PATH, or ini finetune_train"
            raise pytest.UsageError(f"--finetune-check has nothing to check\n  hint: {hint}")
        patterns = config.getini("finetune_eval_sets")
        self.evals = find_eval_sets([self._root], root=self._root, patterns=patterns)
        self.fail_on = Severity[option.pytest_finetune_check_fail_on.upper()]
        try:
            self._codes = codes_wanted(ignore=config.getini("finetune_check_ignore"))
        except FinetuneError as error:
            raise pytest.UsageError(f"ini finetune_check_ignore: {error}") from error
        self._selected = set(self._files_named(config))

    @property
    def files(self) -> list[Path]:
        """All files, each once."""
        return list(dict.fromkeys([*self.training, *self.validation, *self.evals]))

    @cached_property
    def result(self) -> CheckResult:
        """The findings; the check runs once, in whichever process first needs them."""
        return check_once(self._shared_folder, self._check)

    def _check(self) -> CheckResult:
        options = CheckOptions(codes=self._codes, label_by=self._label_by)
        return check(self.training, validation=self.validation, evals=self.evals, options=options, root=self._root)

    def _files_named(self, config: pytest.Config) -> Iterator[Path]:
        """The files whose tests are selected by id, such as `data/train.jsonl::check[form]`."""
        for argument in config.args:
            name, _, test = argument.partition("::")
            path = Path(os.path.normpath(config.invocation_params.dir / name))
            if path in (*self.training, *self.validation) or (path in self.evals and test.startswith("check[")):
                yield path

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> CheckedFile | None:
        """Collect a file whose tests are selected by id; otherwise all files are added after collection."""
        return CheckedFile.from_parent(parent, path=file_path) if file_path in self._selected else None

    def findings_of(self, file: str, group: str) -> tuple[bool, str]:
        """Whether a file fails in a group, and its findings in that group as text."""
        counts = {code: count for (of, code), count in self.result.counts.items() if of == file}
        codes = [code for code in CODES if code in counts and CODES[code].group == group]
        kept = [finding for finding in self.result.findings if finding.file == file]
        lines = [
            text
            for code in sorted(codes, key=lambda code: -CODES[code].severity)
            for text, _ in code_lines(
                code, counts[code], [finding for finding in kept if finding.code == code], redact=self._redact
            )
        ]
        return any(CODES[code].severity >= self.fail_on for code in codes), "\n".join(lines)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add the tests of all files, unless some are selected by id; the files may be outside pytest's arguments."""
        for path in () if self._selected else self.files:
            items.extend(session.genitems(CheckedFile.from_parent(session, path=path)))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Pass an xdist worker the folder through which the processes share the result."""
        self._shared_folder = self._shared_folder or tempfile.mkdtemp(prefix="pytest-finetune-check-")
        node.workerinput["finetune_check"] = self._shared_folder

    def pytest_unconfigure(self, config: pytest.Config) -> None:
        """Remove that folder; only on the controller, which created it."""
        if self._shared_folder and not hasattr(config, "workerinput"):
            shutil.rmtree(self._shared_folder, ignore_errors=True)


class CheckedFile(pytest.File):
    """A training, validation or eval file."""

    def collect(self) -> Iterator[CheckItem]:
        """Create the tests; the file is not read yet."""
        for group in GROUPS:
            yield CheckItem.from_parent(self, name=f"check[{group}]", group=group)


class CheckItem(pytest.Item):
    """One file and one group of findings."""

    def __init__(self, *, name: str, parent: CheckedFile, group: str) -> None:
        super().__init__(name, parent)
        self.group = group

    def runtest(self) -> None:
        """Fail on findings that are severe enough; show others in a section of the report."""
        file = eval_set_name(self.path, self.config.rootpath)
        failed, text = self.config.stash[_CHECK].findings_of(file, self.group)
        if failed:
            raise DataFaultError(text)
        if text:
            self.add_report_section("call", "data check", text)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: TracebackStyle | None = None
    ) -> str | TerminalRepr:
        """The findings, without a traceback through this plugin."""
        if isinstance(excinfo.value, DataFaultError | FinetuneError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str], int | None, str]:
        """The file, and a heading that includes its name."""
        return self.path, None, f"{self.path.name} {self.name}"


def begin(config: pytest.Config) -> None:
    """
    Register the check of a session.

    Raises:
        pytest.UsageError: See `DataCheck`.
    """
    config.stash[_CHECK] = DataCheck(config)
    config.pluginmanager.register(config.stash[_CHECK], "finetune-check")


def _named(config: pytest.Config, option: list[str], ini: str) -> list[Path]:
    """The files of an option, relative to where pytest was called, or else those of the ini file."""
    if option:
        return [Path(os.path.normpath(config.invocation_params.dir / path)) for path in option]
    return [Path(os.path.normpath(path)) for path in config.getini(ini)]


def check_once(folder: str, check: Callable[[], CheckResult]) -> CheckResult:
    """
    The result of a check, which another process may have run already.

    Args:
        folder: Shared by the processes of one session; empty, or missing on this machine, if there is no other process
            to share with.
        check: Runs the check.
    """
    if not folder or not Path(folder).is_dir():
        return check()
    from filelock import FileLock

    kept = Path(folder, "findings.json")
    # Later processes wait. The lock of a process that dies is released, and the next one runs the check.
    with FileLock(Path(folder, "lock")):
        if kept.exists():
            return _result_of(json.loads(kept.read_bytes()))
        result = check()
        write_file(kept, json.dumps(check_json(result)).encode())
        return result


def _result_of(kept: dict[str, Any]) -> CheckResult:
    return CheckResult(
        tuple(Finding(**each | {"severity": Severity[each["severity"].upper()]}) for each in kept["findings"]),
        {(each["file"], each["code"]): each["count"] for each in kept["counts"]},
        kept["rows"],
    )
