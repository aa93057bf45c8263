"""The config.json beside a timm file: preprocessing and classes, and what is assumed without it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mobilenet.errors import ConfigError, ModelError
from mobilenet.images.preprocessing import Preprocessing
from mobilenet.weights.layers import ForeignConv
from mobilenet.weights.pixel_scale import guess_units, input_size

__all__ = ["Description", "read_description"]

_MAX_BYTES, _MAX_MESSAGE = 1 << 22, 600
_USUAL_SIDE = 224
_HARMLESS = {"num_classes", "in_chans", "drop_rate", "drop_path_rate", "global_pool"}
"""Arguments of timm's models that do not change the network, or are visible in its tensors."""


@dataclass(frozen=True, slots=True)
class Description:
    """As the fields with these names in `ForeignNetwork`."""

    resolution: int | None
    labels: tuple[str, ...] | None
    preprocessing: Preprocessing | None
    notes: tuple[str, ...]


def read_description(path: Path, stem: ForeignConv, classes: int | None) -> Description:
    """The description of the model file `path`; ModelError, one line, if its config.json is for another model.

    `classes`: None for a head that is not read; then nothing is said of classes.
    """
    file = path.with_name("config.json")
    if not file.is_file():
        return _undescribed(stem)
    try:
        config = _read(file)
        _check(config, classes)
        return _described(config, classes)
    except (ModelError, ConfigError) as error:
        reason = " ".join(str(error)[:_MAX_MESSAGE].split())
        raise ModelError(f"{file}, read with {path.name} beside it: {reason}") from error
    except (ValueError, TypeError, OverflowError) as error:
        raise ModelError(f"{file}, read with {path.name} beside it, is not what timm writes: {error}") from error


def _undescribed(stem: ForeignConv) -> Description:
    """timm's own MobileNet V1 files were trained on pixels from -1 to 1; for others the first batch norm tells."""
    units = guess_units(stem)
    if units is None and input_size(stem) != "scaled":
        return Description(_USUAL_SIDE, None, None, ("no config.json was found beside the file",))
    if units is None:
        note = "no config.json was found beside the file; (pixel - 127.5) / 127.5 is assumed, as in timm's own training"
        return Description(None, None, Preprocessing(_USUAL_SIDE), (note,))
    note = (
        "no config.json was found beside the file; the statistics of its first batch norm fit "
        f"{units.name}, which is assumed"
    )
    return Description(None, None, Preprocessing(_USUAL_SIDE, mean=units.mean, std=units.std), (note,))


def _read(file: Path) -> dict[str, Any]:
    """The description, with everything about photos under `pretrained_cfg`, even for older files without that key."""
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise ModelError(f"it has {file.stat().st_size:,} bytes; the limit is {_MAX_BYTES:,}")
        config = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"it is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelError(f"it is not an object but {type(config).__name__}")
    pretrained = config.get("pretrained_cfg") or config
    if not isinstance(pretrained, dict):
        raise ModelError(f"its pretrained_cfg is not an object but {type(pretrained).__name__}")
    return {**config, "pretrained_cfg": pretrained}


def _check(config: dict[str, Any], classes: int | None) -> None:
    """ModelError if it describes a different model than the tensors, or a modified one."""
    architecture = config.get("architecture")
    if not isinstance(architecture, str) or not architecture.startswith("mobilenetv1"):
        raise ModelError(
            f"its architecture is {architecture!r}, not a mobilenetv1 of timm; keep each model in its own folder"
        )
    if classes is not None and config.get("num_classes", classes) != classes:
        raise ModelError(f"it has num_classes {config['num_classes']}, but the tensors have {classes} classes")
    arguments = config.get("model_args") or {}
    if changed := sorted(set(arguments) - _HARMLESS):
        raise ModelError(f"its model_args change the network ({', '.join(changed)}); only timm's own is supported")


def _described(config: dict[str, Any], classes: int | None) -> Description:
    pretrained = config["pretrained_cfg"]
    labels = None if classes is None else _labels(config, classes)
    notes = []
    side = _side(pretrained.get("input_size"))
    if side is None or "mean" not in pretrained or "std" not in pretrained:
        raise ModelError("input_size, mean or std is missing; use the config.json that belongs to the file")
    mean, std = (_pixels(pretrained[name]) for name in ("mean", "std"))
    crop = pretrained.get("crop_pct")
    crop = None if crop is None or pretrained.get("crop_mode", "center") == "squash" else float(crop)
    larger = _side(pretrained.get("test_input_size"))
    if larger is not None and larger != side:
        notes.append(f"config.json gives {larger} pixels for evaluation; {side}, as in training, are used")
    return Description(side, labels, Preprocessing(side, crop, mean, std), tuple(notes))


def _side(size: Any) -> int | None:
    match size:
        case None:
            return None
        case [3, int() as height, int() as width] if height == width:
            return height
    raise ModelError(f"its input size is {size!r}; only [3, side, side] is supported")


def _pixels(values: Any) -> tuple[float, float, float]:
    """timm scales pixels to 0…1; here they are 0…255."""
    red, green, blue = (255 * float(value) for value in values)
    return red, green, blue


def _labels(config: dict[str, Any], classes: int) -> tuple[str, ...] | None:
    names = config.get("label_names") or config["pretrained_cfg"].get("label_names") or config.get("labels")
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(names) != classes:
        raise ModelError(f"its label_names are not {classes} strings, one per class")
    return tuple(names)
