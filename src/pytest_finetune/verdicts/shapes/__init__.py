"""The shapes of rows that people have, one reader each; every reader returns a `ChatRow`."""

from pytest_finetune.verdicts.shapes.detection import (
    CONTEXTS,
    NAMES,
    SHAPES,
    find_shape,
    read_row,
    read_with_media,
    unknown_hint,
    unused_columns,
)

__all__ = ["CONTEXTS", "NAMES", "SHAPES", "find_shape", "read_row", "read_with_media", "unknown_hint", "unused_columns"]
