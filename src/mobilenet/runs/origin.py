"""The origin of a model: the run that produced it, and the photos that it was trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mobilenet.datasets.remote.urls import full_name
from mobilenet.model.card import ModelCard
from mobilenet.runs.config import RunConfig, read_config
from mobilenet.runs.folder import RunFolder
from mobilenet.runs.split import RecordedSplit, read_split
from mobilenet.runs.trained_on import TrainedOn

__all__ = ["Origin", "read_origin"]


@dataclass(frozen=True, slots=True)
class Origin:
    """`config` and `split` are those of the run: None for a model file on its own, or if the run has no recorded split;
    `trained_on` is None if the training photos are unknown. `seed` is that of the split."""

    config: RunConfig | None
    split: RecordedSplit | None
    trained_on: TrainedOn | None
    seed: int

    @property
    def validation(self) -> Path | None:
        """The separate validation photos that the run was given; None if there are none."""
        return None if self.config is None else self.config.path("settings", "validation")

    @property
    def exclude(self) -> Path | None:
        """The list of photos that the run left out."""
        return None if self.config is None else self.config.path("settings", "exclude")

    @property
    def made_split(self) -> str | None:
        """A description of the split that the run made; None if the split was given."""
        split = None if self.config is None else self.config.text("data", "split")
        return split if split and split.startswith("made") else None

    @property
    def photos(self) -> int | None:
        """How many photos the run found in its data; None if it does not say."""
        if self.config is None:
            return None
        train, validation = (self.config.number("data", name) for name in ("train_photos", "validation_photos"))
        if train is None or validation is None:
            return None
        left_out = self.config.section("data").get("left_out")
        return int(train + validation) + (len(left_out) if isinstance(left_out, list) else 0)

    def is_data(self, data: Path) -> bool:
        """Whether the run was trained on the data set at this path."""
        root = None if self.config is None else self.config.path("data", "root")
        return root is not None and full_name(root) == full_name(data)

    def holds_most(self, digests: Sequence[bytes]) -> bool:
        """Whether most of the run's training photos are among these, whatever their current names."""
        return self.split is not None and 2 * len(self.split.training.intersection(digests)) > len(self.split.training)


def read_origin(model: Path, card: ModelCard) -> Origin:
    """The origin of `model`, a run folder or a model file with that card; DataError or ModelError if it is damaged.

    The run of a model file is in its folder or the parent folder, with the same data as the card if both record it.
    """
    folders = (model,) if model.is_dir() else (model.parent, model.absolute().parent.parent)
    for folder in map(RunFolder, folders):
        if not folder.is_run:
            continue
        config = read_config(folder.path)
        if _is_of(card, config, sure=folder.path in (model, model.parent)):
            split = read_split(folder.photos)
            trained_on = TrainedOn.of_card(card) if split is None else TrainedOn.of_split(split)
            return Origin(config, split, trained_on, _seed(card, config))
    return Origin(None, None, TrainedOn.of_card(card), _seed(card, None))


def _is_of(card: ModelCard, config: RunConfig, *, sure: bool) -> bool:
    data = card.provenance.get("data")
    said = data.get("hash") if isinstance(data, dict) else None
    recorded = config.text("data", "hash")
    return sure if said is None or recorded is None else said == recorded


def _seed(card: ModelCard, config: RunConfig | None) -> int:
    settings = card.provenance.get("settings")
    said = settings.get("seed") if isinstance(settings, dict) else None
    recorded = None if config is None else config.number("settings", "seed")
    seed = recorded if recorded is not None else said
    return int(seed) if isinstance(seed, int | float) else 0
