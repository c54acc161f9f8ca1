"""What the controller of xdist passes to each worker: the models, their records, the baseline and a shared folder."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytest_finetune.base.errors import FinetuneError

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

    from pytest_finetune.plugin.session import FinetuneSession


class WorkerInputs:
    """The hooks of a controller that distributes a session with a model."""

    def __init__(self, config: pytest.Config, session: FinetuneSession) -> None:
        self._config, self._inputs, self._models = config, session.inputs, session.models
        self._shared_folder = Path()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: WorkerController) -> None:
        """Pass an xdist worker the records, the baseline, the shared folder, and how items are distributed."""
        try:
            limited = self._inputs.limit is not None
            self._models.open_runs(self._inputs.store, self._inputs.root, limited=limited)
        except FinetuneError as error:
            raise pytest.UsageError(str(error)) from error
        node.workerinput["finetune_runs"] = self._models.run_paths
        run = self._models.baseline_run
        node.workerinput["finetune_models"] = list(self._config.option.pytest_finetune_model)
        node.workerinput["finetune_baseline"] = str(run.path) if run else ""
        if not self._models.is_shared:
            self._shared_folder = Path(tempfile.mkdtemp(prefix="pytest-finetune-"))
            self._models.share(self._shared_folder, create=True)
        node.workerinput["finetune_shared"] = str(self._shared_folder)
        node.workerinput["finetune_dist"] = self._config.getoption("dist", "no")

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Remove the shared folder once no request is sent any more."""
        if self._models.is_shared:
            shutil.rmtree(self._shared_folder, ignore_errors=True)
