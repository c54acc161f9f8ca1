"""LoRA training of smollm2-135m on a CPU, as a process of its own that can be stopped and goes on where it was."""
