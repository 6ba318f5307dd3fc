"""Facades: what `require()` and `import` give a hook instead of a module. Leaves: they import nothing of the sandbox."""
