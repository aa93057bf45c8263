"""Optional packages, and the extra in pyproject.toml that installs each."""

__all__ = ["EXTRAS", "missing_package", "pip_install"]

EXTRAS = {
    "ai_edge_litert": "litert",
    "alembic": "track",
    "av": "video",
    "braceexpand": "hub",
    "defusedxml": "boxes",
    "flatbuffers": "litert",
    "fsspec": "hub",
    "h5py": "train",
    "hotcoco": "boxes",
    "huggingface_hub": "hub",
    "jinja2": "train",
    "matplotlib": "plot",
    "mlflow": "track",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "pyarrow": "hub",
    "s2geometry": "places",
    "sqlalchemy": "track",
    "tensorboard": "train",
    "tflite": "litert",
    "torch": "train",
    "voyager": "similar",
    "yaml": "boxes",
}
"""By import name; if several extras bring a package, the smallest."""


def pip_install(package: str) -> str:
    """The command that installs a package of `EXTRAS`: `pip install 'mobilenet[train]'`."""
    return f"pip install 'mobilenet[{EXTRAS[package]}]'"


def missing_package(error: ModuleNotFoundError) -> str | None:
    """`needs torch; pip install 'mobilenet[train]'`, to follow a subject; None for a package that no extra brings."""
    package = (error.name or "").split(".")[0]
    return f"needs {package}; {pip_install(package)}" if package in EXTRAS else None
