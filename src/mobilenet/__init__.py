"""Budget in, proven model out: MobileNets that fit a small device, trained on your own photos."""

__version__ = "0.1.0"

__all__ = ["__version__"]
