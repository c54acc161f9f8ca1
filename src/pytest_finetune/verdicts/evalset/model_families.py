"""What known families of models refuse in a request, each with its public source; to others it is sent unchanged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

SAMPLING = ("temperature", "top_p", "logprobs", "top_logprobs")
PENALTIES = ("presence_penalty", "frequency_penalty", "logit_bias")

_DATED = r"(?:-\d{4}-\d{2}-\d{2})?"


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """
    Models that accept the same requests.

    Args:
        name: For people.
        pattern: Regular expression of their ids; a date may follow.
        source: Where it is documented, and when that was read.
        refused: Parameters that they refuse.
        accepted_without_reasoning: They accept those with `reasoning_effort = "none"`.
        default_effort: Their effort if the request names none; empty if no source says.
        tools_need_responses: Whether they take tools over the Responses API alone: always, or while they reason.
        responses_only: They are available over the Responses API alone.
        refuses_system: They accept neither the role `system` nor `developer`.
    """

    name: str
    pattern: str
    source: str
    refused: tuple[str, ...] = SAMPLING
    accepted_without_reasoning: bool = False
    default_effort: Literal["", "none", "medium"] = ""
    tools_need_responses: Literal["", "reasoning", "always"] = ""
    responses_only: bool = False
    refuses_system: bool = False

    def refuses(self, parameter: str, effort: str) -> bool:
        """Whether a parameter is refused at this effort, which is empty if the request names none."""
        effort = effort or self.default_effort
        # An unknown effort is no reason to leave anything out.
        accepted = self.accepted_without_reasoning and effort in ("none", "")
        return parameter in self.refused and not accepted

    def needs_responses(self, effort: str, *, has_tools: bool) -> bool:
        """Whether a request has to be sent to the Responses API."""
        if self.responses_only or not has_tools:
            return self.responses_only
        if self.tools_need_responses == "reasoning":
            return (effort or self.default_effort) != "none"
        return self.tools_need_responses == "always"


_GPT_6 = (
    "https://developers.openai.com/api/docs/guides/deployment-checklist and "
    "https://github.com/microsoft/openaivec/releases/tag/v2.7.0 (default effort), read 2026-11-29"
)

# All of them refuse max_tokens in favour of max_completion_tokens: the reference of POST /chat/completions for the
# o-series; https://github.com/softwaremill/sttp-ai/issues/490 for GPT-5 and later. Read 2026-11-29.
FAMILIES = (
    ModelFamily(
        "GPT-6 Astra and GPT-6.1 Sol",
        r"gpt-6-astra|gpt-6\.1-sol",
        _GPT_6,
        accepted_without_reasoning=True,
        default_effort="medium",
        tools_need_responses="always",
    ),
    ModelFamily(
        "GPT-6 Sol and GPT-6 Luna",
        "gpt-6-sol|gpt-6-luna",
        _GPT_6,
        accepted_without_reasoning=True,
        default_effort="medium",
        tools_need_responses="reasoning",
    ),
    ModelFamily(
        "GPT-6",
        r"gpt-6(?:\.\d+)?(?:-[a-z]+)*",
        _GPT_6,
        accepted_without_reasoning=True,
        default_effort="medium",
    ),
    ModelFamily(
        "GPT-5.6 Luna",
        r"gpt-5\.6-luna",
        "https://github.com/langflow-ai/langflow/issues/14361 (tools) and "
        "https://github.com/ItzCrazyKns/Vane/issues/1173 (temperature), read 2026-11-29",
        accepted_without_reasoning=True,
        default_effort="medium",
        tools_need_responses="reasoning",
    ),
    ModelFamily(
        "GPT-5.6",
        r"gpt-5\.6-(?:sol|terra)",
        "https://github.com/ItzCrazyKns/Vane/issues/1173, read 2026-11-29",
        accepted_without_reasoning=True,
        default_effort="medium",
    ),
    ModelFamily(
        "GPT-5.4",
        r"gpt-5\.4(?:-mini|-nano)?",
        "https://developers.openai.com/api/docs/guides/latest-model#gpt-54-parameter-compatibility, as quoted in "
        "https://github.com/tmc/langchaingo/issues/1497, read 2026-11-29",
        accepted_without_reasoning=True,
    ),
    ModelFamily(
        "GPT-5.1 and GPT-5.2",
        r"gpt-5\.[12]",
        "https://platform.openai.com/docs/guides/latest-model#gpt-5-1-parameter-compatibility, as quoted in "
        "https://github.com/vercel/ai/pull/10940, and https://github.com/langchain-ai/langchain/issues/35423 (5.2), "
        "read 2026-11-29",
        accepted_without_reasoning=True,
        default_effort="none",
    ),
    ModelFamily(
        "GPT-5",
        "gpt-5(?:-mini|-nano)?",
        "https://github.com/tmc/langchaingo/issues/1355 (temperature) and https://qiita.com/nogataka/items/"
        "4913cb7dbc44842ec110 (all), read 2026-11-29",
        default_effort="medium",
    ),
    ModelFamily(
        "GPT-5 Pro",
        r"gpt-5(?:\.[24])?-pro",
        "https://github.com/BerriAI/litellm/issues/15386 (5), https://github.com/langchain-ai/langchain/pull/34306 "
        "(5.2) and https://github.com/BerriAI/litellm/pull/23143 (5.4), read 2026-11-29; parameters as GPT-5",
        responses_only=True,
    ),
    ModelFamily(
        "GPT-5 Codex",
        r"gpt-5(?:\.[1-3])?-codex(?:-mini|-max)?",
        "https://github.com/openai/openai-cookbook/pull/2236 (5) and https://neon.com/docs/ai-gateway/openai-responses "
        "(5.1 to 5.3), read 2026-11-29; parameters as GPT-5",
        responses_only=True,
    ),
    ModelFamily(
        "o1-mini and o1-preview",
        "o1-mini|o1-preview",
        "https://community.openai.com/t/developer-role-not-accepted-for-o1-o1-mini-o3-mini/1110750/7, read 2026-11-29",
        refused=(*SAMPLING, *PENALTIES),
        refuses_system=True,
    ),
    ModelFamily(
        "o1-pro and o3-pro",
        "o[13]-pro",
        "https://github.com/simonw/llm/issues/839 (o1-pro) and https://github.com/BerriAI/litellm/pull/23143 (both), "
        "read 2026-11-29; parameters as the o-series",
        refused=(*SAMPLING, *PENALTIES),
        responses_only=True,
    ),
    ModelFamily(
        "the o-series",
        "o1|o3(?:-mini)?|o4-mini",
        "https://community.openai.com/t/developer-role-not-accepted-for-o1-o1-mini-o3-mini/1110750/7 and "
        "https://github.com/openai/openai-python/issues/2104, read 2026-11-29",
        refused=(*SAMPLING, *PENALTIES),
        default_effort="medium",
    ),
)


def family_of(model: str) -> ModelFamily | None:
    """The family of a model id, of a fine-tune's base model, or of an id with a provider (`openai/gpt-6-luna`)."""
    base = model.split(":")[1] if model.startswith("ft:") else model.rpartition("/")[2].partition(":")[0]
    return next((each for each in FAMILIES if re.fullmatch(f"(?:{each.pattern}){_DATED}", base, re.ASCII)), None)
