"""How the requests of an eval set look for one model: its own settings, and what its family refuses left out."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal, get_args

from pytest_finetune.base.json_text import canonical_json
from pytest_finetune.base.logprobs import pieces_of
from pytest_finetune.base.records import Message
from pytest_finetune.verdicts.evalset.model_families import family_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pytest_finetune.base.records import Completion
    from pytest_finetune.verdicts.evalset.model_families import ModelFamily

Api = Literal["chat", "responses"]
APIS: tuple[Api, ...] = get_args(Api)

NOT_SENT = "not sent"

ANSWER_AFTER = "answer after"
"""The key under which a record has what the answer follows, which is not a parameter."""

_LONGEST = 80
"""Characters of a parameter's value that a record repeats; of a longer one it keeps the hash."""

# The Responses API has no such parameters: openai.types.responses.response_create_params, openai 3.57.0.
_CHAT_ONLY = ("seed", "stop", "presence_penalty", "frequency_penalty", "logit_bias")


@dataclass(frozen=True, slots=True)
class RequestForm:
    """
    What all requests of an eval set to one model have in common.

    Args:
        params: The parameters, by their names in `POST /chat/completions`, whatever the API.
        api: The API that they are sent to.
        after: What the answer follows; the text up to it is reasoning. Empty if the whole text is the answer.
        system_role: The role that system messages are sent with; `user` joins them with the message that follows.
        notes: What was left out, renamed or chosen for this model, one clause each.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    api: Api = "chat"
    system_role: str = ""
    after: str = ""
    notes: tuple[str, ...] = ()

    def messages(self, messages: tuple[Message, ...]) -> tuple[Message, ...]:
        """The messages as they are sent."""
        if not self.system_role:
            return messages
        if self.system_role == "user":
            return _joined(messages)
        roles = ("system", "developer")
        return tuple(Message(self.system_role, m.content, m.extra) if m.role in roles else m for m in messages)

    def answer(self, completion: Completion) -> Completion:
        """
        The completion with its reasoning apart from its answer.

        A text without `after` is reasoning that did not come to an answer, unless the server has kept the reasoning
        apart already. White space before the answer is left out.
        """
        text = completion.text
        if not self.after or (self.after not in text and (completion.reasoning or completion.tool_calls)):
            return completion
        before, found, answer = text.rpartition(self.after)
        reasoning = before if found else text
        reasoning = "\n\n".join(part for part in (completion.reasoning, reasoning.strip()) if part)
        answer = answer.lstrip() if found else ""
        return replace(completion, text=answer, reasoning=reasoning, logprobs=pieces_of(answer, completion.logprobs))

    @property
    def recorded(self) -> dict[str, Any]:
        """The parameters and the API for the record; a long value is a hash."""
        values = {name: _recorded(value) for name, value in self.params.items()}
        api = self.api if self.api != "chat" else ""
        others = {"api": api, "system_role": self.system_role, ANSWER_AFTER: self.after}
        return values | {name: value for name, value in others.items() if value}


def request_form(
    params: Mapping[str, Any],
    own: Sequence[tuple[str, Mapping[str, Any]]],
    model: str,
    *,
    has_tools: bool,
    api: Api | None = None,
) -> RequestForm:
    """
    The form of the requests to a model.

    Args:
        params: The parameters of the set; `api` and `system_role` are among them if they are set.
        own: Settings per model, by pattern: None leaves a parameter out. An exact id goes before every pattern, and
            among patterns the last one that matches.
        model: The id in requests.
        has_tools: Some requests have tools.
        api: The API that the command line demands.
    """
    values, notes = dict(params), []
    chosen: dict[str, Any] = {}
    for pattern, table in sorted(own, key=lambda each: each[0] == model):
        if pattern == model or fnmatchcase(model, pattern):
            chosen |= table
            changed = ", ".join(f"{name} {_words(value)}" for name, value in table.items())
            notes.append(f'[models."{pattern}"]: {changed}')
    values = {name: value for name, value in (values | chosen).items() if value is not None}
    named, system_role = values.pop("api", None), values.pop("system_role", "")
    after = values.pop("after", "")
    wire: Api = api or named or "chat"
    if family := family_of(model):
        notes += _adapt(values, family, keep=chosen)
        if family.refuses_system and not system_role:
            system_role = "user"
            notes.append(f"system messages sent as user messages: {family.name} accept no others")
        needed = family.needs_responses(values.get("reasoning_effort", ""), has_tools=has_tools)
        if needed and api is None and named is None:
            wire = "responses"
            why = "are available" if family.responses_only else "take tools"
            notes.append(f"sent to the Responses API: {family.name} {why} nowhere else{_while_reasoning(family)}")
    if wire == "responses":
        omitted = [name for name in _CHAT_ONLY if values.pop(name, None) is not None]
        notes += [f"{name} left out: the Responses API has no such parameter" for name in omitted]
    return RequestForm(values, wire, "" if system_role == "system" else system_role, after, tuple(notes))


def changed_parameters(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The parameters that differ between two recorded forms, as `temperature 0.0 -> not sent`."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    return [f"{name} {_words(before.get(name))} -> {_words(after.get(name))}" for name in names]


def _adapt(values: dict[str, Any], family: ModelFamily, keep: Mapping[str, Any]) -> list[str]:
    """Leave out and rename what a family refuses, except what the settings say for this very model."""
    notes = []
    effort = values.get("reasoning_effort", "")
    for name in [name for name in values if name not in keep and family.refuses(name, effort)]:
        del values[name]
        notes.append(f"{name} left out: refused by {family.name}{_while_reasoning(family, name)}")
    if "max_tokens" in values and "max_tokens" not in keep:
        limit = values.pop("max_tokens")
        values.setdefault("max_completion_tokens", limit)
        notes.append(f"max_tokens sent as max_completion_tokens: refused by {family.name}")
    return notes


def _while_reasoning(family: ModelFamily, name: str = "") -> str:
    conditional = family.accepted_without_reasoning if name else family.tools_need_responses == "reasoning"
    return ' unless reasoning_effort is "none"' if conditional else ""


def _joined(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """Each system message as a user message, in one with the user message after it if both are text."""
    sent: list[Message] = []
    instructions: Message | None = None
    for message in messages:
        if message.role in ("system", "developer"):
            instructions = Message("user", message.content, message.extra)
            sent.append(instructions)
            continue
        texts = [each.content for each in (instructions, message) if each and isinstance(each.content, str)]
        if instructions and message.role == "user" and len(texts) == len((instructions, message)):
            sent[-1] = Message("user", "\n\n".join(texts), message.extra)
        else:
            sent.append(message)
        instructions = None
    return tuple(sent)


def _recorded(value: Any) -> Any:
    text = canonical_json(value)
    return value if len(text) <= _LONGEST else f"sha256:{sha256(text.encode()).hexdigest()[:16]}"


def _words(value: Any) -> str:
    return NOT_SENT if value is None else json.dumps(_recorded(value), ensure_ascii=False)
