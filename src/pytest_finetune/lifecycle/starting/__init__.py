"""A first eval set: from examples of the kind of answer, or from rows of the user's own file."""
