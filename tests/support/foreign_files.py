"""Small files as other evaluation tools write them."""

from __future__ import annotations

import json
from pathlib import Path


def write_jsonl(name, *rows):
    path = Path(name)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_json(name, value):
    path = Path(name)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def string_check(reference="{{ item.answer }}", operation="eq", **more):
    return {
        "type": "string_check",
        "name": "match",
        "input": "{{ sample.output_text }}",
        "reference": reference,
        "operation": operation,
    } | more


def similarity(**more):
    return string_check(type="text_similarity", evaluation_metric="fuzzy_match", pass_threshold=0.8) | more


def eval_config(*criteria, **data_source):
    """The definition of an eval that asks `item.question`."""
    template = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": {"type": "input_text", "text": "{{item.question}}"}},
    ]
    source = {"type": "completions", "input_messages": {"type": "template", "template": template}} | data_source
    return {"testing_criteria": list(criteria) or [string_check()], "data_source": source}


def result_row(run, index, question, answer, output, **more):
    """One row of the dashboard's results."""
    sample = {"outputs": [{"role": "assistant", "content": output}], "finish_reason": "stop", "error": None}
    item = {"question": question, "answer": answer}
    return {"run_id": run, "data_source_idx": index, "item": item, "sample": sample, "grades": {"match": 1.0}} | more


def batch_request(name, text, **parameters):
    body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": text}], **parameters}
    return {"custom_id": name, "method": "POST", "url": "/v1/chat/completions", "body": body}


def completion(text, reason="stop", **more):
    message = {"role": "assistant", "content": text, "refusal": None} | more
    return {
        "model": "gpt-4o-mini-2024-07-18",
        "choices": [{"index": 0, "finish_reason": reason, "message": message}],
        "usage": {"prompt_tokens": 4, "completion_tokens": 1},
    }


def batch_output(name, body, status=200):
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": f"batch_req_{name}", "custom_id": name, "response": response, "error": None}
