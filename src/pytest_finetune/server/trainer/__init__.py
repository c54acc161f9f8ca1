"""LoRA training of smollm2-135m on a CPU, in a separate process that can be stopped and resumed."""
