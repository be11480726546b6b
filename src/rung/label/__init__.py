"""Labels by calculations: an engine for each program, a folder for each structure, done when its result exists."""
