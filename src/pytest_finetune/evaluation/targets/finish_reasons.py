"""Maps the finish reasons of various servers to OpenAI's."""

from __future__ import annotations

# Besides OpenAI's own words these are: Anthropic's "end_turn" to "pause_turn" and "refusal"; Gemini's words in
# capitals, "SAFETY" to "SPII" and "MALFORMED_FUNCTION_CALL"; Mistral's "model_length" and "error"; vLLM's "abort";
# "eos" and "eos_token" of Together and text-generation-inference; DeepSeek's "insufficient_system_resource"; Zhipu's
# "sensitive"; Cohere's "COMPLETE" and "ERROR_TOXIC"; Bedrock's "guardrail_intervened"; "max_output_tokens" and the
# statuses "completed", "failed", "in_progress" and "queued" of the Responses API.
_WORDS = {
    "stop": ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed"),
    "length": (
        "length",
        "max_tokens",
        "max_output_tokens",
        "model_length",
        "model_context_window_exceeded",
        "context_length_exceeded",
    ),
    "tool_calls": ("tool_calls", "tool_call", "tool_use", "function_call"),
    "content_filter": (
        "content_filter",
        "content_filtered",
        "safety",
        "image_safety",
        "language",
        "sensitive",
        "recitation",
        "blocklist",
        "prohibited_content",
        "spii",
        "refusal",
        "error_toxic",
        "guardrail_intervened",
    ),
    "error": (
        "error",
        "failed",
        "in_progress",
        "queued",
        "abort",
        "aborted",
        "cancelled",
        "malformed_function_call",
        "insufficient_system_resource",
        "pause_turn",
    ),
}
_KNOWN = {word: reason for reason, words in _WORDS.items() for word in words}


def known_reason(word: str) -> str | None:
    """
    `stop`, `length`, `tool_calls`, `content_filter`, or `error` where the server broke off.

    Empty for an empty word, because some servers send none; None for an unknown word.
    """
    # Gemini's compatible endpoint may write "content_filter: PROHIBITED_CONTENT".
    if word.lower().startswith("content_filter:"):
        return "content_filter"
    return _KNOWN.get(word.lower()) if word else ""
