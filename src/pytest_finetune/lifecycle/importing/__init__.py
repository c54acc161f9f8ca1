"""Files of other tools as eval sets, with the answers recorded in them as runs."""
