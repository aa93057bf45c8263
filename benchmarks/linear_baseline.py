"""The accuracy of a linear classifier on raw pixels: the baseline that a network has to beat.

    python benchmarks/linear_baseline.py DATA [--sides 32,96]

DATA contains train/CLASS/*.jpg and validation/CLASS/*.jpg. For each side every photo is stretched to side × side × 3
pixels, each pixel is standardised over the training photos, and a multinomial logistic regression is fitted with
L-BFGS for each of a range of L2 penalties. The best validation accuracy over the penalties is printed, which flatters
the linear classifier: the penalty is chosen on the photos that it is evaluated on.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""L2 penalties, per weight, of the mean loss."""


def pixels(folder: Path, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """All photos of a split: (N, side * side * 3) float32, 0–255, and (N,) int64 labels."""
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    rows, labels = [], []
    for label, name in enumerate(classes):
        for path in sorted((folder / name).iterdir()):
            with Image.open(path) as photo:
                small = photo.convert("RGB").resize((side, side), Image.Resampling.BOX)
            rows.append(np.asarray(small).ravel())
            labels.append(label)
    return torch.from_numpy(np.stack(rows)).float(), torch.tensor(labels)


def fit(images: torch.Tensor, labels: torch.Tensor, penalty: float, steps: int = 150) -> torch.Tensor:
    """Weights (features + 1, classes) of the logistic regression; the last row is the bias, which is not penalised."""
    weights = torch.zeros(images.shape[1] + 1, int(labels.max()) + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=steps, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        total = torch.nn.functional.cross_entropy(images @ weights[:-1] + weights[-1], labels)
        total = total + penalty / 2 * (weights[:-1] ** 2).sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weights.detach()


def accuracy(weights: torch.Tensor, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Top-1 accuracy, 0–1."""
    return float(((images @ weights[:-1] + weights[-1]).argmax(1) == labels).float().mean())


def measure(data: Path, side: int) -> dict[str, object]:
    """The best linear classifier on photos of `side` pixels, with its accuracy on both splits."""
    train, train_labels = pixels(data / "train", side)
    validation, validation_labels = pixels(data / "validation", side)
    mean, deviation = train.mean(0), train.std(0) + 1e-6
    train, validation = (train - mean) / deviation, (validation - mean) / deviation
    results = []
    for penalty in PENALTIES:
        weights = fit(train, train_labels, penalty)
        on_train = accuracy(weights, train, train_labels)
        results.append((accuracy(weights, validation, validation_labels), on_train, penalty))
    best = max(results)
    return {"side": side, "validation_top1": best[0], "train_top1": best[1], "penalty": best[2]}


def main() -> None:
    """Print one JSON line for each side."""
    parser = argparse.ArgumentParser(description="Accuracy of a linear classifier on raw pixels.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--sides", default="32,96", help="sides in pixels, separated by commas")
    arguments = parser.parse_args()
    for side in arguments.sides.split(","):
        print(json.dumps(measure(arguments.data, int(side))), flush=True)


if __name__ == "__main__":
    main()
