"""From `--model=SPEC` to a target: by its prefix, else a model id on an OpenAI-compatible server."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

from pytest_finetune.base.errors import TargetError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from openai import AsyncOpenAI, OpenAI

    from pytest_finetune.evaluation.runs import RunStore
    from pytest_finetune.evaluation.targets import Target
    from pytest_finetune.evaluation.targets.local import LocalTarget
    from pytest_finetune.evaluation.targets.openai import OpenAITarget
    from pytest_finetune.lifecycle.registry import Backend
    from pytest_finetune.verdicts.evalset.asking_scorer import AskedModel


_TARGET = ("spec", "model", "base_url", "immutable", "free", "identity", "open", "close")


def make_target(
    spec: str,
    *,
    custom: object = None,
    base_url: str | None = None,
    concurrency: int = 32,
    registry: Backend,
    store: RunStore,
    models: Path,
    cache: Path | None = None,
) -> Target:
    """
    Make the target that a spec names; nothing is opened or asked yet.

    Args:
        spec: `ft:…` or any model id, `registry:VERSION`, `local:NAME`, `local:PATH.gguf`, `replay:RUN`.
        custom: What the user's hook returned for this spec: a target, an `openai` client, or None.
        base_url: Server address; None takes `OPENAI_BASE_URL` from the environment.
        concurrency: Requests in flight that the target should be ready for.
        registry: Where `registry:` finds versions.
        store: Where `replay:` finds runs.
        models: Where `local:NAME` finds adapters.
        cache: Folder of the response cache; None caches nothing.

    Raises:
        TargetError: The spec names nothing usable.
    """
    if custom is not None:
        target = _from_user(spec, custom)
    else:
        target = _by_prefix(
            spec, base_url=base_url, concurrency=concurrency, registry=registry, store=store, models=models
        )
    if cache is None or not target.immutable:
        return target
    from pytest_finetune.evaluation.targets.cache import CachedTarget

    return CachedTarget(target, cache)


def _by_prefix(
    spec: str, *, base_url: str | None, concurrency: int, registry: Backend, store: RunStore, models: Path
) -> Target:
    kind, _, name = spec.partition(":")
    if kind == "local":
        from pytest_finetune.evaluation.targets.local import LocalTarget

        return LocalTarget(spec, models=models, concurrency=concurrency)
    if kind == "replay":
        from pytest_finetune.evaluation.targets.replay import ReplayTarget

        return ReplayTarget(spec, store.find(name))
    if kind == "model2vec":
        from pytest_finetune.evaluation.targets.static_embeddings import StaticEmbeddings

        return StaticEmbeddings(spec)
    if kind == "registry":
        return _from_registry(spec, registry, base_url, concurrency, models)
    if not spec.strip() or spec != spec.strip():
        raise TargetError(f"{spec!r} names no model", "--model", "name a model id (ft:…), local:NAME or replay:RUN")
    from pytest_finetune.evaluation.targets.openai import OpenAITarget

    return OpenAITarget(spec, base_url=base_url, concurrency=concurrency)


def make_asked_target(asked: AskedModel, source: str, *, base_url: str | None, make: Callable[..., Target]) -> Target:
    """
    Make the target that a scorer asks, such as a judge.

    Args:
        asked: The model, as the settings name it.
        source: The eval set that names it.
        base_url: Server of the models that name none.
        make: `make_target` with all its arguments but `base_url`, called with the spec.

    Raises:
        TargetError: The spec names nothing usable, or the API key must not go to the server that the settings name.
    """
    if asked.base_url and os.environ.get("OPENAI_API_KEY", "").strip():
        from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key

        refuse_to_send_key(asked.base_url, named=[base_url] if base_url else (), source=source)
    return make(asked.spec, base_url=asked.base_url or base_url)


def _from_registry(
    spec: str, registry: Backend, base_url: str | None, concurrency: int, models: Path
) -> LocalTarget | OpenAITarget:
    from pytest_finetune.lifecycle.registry import read_checked, version_for

    version, entry = version_for(read_checked(registry), spec.removeprefix("registry:"))
    if entry.model_id.startswith("local:"):
        from pytest_finetune.evaluation.targets.local import LocalTarget

        local = LocalTarget(entry.model_id, models=models, concurrency=concurrency)
        local.spec, local.version = spec, version
        return local
    from pytest_finetune.evaluation.targets.key_policy import refuse_to_send_key
    from pytest_finetune.evaluation.targets.openai import OpenAITarget

    if entry.base_url and os.environ.get("OPENAI_API_KEY", "").strip():
        refuse_to_send_key(entry.base_url, named=[base_url] if base_url else (), source=spec)
    target = OpenAITarget(spec, model=entry.model_id, base_url=entry.base_url or base_url, concurrency=concurrency)
    target.version = version
    return target


def _from_user(spec: str, custom: object) -> Target:
    if hasattr(custom, "ask"):
        if missing := [name for name in _TARGET if not hasattr(custom, name)]:
            raise TargetError(
                f"the target of type {type(custom).__name__} has no {', '.join(missing)}",
                "pytest_finetune_target",
                "see pytest_finetune.Target for what a target needs",
            )
        from pytest_finetune.evaluation.targets.user_target import GuardedTarget

        return GuardedTarget(cast("Target", custom))
    if hasattr(custom, "chat"):
        from pytest_finetune.evaluation.targets.client import ClientTarget

        return ClientTarget(spec, cast("OpenAI | AsyncOpenAI", custom))
    raise TargetError(
        f"the hook returned a {type(custom).__name__} for {spec!r}",
        "pytest_finetune_target",
        "return a Target, an openai client, or None",
    )
