"""Facades: what `require()` and `import` give a hook instead of a module. Leaves of the import tree."""
