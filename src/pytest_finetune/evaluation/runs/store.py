"""Runs on disk: created complete, appended line by line, closed by one atomic replacement."""

from __future__ import annotations

import os
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pytest_finetune.base.errors import RunError
from pytest_finetune.base.files import write_file
from pytest_finetune.base.records import State
from pytest_finetune.evaluation.runs.manifest import Manifest, TargetInfo, current_versions, plan_sha256
from pytest_finetune.evaluation.runs.samples import read_samples, sample_to_dict, sealed_line, torn_tail
from pytest_finetune.evaluation.runs.seal import seal_fault, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from filelock import FileLock

    from pytest_finetune.base.records import Sample
    from pytest_finetune.evaluation.runs.manifest import EvalSetPlan

_ENDED = (State.PASSED, State.MISSED)

# Records contain prompts and answers, which are private to the user.
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700


class Run:
    """
    One run's directory: `manifest.json` and `samples.jsonl`.

    One session writes a run at a time. Its processes may append at once: each record is one write to a file opened for
    appending.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest
        self._file: int | None = None
        self._lock: FileLock | None = None

    @property
    def id(self) -> str:
        """The name of the directory."""
        return self.path.name

    @property
    def _samples(self) -> Path:
        return self.path / "samples.jsonl"

    @classmethod
    def load(cls, path: Path) -> Run:
        """
        Open an existing run.

        Raises:
            RunError: It does not exist, or its manifest cannot be read.
        """
        where = path / "manifest.json"
        try:
            return cls(path, Manifest.model_validate_json(where.read_bytes()))
        except OSError as error:
            raise RunError(f"cannot be read: {error.strerror}", str(where), "name a run's folder") from error
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise RunError(
                f"{place}: {first['msg']}", str(where), "a newer version may have written it: upgrade pytest-finetune"
            ) from error

    def samples(self) -> dict[tuple[str, str, int], Sample]:
        """
        Every recorded sample by its key; for one that was requested again, the last result.

        For a closed run, only those recorded when it closed: a process that was still running may have added more.

        Raises:
            RunError: A line is damaged.
        """
        return {sample.key: sample for sample in self.every_sample()}

    def every_sample(self) -> Iterator[Sample]:
        """
        Every record in the order of writing: a sample that was requested again has several.

        Raises:
            RunError: A line is damaged.
        """
        path, length = self._samples, self.manifest.samples_bytes
        return read_samples(path, length=length) if path.exists() else iter(())

    @property
    def is_empty(self) -> bool:
        """Whether no sample was recorded."""
        return not self._samples.exists() or self._samples.stat().st_size == 0

    @property
    def seal_fault(self) -> str:
        """What is wrong with the seal of a closed run, in one clause; empty if it is intact."""
        return seal_fault(self.manifest, self._samples)

    def answered(self) -> dict[tuple[str, str, int], Sample]:
        """The samples that are not requested again on resume; errors are."""
        return {key: sample for key, sample in self.samples().items() if sample.state in _ENDED}

    def append(self, sample: dict[str, Any]) -> None:
        """
        Append one sample, as returned by `sample_to_dict`; from here on it survives the process.

        Raises:
            RunError: It cannot be written, for example because the disk is full.
        """
        try:
            if self._file is None:
                self._file = os.open(self._samples, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _PRIVATE)
            _append(self._file, sealed_line(sample))
        except OSError as error:
            raise unwritable(error, self._samples) from error

    def settle(self, judged: Mapping[tuple[str, str, int], Sample]) -> None:
        """
        Make the last record of every sample the one that was judged.

        If two processes requested the same sample, the answer written last may not be the one that was judged.

        Raises:
            RunError: A line is damaged.
        """
        ended = {key: sample for key, sample in judged.items() if sample.state in (*_ENDED, State.ERROR)}
        if not self._samples.exists() or _lines(self._samples) == len(ended):
            return
        recorded = self.samples()
        for key, sample in ended.items():
            line = sample_to_dict(sample)
            if key in recorded and sample_to_dict(recorded[key]) != line:
                self.append(line)

    def update(self, **changes: object) -> None:
        """
        Replace the manifest, atomically; a manifest that closes the run is sealed.

        Raises:
            RunError: The run is closed, or the manifest cannot be written; the old one is left then.
        """
        if self.manifest.closed:
            raise RunError("a closed run never changes", str(self.path), "start a new run")
        manifest, path = self.manifest.model_copy(update=changes), self.path / "manifest.json"
        manifest = sealed(manifest, self._samples) if manifest.closed else manifest
        try:
            write_file(path, manifest.model_dump_json(indent=1).encode() + b"\n")
        except OSError as error:
            raise unwritable(error, path) from error
        self.manifest = manifest

    def lock(self) -> None:
        """
        Become the one session that writes this run, until `release` or the end of the process.

        Raises:
            RunError: Another session is writing it.
        """
        from filelock import FileLock, Timeout

        path = self.path / "writer.lock"
        lock = FileLock(path, timeout=0, mode=_PRIVATE)
        try:
            lock.acquire()
        except Timeout as error:
            raise RunError(
                "another session is writing this run",
                str(self.path),
                "wait until it ends, or start a new run without --resume",
            ) from error
        except OSError as error:
            raise unwritable(error, path) from error
        self._lock = lock

    def release(self) -> None:
        """Close the file that `append` opened, and let another session write."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


