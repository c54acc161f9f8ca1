"""The folder of all runs: creates, resumes and finds them."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.files import write_file
from pytest_finetune.evaluation.runs.manifest import Manifest, current_versions, plan_sha256
from pytest_finetune.evaluation.runs.run import Run, unwritable
from pytest_finetune.evaluation.runs.samples import torn_tail

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pytest_finetune.evaluation.runs.manifest import EvalSetPlan, TargetInfo

# Records contain prompts and answers, which are private to the user.
_PRIVATE_FOLDER = 0o700


class RunStore:
    """The folder of all runs, `.finetune/runs`; names of runs sort by creation time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, target: TargetInfo, eval_sets: Sequence[EvalSetPlan], *, folder: Path, shard: str = "") -> Run:
        """
        Create an empty run for a plan, with the git commit of `folder`.

        Raises:
            RunError: The folder cannot be written.
        """
        now = datetime.now(UTC)
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", target.spec).strip("-.")[-40:].strip("-.")
        path = self.root / f"{now:%Y%m%dT%H%M%S.%f}-{slug}-{secrets.token_hex(2)}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            path.mkdir(mode=_PRIVATE_FOLDER)
            ignore = self.root.parent / ".gitignore"
            if not ignore.exists():
                # Runs contain prompts and answers, which must not be committed by accident.
                write_file(ignore, b"*\n")
        except OSError as error:
            raise unwritable(error, path) from error
        manifest = Manifest(
            id=path.name,
            target=target,
            eval_sets=tuple(eval_sets),
            plan_sha256=plan_sha256(target, eval_sets),
            created_at=now,
            versions=current_versions(folder),
            shard=shard,
        )
        run = Run(path, manifest)
        run.lock()
        run.update()
        return run

    def resume(
        self, target: TargetInfo, eval_sets: Sequence[EvalSetPlan], *, closed_too: bool = False, shard: str = ""
    ) -> Run | None:
        """
        The latest open run of this plan, with a torn last line cut off.

        Args:
            target: The target of the plan.
            eval_sets: The eval sets of the plan.
            closed_too: If there is no open run, return the latest closed one, or None: of several models, one may
                have finished while another has not.
            shard: The share of the cases that is requested; empty for all of them.

        Raises:
            RunError: There is none, or another session is writing it.
        """
        wanted = plan_sha256(target, eval_sets)
        found = [run for run in self.readable() if run.manifest.plan_sha256 == wanted]
        runs = [run for run in found if run.manifest.shard == shard]
        if run := next((run for run in runs if not run.manifest.closed), None):
            run.lock()
            _cut_torn_tail(run.path / "samples.jsonl")
            return run
        if closed_too:
            return runs[0] if runs else None
        raise RunError(
            f"no open run of {target.spec} over these eval sets, settings and repeats",
            str(self.root),
            "run without --resume to start one",
        )

    def find(self, name: str) -> Run:
        """
        The run with this name, this unique prefix of a name, or this path; `last` is the latest run.

        While they are open, a first look at a sample of the cases (`limited`) and a shard are not `last`.

        Raises:
            RunError: There is no such run, or the prefix is ambiguous.
        """
        if name == "last":
            for path in self.newest_first():
                run = Run.load(path)
                if run.manifest.closed or not (run.manifest.limited or run.manifest.shard):
                    return run
            raise RunError("no run yet", str(self.root), "evaluate a model first: pytest --model=…")
        for path in (self.root / name, self.root.parent.parent / name):
            if (path / "manifest.json").exists():
                return Run.load(path)
        names = [path.name for path in self.newest_first()]
        matching = [other for other in names if name and other.startswith(name)]
        if len(matching) == 1:
            return Run.load(self.root / matching[0])
        if matching:
            raise RunError(
                f"{name!r} is ambiguous: {len(matching)} runs match", str(self.root), f"such as {matching[0]}"
            )
        hint = _run_hint(name, names)
        raise RunError(f"no run {name!r}", str(self.root), hint)

    def readable(self) -> Iterator[Run]:
        """All runs whose manifest can be read, latest first."""
        # A damaged record of another evaluation must not stop this one.
        for path in self.newest_first():
            with suppress(RunError):
                yield Run.load(path)

    def newest_first(self) -> list[Path]:
        """The folders of all runs, latest first; no file is read."""
        if not self.root.is_dir():
            return []
        return sorted((path for path in self.root.iterdir() if (path / "manifest.json").exists()), reverse=True)


def _run_hint(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else "list them with pytest-finetune runs list"


def _cut_torn_tail(path: Path) -> None:
    if path.exists() and (torn := torn_tail(path)):
        try:
            os.truncate(path, path.stat().st_size - torn)
        except OSError as error:
            raise unwritable(error, path) from error
