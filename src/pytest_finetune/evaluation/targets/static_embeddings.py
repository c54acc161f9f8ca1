"""`model2vec:PATH`: embeddings of texts by a static model on this machine, without a server."""

from __future__ import annotations

import asyncio
from functools import cached_property
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import TargetError
from pytest_finetune.base.records import Completion, Failure
from pytest_finetune.base.secret_masking import error_line
from pytest_finetune.evaluation.targets.answer_parts import Malformed
from pytest_finetune.evaluation.targets.embeddings import similarities_of, texts_of

if TYPE_CHECKING:
    from pytest_finetune.base.records import Request

_FILES = ("config.json", "model.safetensors", "modules.json", "tokenizer.json")


class StaticEmbeddings:
    """
    A model2vec model, which answers nothing but requests for embeddings.

    Args:
        spec: `model2vec:PATH` of a folder, or `model2vec:NAME` of a model on the Hugging Face hub, which the package
            downloads once.

    Raises:
        TargetError: model2vec is not installed, or the folder does not exist.
    """

    base_url = ""
    immutable = False
    free = True

    def __init__(self, spec: str) -> None:
        self.spec = self.model = spec
        self._name = spec.partition(":")[2]
        if find_spec("model2vec") is None:
            raise TargetError("model2vec is not installed", spec, "pip install 'pytest-finetune[model2vec]'")
        if not self._name or (self._name.startswith((".", "/", "~")) and not self._folder.is_dir()):
            raise TargetError(
                "there is no such folder", spec, "name the folder of a model2vec model, or a model of the hub"
            )
        self._model: Any = None

    @cached_property
    def identity(self) -> str:
        """A hash of the files of the model; its name if it is on the hub."""
        if not self._folder.is_dir():
            return self.spec
        files = [self._folder / name for name in _FILES]
        return sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()

    async def open(self) -> None:
        """
        Load the model.

        Raises:
            TargetError: It cannot be loaded.
        """
        if self._model is None:
            self._model = await asyncio.to_thread(self._load)

    async def close(self) -> None:
        """Free the memory."""
        self._model = None

    async def ask(self, request: Request, deadline: float) -> Completion | Failure:  # noqa: ARG002 - it takes microseconds
        """The similarities of the texts; a failure for any other request."""
        if request.api != "embeddings":
            return Failure("target", f"{self.spec} gives embeddings, and no answers", fatal=True)
        try:
            vectors = self._model.encode(texts_of(request))
            return similarities_of([[float(each) for each in vector] for vector in vectors], model=self.model)
        except Malformed:
            return Failure("target", f"{self.spec} knows no word of one of the texts")
        except Exception as error:  # noqa: BLE001 - whatever the package raises is one errored sample
            return Failure("target", error_line(f"{self.spec}: {type(error).__name__}: {error}"))

    @property
    def _folder(self) -> Path:
        return Path(self._name).expanduser()

    def _load(self) -> Any:
        # numpy and the tokenizer's library take 0.3 s to import.
        from model2vec import StaticModel

        try:
            return StaticModel.from_pretrained(str(self._folder) if self._folder.is_dir() else self._name)
        except Exception as error:
            raise TargetError(
                error_line(f"model2vec cannot load it: {error}"), self.spec, "check the path or the name"
            ) from error