class RunStore:
    """The folder of all runs, `.finetune/runs`; names of runs sort by creation time."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, target: TargetInfo, eval_sets: Sequence[EvalSetPlan], *, folder: Path) -> Run:
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
        )
        run = Run(path, manifest)
        run.lock()
        run.update()
        return run

    def resume(self, target: TargetInfo, eval_sets: Sequence[EvalSetPlan], *, closed_too: bool = False) -> Run | None:
        """
        The latest open run of this plan, with a torn last line cut off.

        Args:
            target: The target of the plan.
            eval_sets: The eval sets of the plan.
            closed_too: If there is no open run, return the latest closed one, or None: of several models, one may
                have finished while another has not.

        Raises:
            RunError: There is none, or another session is writing it.
        """
        wanted = plan_sha256(target, eval_sets)
        runs = [run for run in self.readable() if run.manifest.plan_sha256 == wanted]
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

        A first look at a sample of the cases (`limited`) is not `last` while it is open.

        Raises:
            RunError: There is no such run, or the prefix is ambiguous.
        """
        if name == "last":
            for path in self.newest_first():
                run = Run.load(path)
                if run.manifest.closed or not run.manifest.limited:
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


def unwritable(error: OSError, path: Path) -> RunError:
    """The error of a record that cannot be written: a full disk, a read-only folder."""
    hint = "free some space or make the folder writable, then continue with --resume"
    return RunError(f"the record cannot be written: {error.strerror or error}", str(path), hint)


def _append(file: int, line: bytes) -> None:
    """
    Append a whole line or nothing.

    Raises:
        OSError: It could not be written.
    """
    written = 0
    try:
        while written < len(line):
            written += os.write(file, line[written:])
    except OSError:
        # A torn line in the middle would make the record unreadable; another process may have appended after it.
        if written and os.lseek(file, 0, os.SEEK_CUR) == (size := os.fstat(file).st_size):
            os.ftruncate(file, size - written)
        raise


def _run_hint(name: str, names: list[str]) -> str:
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else "list them with pytest-finetune runs list"


def _lines(path: Path) -> int:
    with path.open("rb") as file:
        return sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 18), b""))


def _cut_torn_tail(path: Path) -> None:
    if path.exists() and (torn := torn_tail(path)):
        try:
            os.truncate(path, path.stat().st_size - torn)
        except OSError as error:
            raise unwritable(error, path) from error
