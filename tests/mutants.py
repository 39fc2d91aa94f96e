"""Every wrong loss; `wrong_classes`, `wrong_manners` and `wrong_values` hold them."""

import wrong_classes
import wrong_manners
import wrong_values

MUTANTS = [*wrong_classes.WRONG, *wrong_manners.WRONG, *wrong_values.WRONG]
