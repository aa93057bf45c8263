"""Statistics are taken here of made-up photos: smooth planes with the colours that photos have."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from mobilenet.weights.layers import ForeignConv, ForeignNorm
from mobilenet.weights.pixel_scale import guess_units

_UNITS = {
    "pixel / 255": (0.0, 255.0),
    "pixel / 127.5 - 1": (127.5, 127.5),
    "(pixel - mean) / deviation of ImageNet": ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
    "unscaled pixels, 0 to 255": (0.0, 1.0),
}


def _photos(random: torch.Generator) -> torch.Tensor:
    """(N, 3, 64, 64), 0 to 255; neighbours and colours are alike."""
    coarse = torch.randn(64, 1, 9, 9, generator=random) + 0.3 * torch.randn(64, 3, 9, 9, generator=random)
    smooth = F.interpolate(coarse, (64, 64), mode="bilinear")
    colour = torch.tensor([124.0, 114.0, 102.0]).view(3, 1, 1)
    return (60 * smooth / smooth.std() + colour).clamp(0, 255)


def _filters(random: torch.Generator, channels: int = 16) -> torch.Tensor:
    return 0.2 * torch.randn(channels, 3, 3, 3, generator=random) + 0.1 * torch.randn(
        channels, 3, 1, 1, generator=random
    )


def _stem(filters: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> ForeignConv:
    ones, zeros = np.ones(len(filters), np.float32), np.zeros(len(filters), np.float32)
    norm = ForeignNorm(ones, zeros, mean.numpy(), variance.numpy(), 1e-3)
    return ForeignConv("stem", filters.numpy(), 2, 1, "tensorflow", "relu", norm=norm)


@pytest.mark.parametrize("name", _UNITS)
@pytest.mark.parametrize("seed", range(5))
def test_the_units_of_photos_are_recognised(name: str, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    mean, std = (torch.tensor(value).expand(3) for value in _UNITS[name])
    seen = (_photos(random) - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    filters = _filters(random)
    output = F.conv2d(F.pad(seen, (0, 1, 0, 1)), filters, stride=2)
    units = guess_units(_stem(filters, output.mean((0, 2, 3)), output.var((0, 2, 3))))
    assert units is not None
    assert units.name == name
    assert units.mean == pytest.approx(tuple(mean.tolist()))
    assert units.std == pytest.approx(tuple(std.tolist()))


def test_numbers_that_are_of_no_photos_fit_nothing() -> None:
    random = torch.Generator().manual_seed(0)
    filters = _filters(random)
    for mean, variance in ((5.0, 1.0), (0.0, 1e6), (0.0, 0.0), (3e38, 3e38)):
        assert guess_units(_stem(filters, torch.full((16,), mean), torch.full((16,), variance))) is None
    scattered = torch.rand(16, generator=random) ** 8 * 1000
    assert guess_units(_stem(filters, torch.randn(16, generator=random), scattered)) is None


def test_a_stem_without_a_norm_says_nothing() -> None:
    filters = _filters(torch.Generator().manual_seed(0)).numpy()
    assert guess_units(ForeignConv("stem", filters, 2, 1, "tensorflow", "relu")) is None
    assert guess_units(ForeignConv("stem", np.full_like(filters, 3e38), 2, 1, "tensorflow", "relu")) is None
