"""An account with a model that is shut down, with its job and stored completions, and with a successor."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

from scripted_server import Reply, error
from successor_server import LUNA, SuccessorServer

OLD = "ft:gpt-4.1-mini-2025-04-14:acme:tickets:9Kx2"
STORED = ("stored order", "stored parcel", "stored invoice")


class AccountServer(SuccessorServer):
    """
    Both models answer a question with its own words; the successor refuses a temperature and `max_tokens`.

    Attributes:
        gone: The model of the fine-tune no longer answers.
        asked: The model of each chat completion that was answered or refused.
    """

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.gone, self.asked = False, []

    def reply(self, request):
        place = urlsplit(request.path)
        query = {key: values[0] for key, values in parse_qs(place.query).items()}
        path = place.path.removeprefix("/v1")
        if request.method == "GET":
            return Reply(body={"object": "list", "has_more": False, **self._list(path, query)})
        self.asked.append(request.json["model"])
        if request.json["model"] == OLD and self.gone:
            return error(404, f"The model `{OLD}` does not exist", code="model_not_found")
        return super().reply(request)

    def _list(self, path, query):
        if path == "/models":
            return {"data": [{"id": LUNA}, *([] if self.gone else [{"id": OLD, "shutdown_date": "2027-01-14"}])]}
        if path == "/fine_tuning/jobs":
            job = {"id": "ftjob-1", "status": "succeeded", "model": OLD.split(":")[1], "fine_tuned_model": OLD}
            return {"data": [job]}
        if path == "/chat/completions":
            at = (
                [f"chatcmpl-{number}" for number in range(len(STORED))].index(query["after"]) + 1
                if "after" in query
                else 0
            )
            return {"data": [self._completion(at, query["model"])], "has_more": at + 1 < len(STORED)}
        number = int(path.split("/")[3].removeprefix("chatcmpl-"))
        return {"data": [{"id": f"{number}-0", "role": "user", "content": STORED[number]}]}

    @staticmethod
    def _completion(number, model):
        message = {"role": "assistant", "content": f"about {STORED[number]}"}
        return {
            "id": f"chatcmpl-{number}",
            "object": "chat.completion",
            "model": model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": json.loads('{"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}'),
        }
