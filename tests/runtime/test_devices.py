import pytest

from lossreg.errors import InputError
from lossreg.runtime import devices


@pytest.mark.parametrize(
    ("device", "before", "after"),
    [
        ("cpu", {}, {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}),
        ("gpu", {}, {}),
        ("gpu", {"CUDA_VISIBLE_DEVICES": "2"}, {"CUDA_VISIBLE_DEVICES": "2"}),
        ("gpu:1", {}, {"CUDA_VISIBLE_DEVICES": "1"}),
        ("gpu:1", {"CUDA_VISIBLE_DEVICES": "4,6"}, {"CUDA_VISIBLE_DEVICES": "6"}),
        ("gpu:0", {"CUDA_VISIBLE_DEVICES": "GPU-8932"}, {"CUDA_VISIBLE_DEVICES": "GPU-8932"}),
    ],
)
def test_a_device_is_chosen_among_those_that_the_process_may_see(device, before, after):
    environ = dict(before)
    devices.choose(device, environ)
    assert environ == after


@pytest.mark.parametrize(
    ("device", "seen", "message"),
    [
        ("tpu", "", "'tpu' is no device. It is cpu, gpu, or gpu:N"),
        ("gpu:", "", "is no device"),
        ("gpu:-1", "", "is no device"),
        ("gpu:2", "4,6", "gpu:2 is not among the 2 GPUs"),
        ("gpu:1", "4", "gpu:1 is not among the 1 GPU that"),
        ("gpu:0", "-1", "gpu:0 is not among the 0 GPUs"),
    ],
)
def test_a_device_that_there_is_not_is_refused(device, seen, message):
    environ = {"CUDA_VISIBLE_DEVICES": seen} if seen else {}
    with pytest.raises(InputError, match=message):
        devices.choose(device, environ)
