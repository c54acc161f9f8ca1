#!/usr/bin/env bash
# Three models and the same gates, with a real model in the process and no network: the base model, a version trained on
# too few examples, and one trained on all of them. Exits with 1 if a step does not end as expected.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 2
PATH="${BIN:-../.venv/bin}:$PATH"
export PYTHONPATH="" PYTEST_ADDOPTS="${PYTEST_ADDOPTS-} -p no:randomly -p no:cacheprovider --no-header -rN --tb=no"
MODEL="${MODEL:-local:smollm2-135m}"
if [ ! -e models/routing-v2.gguf ]; then
  echo "The trained models are not part of the source distribution. Train them, which takes some 20 minutes: make demo-train" >&2
  exit 2
fi
rm -f registry.json registry.json.lock report.html

say() { printf '\n%s\n' "$*"; }
# Print a command, then run it.
run() { printf '\n$ %s\n' "$*"; "$@"; }

# Stop with a message if a command does not have the expected exit code.
expect() {
  local wanted="$1" code=0
  shift
  run "$@" || code=$?
  if [ "$code" -ne "$wanted" ]; then
    say "Expected exit code $wanted, got $code."
    exit $((code > 1 ? code : 1))
  fi
}

say "1. The base model does not know the teams of this shop. Its gates fail, and pytest exits with 1."
expect 1 pytest --model="$MODEL"

say "2. Version v1, trained on the first 60 examples. The format is right, the answers are not: it is not promoted."
expect 0 pytest-finetune registry add v1 --model-id=local:models/routing-v1.gguf --base-model=smollm2-135m \
  --training-file=training/routing.first-60.jsonl
expect 1 pytest --model=registry:v1 --promote

say "3. Version v2, trained on all examples and compared with v1. Every gate passes: it is promoted to production."
expect 0 pytest-finetune registry add v2 --model-id=local:models/routing-v2.gguf --base-model=smollm2-135m \
  --training-file=training/routing.train.jsonl
expect 0 pytest --model=registry:v2 --baseline=replay:last --promote --finetune-html=report.html
expect 0 pytest-finetune registry list

say "Open demo/report.html to review the version; demo/README.md explains the eval set and the gates.
Then evaluate your own model: .venv/bin/pytest eval_sets --model=ft:... (with OPENAI_API_KEY set)"
