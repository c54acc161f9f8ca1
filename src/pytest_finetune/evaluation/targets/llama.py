"""
One llama.cpp server inside this process: started silently, reachable on loopback only, and stopped without hanging.

Dropping the last reference to a server stops it, and hangs for ever, holding the interpreter's lock, as long as a
client waits for its answer. So every server is kept here until it is idle.
"""

from __future__ import annotations

import http.client
import json
import time
from importlib import import_module
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pytest_finetune.base.errors import TargetError

if TYPE_CHECKING:
    from pytest_finetune.evaluation.targets.weights import Weights

CONTEXT = 4096
"""Tokens of one prompt and its answer together; a longer prompt is refused by the server."""

SETTLING = 6.0
"""Seconds that a server gets to notice that nobody waits for its answers any more."""

LOOK_AGAIN = 1.2
"""Seconds. A server looks after a quiet one whether the client is still there; asking how it is breaks the quiet."""

_RUNNING: set[LlamaServer] = set()


class LlamaServer:
    """
    A server with one slot, which forgets a prompt with its answer unless told to save it.

    Args:
        weights: What to load; takes about a third of a second for a small model.
        threads: Cores to compute on.

    Raises:
        TargetError: The engine cannot load it.
    """

    def __init__(self, weights: Weights, threads: int) -> None:
        self._saved = TemporaryDirectory(prefix="pytest-finetune-", ignore_cleanup_errors=True)
        try:
            xllamacpp = import_module("xllamacpp")
            params = _params(xllamacpp, weights, threads)
            params.slot_save_path = f"{self._saved.name}/"
            self._server: Any = xllamacpp.Server(params)
        except (ImportError, RuntimeError) as error:
            self._saved.cleanup()
            raise TargetError(
                f"the model {weights.name!r} cannot be loaded: {error}",
                str(weights.adapter or weights.model),
                "is it a whole GGUF file, and an adapter one for this very base model?",
            ) from None
        self.address: str = self._server.listening_address
        _RUNNING.add(self)

    def stop(self) -> bool:
        """
        Free the memory, once nobody waits for an answer: close the connections to it first.

        Returns:
            Whether it stopped. One that is still busy after `SETTLING` seconds is left running.
        """
        patience = time.monotonic() + SETTLING
        while self._is_busy():
            if time.monotonic() > patience:
                return False
            time.sleep(LOOK_AGAIN)
        self._server = None
        self._saved.cleanup()
        _RUNNING.discard(self)
        return True

    def _is_busy(self) -> bool:
        if self._server is None:
            return False
        connection = http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=SETTLING)
        try:
            connection.request("GET", "/slots", headers={"Connection": "close"})
            slots = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return any(slot["is_processing"] for slot in slots)


def _params(xllamacpp: Any, weights: Weights, threads: int) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = str(weights.model)
    params.model_alias = {weights.name}
    if weights.adapter is not None:
        adapter = xllamacpp.CommonAdapterLoraInfo()
        adapter.path = str(weights.adapter)
        params.lora_adapters = [adapter]
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.verbosity, params.ui = -1, False
    params.n_parallel, params.n_ctx = 1, CONTEXT
    params.cache_prompt, params.cache_ram_mib = False, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    return params
