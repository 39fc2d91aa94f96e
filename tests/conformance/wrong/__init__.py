"""Every wrong loss; the modules beside hold them."""

from wrong import classes, last, late, manners, pixels, state, users, values

MODULES = (classes, last, late, manners, pixels, state, users, values)
MUTANTS = [mutant for module in MODULES for mutant in module.WRONG]
