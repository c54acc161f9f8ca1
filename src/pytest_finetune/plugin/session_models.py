"""From the command line to the models of a session, each with its target and limits; no request is sent yet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.secret_masking import without_keys
from pytest_finetune.base.text import described
from pytest_finetune.evaluation.engine import Limits
from pytest_finetune.evaluation.evaluation import Evaluation
from pytest_finetune.evaluation.models_under_test import ModelsUnderTest, ModelUnderTest
from pytest_finetune.evaluation.tally import Tally
from pytest_finetune.lifecycle.registry.production import (
    PRODUCTION_SPEC,
    registry_of,
    stored_baselines,
    wants_production,
)
from pytest_finetune.lifecycle.target_specs import make_asked_target, make_target
from pytest_finetune.plugin.batches import batched_if_asked

if TYPE_CHECKING:
    import pytest

    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.plugin.session_inputs import SessionInputs


def make_models(config: pytest.Config, inputs: SessionInputs) -> ModelsUnderTest:
    """
    The models of `--model` and `--baseline`, each with its target.

    Without `--baseline`, gates that compare with production use the registry: the stored evidence of its production
    version, or else that model, which is then evaluated too.

    Raises:
        FinetuneError: A spec, a recorded run or the registry cannot be used.
    """
    option, eval_sets = config.option, list(inputs.eval_sets.values())
    if inputs.is_worker:
        option.pytest_finetune_model = config.workerinput["finetune_models"]  # type: ignore[attr-defined]
    elif inputs.is_distributed:
        # To the workers, the run of this session would be the last one.
        option.pytest_finetune_model = [_replay_by_id(spec, inputs.store) for spec in option.pytest_finetune_model]
    baseline, recorded = option.pytest_finetune_baseline or "", {}
    if not baseline and wants_production(eval_sets, inputs.registry, inputs.root):
        recorded = stored_baselines(eval_sets, registry_of(inputs.registry, inputs.root))
        baseline = "" if recorded else PRODUCTION_SPEC
    run_name = baseline.removeprefix("replay:") if baseline.startswith("replay:") else ""
    evaluated = [baseline] if baseline and not run_name else []
    specs = list(dict.fromkeys([*evaluated, *option.pytest_finetune_model]))
    limits = _limits(config, len(specs))
    each = [_model(config, inputs, spec, limits) for spec in specs]
    models = ModelsUnderTest(
        each,
        eval_sets=eval_sets,
        tally=Tally([model.spec for model in each if model.judged], sends_requests=not inputs.is_distributed),
        resume=option.pytest_finetune_resume,
        baseline=baseline,
        recorded=recorded,
    )
    if run_name and not inputs.is_worker:
        models.compare_with_run(inputs.store.find(run_name))
    return models


def _replay_by_id(spec: str, store: RunStore) -> str:
    return f"replay:{store.find('last').id}" if spec == "replay:last" else spec


def _limits(config: pytest.Config, models: int) -> Limits:
    """The limits of one model: its share of the session's; concurrency is also divided by the processes."""
    option = config.option
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    return Limits(
        concurrency=-(-option.pytest_finetune_concurrency // (models * workers)),
        deadline=option.pytest_finetune_deadline,
        max_cost=option.pytest_finetune_max_cost and option.pytest_finetune_max_cost / models,
    )


def _model(config: pytest.Config, inputs: SessionInputs, spec: str, limits: Limits) -> ModelUnderTest:
    judged = spec in config.option.pytest_finetune_model
    target = _target(config, inputs, spec, limits, config.option.pytest_finetune_model_base_url)
    evaluation = Evaluation(
        batched_if_asked(target, config),
        inputs.eval_sets.values(),
        limits,
        stop_when_decided=judged and config.option.pytest_finetune_stop_when_decided,
        to_the_end=not judged,
        prices=inputs.prices,
        make_asked=lambda asked, source: make_asked_target(
            asked,
            source,
            base_url=config.option.pytest_finetune_model_base_url,
            make=lambda named, base_url: _target(config, inputs, named, limits, base_url),
        ),
    )
    return ModelUnderTest(spec, evaluation, judged=judged)


def _target(config: pytest.Config, inputs: SessionInputs, spec: str, limits: Limits, base_url: str | None) -> Target:
    return make_target(
        spec,
        custom=_custom_target(config, spec),
        base_url=base_url,
        registry=registry_of(inputs.registry, inputs.root),
        concurrency=limits.concurrency,
        store=inputs.store,
        models=inputs.store.root.parent / "models",
        cache=_cache_folder(config),
    )


def _cache_folder(config: pytest.Config) -> Path | None:
    """The folder of the response cache; None if it is not used."""
    cache = getattr(config, "cache", None)
    # A promotion needs fresh answers: an id is no proof that a server still has the weights that answered before.
    option = config.option
    if option.pytest_finetune_no_cache or option.pytest_finetune_promote or option.pytest_finetune_batch or not cache:
        return None
    try:
        return Path(cache.mkdir("finetune"))
    except OSError:
        # pytest works without its own cache, too, on a read-only disk.
        return None


def _custom_target(config: pytest.Config, spec: str) -> object:
    try:
        return config.hook.pytest_finetune_target(spec=spec, config=config)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        # The hook is the user's, and may raise anything.
        text = without_keys(described(error), os.environ.get("OPENAI_API_KEY", "").strip())
        problem = f"the hook failed for {spec!r}: {text}"
        raise TargetError(problem, "pytest_finetune_target", "fix the hook in conftest.py") from error
