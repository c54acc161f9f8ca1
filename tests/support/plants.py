"""Planted faults of every code."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode

from planted_faults import (
    ITEM,
    KEY,
    OBJECT_FORMAT,
    OTHER_TOOL,
    TOOL,
    Plant,
    ask,
    call,
    case,
    clean_rows,
    json_rows,
    labelled,
    lines,
    message,
    nearly,
    picture,
    pictured,
    replaced,
    row,
    sentence,
    tool_row,
    weighted,
    without_answer,
)

from pytest_finetune.lifecycle.data.check_options import CheckOptions
from pytest_finetune.lifecycle.data.production import Production

USER, ANSWER = "$.messages[1].content", "$.messages[2].content"
CALL = "$.messages[2].tool_calls[0]"
QUESTION = clean_rows()[9]["messages"][1]["content"]
LABELLED = 'scorer = "label"\nlabels = ["bug", "feature", "question", "other"]\n'
ANSWERED = {"role": "tool", "tool_call_id": "c1", "content": "shipped"}
DONE = {"role": "assistant", "content": "other"}
BENT = "$.messages[1]"

FILE = [
    Plant("file_type", raw=gzip.compress(lines(clean_rows())), line=0),
    Plant("file_type", raw=b"", line=0),
    Plant("file_type", raw=b'[\n{"messages": []}\n]\n', line=0),
    Plant("invalid_json", at=b'{"messages": [{"role": "user"'),
    Plant("invalid_json", at=b'{"messages": [], "messages": []}'),
    Plant("invalid_json", at=b'{"a": ' * 10_000 + b"1" + b"}" * 10_000),
    Plant("invalid_json", at=json.dumps(row("caf\xe9", "bug"), ensure_ascii=False).encode("latin-1")),
    Plant("line_too_long", at=row("x" * 9000, "bug"), options=CheckOptions(max_line_bytes=8000)),
    Plant("eval_set", evals=[case(), {"input": 5, "expected": "bug"}], file="evals.jsonl", line=2),
    Plant("byte_order_mark", raw=b"\xef\xbb\xbf" + lines(clean_rows()), line=1),
    Plant("line_ending", at=json.dumps(row(sentence(901), "other")).encode() + b"\r"),
    Plant("blank_line", at=b""),
]
FORM = [
    Plant("data_type", at=b"[1, 2]"),
    Plant("data_type", at={"messages": ["hello", *row(sentence(901), "bug")["messages"][1:]]}, path="$.messages[0]"),
    Plant("missing_messages_list", at={"question": "hello", "reply": "bug"}),
    Plant("missing_messages_list", training=[{"question": sentence(n), "reply": "bug"} for n in range(120)], line=1),
    Plant("missing_messages_list", at={"prompt": "hello", "completion": "bug", "chosen": "bug", "rejected": "other"}),
    *(
        Plant("other_shape", at=at)
        for at in (
            {"prompt": sentence(901), "completion": "other"},
            {"instruction": sentence(901), "input": "", "output": "other"},
            {"conversations": [{"from": "human", "value": sentence(901)}, {"from": "gpt", "value": "other"}]},
            {"messages": [{"role": "user", "content": sentence(901)}], "reference_answer": "other"},
            {
                "input": {"messages": [{"role": "user", "content": sentence(901)}]},
                "preferred_output": [{"role": "assistant", "content": "other"}],
                "non_preferred_output": [{"role": "assistant", "content": "bug"}],
            },
        )
    ),
    Plant(
        "other_shape",
        training=[{"prompt": sentence(n, 60 if n == 7 else 9), "solution": "4"} for n in range(120)],
        line=1,
    ),
    Plant("unused_column", at=row(sentence(901), "other", images=["chart.png"])),
    Plant("unused_column", at=row(sentence(901), "other", prompt="hello")),
    *(
        Plant("invalid_image", at=pictured(image), path=f"{USER}[1]")
        for image in (
            "https://example.com/chart.png",
            None,
            {},
            {"url": " "},
            {"url": "charts/march.png"},
            {"url": "file:///home/ann/march.png"},
            {"url": "data:image/png,march"},
            {"url": "data:application/pdf;base64,JVBERi0xLjc="},
            {"url": "data:image/png;base64,iVBORw0KGg"},
            {"url": "data:image/gif;base64,R0lGODlhAQABAAAAACw="},
            {"url": "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + bytes(90)).decode()},
        )
    ),
    Plant(
        "invalid_image", at=message(content=[{"type": "image", "url": "https://example.com/a.png"}]), path=f"{USER}[0]"
    ),
    Plant("invalid_image", at=message(content=[picture(number) for number in range(11)]), path="$.messages"),
    Plant("invalid_image", at=row(sentence(901), [{"type": "text", "text": "other"}, picture(1)]), path=f"{ANSWER}[1]"),
    Plant("missing_messages_list", at={"messages": []}, path="$.messages"),
    Plant("unrecognized_key", at=row(sentence(901), "other", id="train-1")),
    Plant("message_missing_key", at=message(role=...), path=BENT),
    Plant("message_missing_key", at=message(content=...), path=BENT),
    Plant(
        "message_missing_key",
        at=tool_row(call(), then=({"role": "tool", "content": "shipped"}, DONE)),
        path="$.messages[3]",
    ),
    Plant("message_unrecognized_key", at=message(weight=1), path=BENT),
    Plant("unrecognized_role", at=message(role="usr"), path=f"{BENT}.role"),
    Plant("missing_content", at=message(content=""), path=USER),
    Plant("missing_content", at=message(content=None), path=USER),
    Plant("missing_content", at=message(content={"text": "hello"}), path=USER),
    Plant("missing_content", at=message(content=[{"text": "hello"}]), path=f"{USER}[0]"),
    Plant("example_missing_assistant_message", at=without_answer("system", "user"), path="$.messages"),
    Plant("last_message_not_assistant", at=without_answer("user", "assistant", "user"), path="$.messages[2]"),
    Plant("missing_user_message", at=without_answer("system") | {"messages": [DONE]}, path="$.messages"),
    Plant("surrounding_whitespace", at=row(sentence(901), "other "), path=ANSWER),
    Plant("invalid_weight", at=weighted(0.5), path="$.messages[2].weight"),
    Plant("invalid_weight", at=weighted(True), path="$.messages[2].weight"),  # noqa: FBT003 - the weight is planted
    Plant(
        "nothing_to_learn",
        at={
            "messages": [*row(sentence(901), "")["messages"][:2], {"role": "assistant", "content": "bug", "weight": 0}]
        },
        path="$.messages",
    ),
    Plant("deprecated_functions", at=row(sentence(901), "other", functions=[]), path="$.functions"),
    Plant("control_token", at=row(f"{sentence(901)}<|im_end|>", "other"), path=USER),
    Plant(
        "control_token",
        at=row(sentence(901), "other<|eot_id|>"),
        path=ANSWER,
    ),
    Plant(
        "consecutive_answers",
        at={"messages": [*row(sentence(901), "other")["messages"], {"role": "assistant", "content": "bug"}]},
        path="$.messages[3]",
    ),
    *(
        Plant("invalid_tools", at=row(sentence(901), "other", tools=[tool]), path="$.tools")
        for tool in (
            {"type": "function", "function": {"name": "get weather"}},
            {"type": "function", "function": {"name": "a" * 65}},
            {"type": "function", "function": {"name": "wetter.für"}},
            {"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}},
            {
                "type": "function",
                "function": {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}, "type": ["object"]}},
            },
        )
    ),
    Plant("invalid_tools", at=row(sentence(901), "other", tools={}), path="$.tools"),
    Plant("invalid_tools", at=row(sentence(901), "other", tools=[TOOL, TOOL]), path="$.tools"),
    Plant(
        "invalid_tools",
        at=row(
            sentence(901), "other", tools=[{"type": "function", "function": {"name": "f", "parameters": {"type": 5}}}]
        ),
        path="$.tools",
    ),
    Plant("invalid_tool_calls", at=tool_row({"type": "function"}), path="$.messages[2].tool_calls"),
    Plant("invalid_tool_calls", at=tool_row(call(id="")), path=CALL),
    Plant("invalid_tool_calls", at=tool_row(call(), call()), path="$.messages[2].tool_calls[1].id"),
    Plant("unknown_tool", at=tool_row(call(name="find_ordr")), path=f"{CALL}.function.name"),
    Plant("unknown_tool", at=tool_row(call(), tools=None), path=f"{CALL}.function.name"),
    Plant("tool_arguments", at=tool_row(call("{number: 7}")), path=f"{CALL}.function.arguments"),
    Plant("tool_arguments", at=tool_row(call('{"number": "seven"}')), path=f"{CALL}.function.arguments"),
    Plant("tool_arguments", at=tool_row(call("[7]")), path=f"{CALL}.function.arguments"),
    Plant("tool_call_unanswered", at=tool_row(call(), then=({"role": "user", "content": "?"}, DONE)), path=CALL),
    Plant(
        "tool_answer_unmatched",
        at=tool_row(call(), then=(ANSWERED, ANSWERED | {"tool_call_id": "c2"}, DONE)),
        path="$.messages[4].tool_call_id",
    ),
    Plant("invalid_json_answer", training=json_rows("I found two items.")),
    Plant("invalid_json_answer", training=json_rows('{"item": 1,}'), options=CheckOptions(schema=ITEM)),
    Plant("answer_breaks_schema", training=json_rows('{"itm": 1}'), options=CheckOptions(schema=ITEM)),
    Plant(
        "too_many_tokens", at=row(sentence(901, 400), "other"), path="$.messages", options=CheckOptions(max_tokens=900)
    ),
    Plant(
        "perhaps_too_many_tokens",
        at=row("word " * 1800, "other"),
        path="$.messages",
        options=CheckOptions(model="llama-3.1-8b", max_tokens=2000),
    ),
    Plant(
        "perhaps_too_many_tokens",
        at=row("word " * 1800, "other"),
        path="$.messages",
        options=CheckOptions(max_tokens=2000),
    ),
]
MEANING = [
    Plant("too_few_examples", training=clean_rows(9), line=0),
    Plant("few_examples", training=labelled({"bug": 20, "other": 20}), line=0),
    Plant("duplicate", at=clean_rows()[9]),
    Plant("near_duplicate", at=row(nearly(QUESTION), "other")),
    Plant("near_duplicate", at=row(QUESTION.upper() + "!", "other")),
    Plant("conflicting_answers", at=row(QUESTION, "other")),
    Plant(
        "unknown_label",
        at=row(sentence(901), "bgu"),
        options=CheckOptions(labels=("bug", "feature", "question", "other")),
    ),
    Plant("unknown_label", at=row(sentence(901), "bgu"), evals=[case()], toml=LABELLED),
    Plant("label_variant", training=labelled({"bug": 60, "other": 40, "Bug": 20}), line=101),
    Plant("empty_cell", at=row(sentence(901), "#DIV/0!")),
    Plant("empty_cell", at=row(sentence(901), "NaN")),
    Plant("rare_label", training=labelled({"bug": 60, "other": 60, "feature": 7}), line=121),
    Plant("rare_label", line=0, options=CheckOptions(labels=("bug", "feature", "question", "other", "praise"))),
    Plant("class_imbalance", training=labelled({"bug": 170, "other": 15}), line=0),
    Plant("no_empty_field", training=replaced({4: row(sentence(904), "other")}), evals=[case("?", "other")], line=0),
    Plant(
        "no_long_input", training=replaced({8: row(sentence(904), "other")}), evals=[case(sentence(950, 60))], line=0
    ),
    Plant(
        "no_ambiguous_input", training=labelled({"bug": 60, "feature": 60}), evals=[case(expected="unclear")], line=0
    ),
]
HONESTY = [
    Plant("eval_in_training", evals=[case(QUESTION.title())], toml=LABELLED, file="evals.jsonl", line=1),
    Plant("near_eval_in_training", evals=[case(nearly(QUESTION))], toml=LABELLED, file="evals.jsonl", line=1),
    Plant("eval_in_validation", validation=[row(sentence(950), "bug")], evals=[case()], file="evals.jsonl", line=1),
    Plant("validation_in_training", validation=[row(nearly(QUESTION), "bug")], file="validation.jsonl", line=1),
    Plant("system_prompt_differs", evals=[case(system="Sort it.")], toml=LABELLED, file="evals.jsonl", line=1),
    Plant(
        "system_prompt_differs",
        validation=[{"messages": row(sentence(2000), "bug")["messages"][1:]}],
        file="validation.jsonl",
        line=1,
    ),
    Plant("tools_differ", evals=[case(tools=[OTHER_TOOL])], file="evals.jsonl", line=1),
    Plant("response_format_differs", evals=[case()], toml=OBJECT_FORMAT, file="evals.jsonl", line=0),
    Plant(
        "production_differs",
        evals=[case()],
        file="evals.jsonl",
        line=0,
        options=CheckOptions(production=Production("", promoted="ft:old", hashes={"evals.jsonl": ("another", "")})),
    ),
    Plant("production_differs", line=0, options=CheckOptions(production=Production("ft:old", system="Sort it."))),
    Plant("production_differs", line=0, options=CheckOptions(production=Production("ft:old", tools="[{}]"))),
    Plant(
        "production_differs",
        evals=[case()],
        file="evals.jsonl",
        line=0,
        options=CheckOptions(production=Production("ft:old", response_format='{"type":"json_object"}')),
    ),
]
SAFETY = [
    Plant("email_address", at=ask("write to bob.smith@gmail.com,"), path=USER),
    Plant("phone_number", at=ask("call +44 20 7925 0918 now"), path=USER),
    Plant("phone_number", at=ask("call (212) 736-5000 now"), path=USER),
    Plant("phone_number", at=ask("电话：13812345678。"), path=USER),
    Plant("phone_number", at=ask("ring 030 901820 now"), path=USER, options=CheckOptions(regions=("de",))),
    Plant("resident_id", at=ask("身份证110105198803124525。"), path=USER),
    Plant("payment_card", at=ask("card 5425 2334 3010 9903 till May"), path=USER),
    Plant("bank_account", at=ask("to DE02 1203 0000 0000 2020 51 please"), path=USER),
    Plant("api_key", at=ask(f"my key is {KEY} here"), path=USER),
    Plant("api_key", at=ask("aws AKIAIOSFODNN7EXAMPLX here"), path=USER),
    Plant("api_key", at=ask("https://bob:hunter22@db.internal/x"), path=USER),
    Plant("private_key", at=ask("-----BEGIN RSA PRIVATE KEY-----\nMIIE"), path=USER),
    Plant("mojibake", at=ask("the cafÃ© on the corner"), path=USER),
    Plant("replacement_character", at=ask("the caf\ufffd on the corner"), path=USER),
    Plant("lone_surrogate", at=b'{"messages": [{"role": "user", "content": "\\ud83d"}]}'),
]
PLANTS = [*FILE, *FORM, *MEANING, *HONESTY, *SAFETY]
