"""One session over eval sets: what was loaded, who is asked, what came back. Made only where a model is named."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.errors import RunError
from pytest_finetune.evaluation.background import BackgroundEvaluation, LoopThread
from pytest_finetune.evaluation.baseline import Baselines, asked_baselines, recorded_baselines
from pytest_finetune.evaluation.evaluation import UNRECORDED, Evaluation
from pytest_finetune.evaluation.plan import Planned, target_info
from pytest_finetune.evaluation.runs import RunStore, TargetInfo
from pytest_finetune.evaluation.tally import Tally
from pytest_finetune.lifecycle.registry.production import PRODUCTION, registry_of, stored_baselines, wants_production
from pytest_finetune.plugin.session_inputs import limits_of, load, target_of
from pytest_finetune.verdicts.loading import load_eval_sets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_finetune.base.records import Case, Failure, Sample
    from pytest_finetune.evaluation.engine import Limits
    from pytest_finetune.evaluation.plan import Key
    from pytest_finetune.evaluation.results import SetResult
    from pytest_finetune.plugin.live_line import LiveLine
    from pytest_finetune.plugin.report_data import CarriedSamples
    from pytest_finetune.verdicts.evalset import EvalSet

SESSION = pytest.StashKey["FinetuneSession"]()


@dataclass
class ModelUnderTest:
    """
    One `--model`: its evaluation, and the same in the background, once started.

    A baseline that is evaluated in the same session is not judged: its misses fail nothing.
    """

    spec: str
    evaluation: Evaluation
    asking: BackgroundEvaluation | None = None
    judged: bool = True

    @property
    def samples(self) -> dict[Key, Sample]:
        """The model's samples so far."""
        return self.evaluation.samples

    @property
    def stopped(self) -> Failure | None:
        """Why the model's evaluation stopped early in this process; None if it did not."""
        return self.asking.stopped if self.asking else None


