import numpy as np
import pytest
from lossreg_arctan import arctan
from scipy.optimize import least_squares

import lossreg
import lossreg.testing

test_conformance = lossreg.testing.conformance("arctan")


@pytest.mark.parametrize("c", [0.01, 1.0, 2.385, 10.0])
def test_values_are_those_of_scipy(c):
    residuals = np.array([-30.0, -1.0, 0.0, 1e-3, 0.5, 8.0])
    costs = [least_squares(lambda x, r=r: r + 0 * x, [0.0], loss="arctan", f_scale=c).cost for r in residuals]
    zero = np.zeros((len(residuals), 1), dtype="float32")
    losses = np.asarray(arctan(zero, residuals[:, None].astype("float32"), c=c))
    np.testing.assert_allclose(losses, costs, rtol=1e-5, atol=1e-12)


def test_an_installed_plugin_is_found_by_name():
    spec = next(spec for spec in lossreg.losses("regression") if spec.name == "arctan")
    assert spec.resolve() is arctan
    assert spec.bind({}) == {"c": 2.385}
