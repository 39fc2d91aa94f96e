"""Every wrong loss; the modules `wrong_...` hold them."""

import wrong_classes
import wrong_last
import wrong_late
import wrong_manners
import wrong_places
import wrong_state
import wrong_users
import wrong_values

MODULES = (wrong_classes, wrong_last, wrong_late, wrong_manners, wrong_places, wrong_state, wrong_users, wrong_values)
MUTANTS = [mutant for module in MODULES for mutant in module.WRONG]
