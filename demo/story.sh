#!/usr/bin/env bash
# Three models before one gate, with a real model in the process and no network: the base model, a version trained on
# too few examples, and one trained on all of them. Ends with 1 where it does not go as it is told here.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 2
PATH="${BIN:-../.venv/bin}:$PATH"
export PYTHONPATH="" PYTEST_ADDOPTS="${PYTEST_ADDOPTS-} -p no:randomly -p no:cacheprovider --no-header -rN --tb=no"
MODEL="${MODEL:-local:smollm2-135m}"
rm -f registry.json registry.json.lock report.html

say() { printf '\n%s\n' "$*"; }
# What is run is what is shown.
run() { printf '\n$ %s\n' "$*"; "$@"; }

# A step that ends otherwise than the story has it is told as such, with the exit code that it had.
expect() {
  local wanted="$1" code=0
  shift
  run "$@" || code=$?
  if [ "$code" -ne "$wanted" ]; then
    say "This step was to end with exit code $wanted, and ended with $code."
    exit $((code > 1 ? code : 1))
  fi
}

say "1. The base model, which nobody has taught this shop's teams. Its gates fail, and pytest ends with 1."
expect 1 pytest --model="$MODEL"

say "2. Version v1, trained on the first 60 examples. The form is there, the sense is not: it is not promoted."
expect 0 pytest-finetune registry add v1 --model-id=local:models/routing-v1.gguf --base-model=smollm2-135m \
  --training-file=training/routing.first-60.jsonl
expect 1 pytest --model=registry:v1 --promote

say "3. Version v2, trained on all examples and compared with v1. Every gate passes: the registry makes it production."
expect 0 pytest-finetune registry add v2 --model-id=local:models/routing-v2.gguf --base-model=smollm2-135m \
  --training-file=training/routing.train.jsonl
expect 0 pytest --model=registry:v2 --baseline=replay:last --promote --finetune-html=report.html
expect 0 pytest-finetune registry list

say "Look at demo/report.html, the page on which a version is reviewed; demo/README.md says what was asked, and why.
Then ask your own model: .venv/bin/pytest eval_sets --model=ft:... (with OPENAI_API_KEY set)"
