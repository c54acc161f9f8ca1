"""Records into text that people read. What a model wrote is data here: no control code of it reaches a terminal."""