class FinetuneSession:
    """Eval sets and models of a session; the hooks' one door to the core."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.option
        self.config = config
        self.root: Path = config.rootpath
        self.eval_sets = {eval_set.path: eval_set for eval_set in load(config)}
        self.store = RunStore(self.root / ".finetune" / "runs")
        self.resumes: bool = option.finetune_resume
        self.results: list[SetResult] = []
        self.misses: list[tuple[str, str]] = []
        self.listed: list[tuple[str, str, str]] = []
        self.written: list[str] = []
        self.asked_items: set[pytest.Item] = set()
        self.marked_names: set[str] = set()
        self.mark_faults: list[str] = []
        self.registry: str = option.finetune_registry
        self.baseline: str = option.finetune_baseline or ""
        self._recorded: Baselines = {}
        if not self.baseline:
            self._compare_with_production()
        specs: list[str] = list(dict.fromkeys([*self._asked_baseline(), *option.finetune_model]))
        limits = limits_of(config, len(specs))
        self.models = [self._model(spec, limits) for spec in specs]
        asks = config.getoption("dist", "no") == "no"
        self.tally = Tally([model.spec for model in self.models if model.judged], asks=asks)
        self.live: LiveLine | None = None
        self._recorded = self._read_baseline() or self._recorded
        self._marked_sets: dict[Path, EvalSet] = {}

    @property
    def is_worker(self) -> bool:
        """This process is one of xdist's workers: it asks, but judges nothing."""
        return hasattr(self.config, "workerinput")

    @property
    def columns(self) -> bool:
        """Several models stand side by side, so names carry the model."""
        return len(self.models) > 1

    @cached_property
    def loop(self) -> LoopThread:
        """The one event loop of this process, begun when something is asked."""
        return LoopThread()

    @property
    def evaluations(self) -> list[Evaluation]:
        """The evaluation of each model."""
        return [model.evaluation for model in self.models]

    @property
    def compared(self) -> set[str]:
        """Names of the eval sets that there will be a baseline for."""
        if any(model.spec == self.baseline for model in self.models):
            return {eval_set.name for eval_set in self.eval_sets.values()}
        return set(self._recorded)

    @property
    def late_tests(self) -> int:
        """How many tests follow the items: the gates, and the promotion."""
        gates = sum(len(eval_set.settings.gates) for eval_set in self.eval_sets.values())
        return gates * sum(model.judged for model in self.models) + int(self.config.option.finetune_promote)

    def covers(self, path: Path) -> bool:
        """The file is an eval set of this session."""
        return path in self.eval_sets

    def marked_set(self, path: Path) -> EvalSet:
        """
        The eval set that a mark names, loaded once.

        Raises:
            EvalSetErrors: It cannot be used as written.
        """
        known = self.eval_sets.get(path) or self._marked_sets.get(path)
        if known is None:
            known = self._marked_sets[path] = load_eval_sets([path], root=self.root)[0]
        self.marked_names.add(known.name)
        return known

    def open_runs(self) -> None:
        """Make or resume the record of every model; a worker appends to the record that the controller made."""
        if not self.eval_sets:
            return
        for model in self.models:
            if model.evaluation.run is not None:
                continue
            if self.is_worker:
                model.evaluation.join_record(Path(self.config.workerinput["finetune_runs"][model.spec]))  # type: ignore[attr-defined]
            else:
                model.evaluation.open_record(
                    self.store, root=self.root, resume=self.resumes, closed_too=len(self.models) > 1
                )
        if self.resumes and not self.is_worker:
            self._refuse_nothing_to_resume()

    def refuse_unknown_prices(self) -> None:
        """
        A budget needs a price.

        Raises:
            PriceError: A model's price is unknown while --max-cost is set.
        """
        for evaluation in self.evaluations:
            evaluation.refuse_unknown_price()

    def _refuse_nothing_to_resume(self) -> None:
        if all(evaluation.run is None or evaluation.run.manifest.closed for evaluation in self.evaluations):
            raise RunError(
                f"every run of {', '.join(model.spec for model in self.models)} over these eval sets is closed",
                str(self.store.root),
                "run without --resume to start one",
            )

    def run_paths(self) -> dict[str, str]:
        """Where each model's record lies, for workers."""
        self.open_runs()
        return {model.spec: str(model.evaluation.run.path) for model in self.models if model.evaluation.run}

    def ask_ahead(self, planned: Iterable[tuple[ModelUnderTest, EvalSet, Case]]) -> None:
        """Put questions in flight in the order they will be read."""
        wanted: dict[str, list[Planned]] = {model.spec: [] for model in self.models}
        for model, eval_set, case in planned:
            wanted[model.spec].extend(Planned(eval_set, case, attempt) for attempt in range(eval_set.repeats))
        for model in self.models:
            if wanted[model.spec]:
                self._asking(model).ask(wanted[model.spec])

    def answers(self, model: ModelUnderTest, eval_set: EvalSet, case: Case) -> list[Sample]:
        """All samples of one case, waited for."""
        asking = self._asking(model)
        planned = [Planned(eval_set, case, attempt) for attempt in range(eval_set.repeats)]
        # A fixture asked for by name in the middle of a test was not foreseen.
        asking.ask(planned)
        with self.live.waiting() if self.live else nullcontext() as waiting:
            return [asking.take(sample.key, waiting) for sample in planned]

    def collect(self, carried: CarriedSamples) -> None:
        """Take the samples that a report carries; the first report of a sample counts, so a rerun changes nothing."""
        model = next(model for model in self.models if model.spec == carried.model)
        if model.asking is not None:
            # This process has requested them, so the evaluation has them already.
            return
        if carried.stopped:
            model.evaluation.collect_stop(carried.stopped)
        for sample in carried.samples:
            if model.evaluation.collect(sample):
                self.tally.come(model.spec, sample)

    @property
    def stopped(self) -> Failure | None:
        """Why no model can be evaluated any more, or recorded; None while one can."""
        ended = [model.evaluation.stopped for model in self.models]
        unrecorded = next((failure for failure in ended if failure and failure.kind == UNRECORDED), None)
        reasons = [model.stopped for model in self.models]
        return unrecorded or (reasons[0] if all(reasons) else None)

    def stop_asking(self) -> None:
        """Ask nothing more, and end the loop's thread."""
        for model in self.models:
            if model.asking is not None:
                model.asking.stop()
        if "loop" in self.__dict__:
            self.loop.stop()
            del self.loop

    def judge(self) -> list[SetResult]:
        """The verdicts of all models over all sets, made once; the records get them too."""
        baselines = self._baselines()
        for model in self.models:
            self.results.extend(model.evaluation.conclude(baselines if model.judged else None))
        return self.results

    def _asking(self, model: ModelUnderTest) -> BackgroundEvaluation:
        if model.asking is None:
            if self.resumes:
                model.evaluation.take_recorded()
            model.asking = BackgroundEvaluation(model.evaluation, self.loop, tally=self.tally)
        return model.asking

    def _model(self, spec: str, limits: Limits) -> ModelUnderTest:
        option = self.config.option
        judged = spec in option.finetune_model
        evaluation = Evaluation(
            target_of(self.config, spec, limits),
            self.eval_sets.values(),
            limits,
            stop_when_decided=judged and option.finetune_stop_when_decided,
        )
        return ModelUnderTest(spec, evaluation, judged=judged)

    def _compare_with_production(self) -> None:
        """Gates against production mean the registry's: its stored evidence, or else the model, asked beside ours."""
        eval_sets = list(self.eval_sets.values())
        if wants_production(eval_sets, self.registry, self.root):
            self._recorded = stored_baselines(eval_sets, registry_of(self.registry, self.root))
            self.baseline = "" if self._recorded else PRODUCTION

    def _asked_baseline(self) -> list[str]:
        return [self.baseline] if self.baseline and not self.baseline.startswith("replay:") else []

    def _read_baseline(self) -> Baselines:
        if not self.baseline.startswith("replay:") or self.is_worker:
            return {}
        run = self.store.find(self.baseline.removeprefix("replay:"))
        same = self._judges(run.manifest.target)
        return recorded_baselines(self.baseline, run, list(self.eval_sets.values()), stands_for_all=not same)

    def _judges(self, target: TargetInfo) -> bool:
        """A model compared with itself is no evidence that nothing was lost."""
        judged = [target_info(model.evaluation.target) for model in self.models if model.judged]
        return any(
            (one.model, one.base_url, one.identity) == (target.model, target.base_url, target.identity)
            for one in judged
        )

    def _baselines(self) -> Baselines:
        for model in self.models:
            if model.spec == self.baseline:
                sets, target = list(self.eval_sets.values()), target_info(model.evaluation.target)
                same, run = self._judges(target), model.evaluation.run.id if model.evaluation.run else ""
                return asked_baselines(self.baseline, target, model.samples, sets, stands_for_all=not same, run=run)
        if self.baseline:
            return self._recorded
        ours = {model.evaluation.target.model for model in self.models if model.judged}
        return {name: baseline for name, baseline in self._recorded.items() if baseline.model not in ours}
