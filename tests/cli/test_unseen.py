"""What proves or measures a model was not trained on: every set of photos is checked by the bytes of its files."""

import json
import shutil
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mobilenet.cli.main import main
from mobilenet.datasets import Photos
from mobilenet.export import export as export_run
from mobilenet.model.arrays import read_arrays, write_arrays

Capture = pytest.CaptureFixture[str]
_QUICK = ("--width", "0.1", "--resolution", "32", "--epochs", "1", "--batch-size", "8", "--device", "cpu")


@pytest.fixture(autouse=True)
def _quick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOBILENET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("mobilenet.export.proof.verify._TIMED_S", 0.01)


def _draw(folder: Path, count: int, seed: int = 0) -> Path:
    """`count` photos of dark and of bright noise each, no two alike."""
    random = np.random.default_rng(seed)
    for name, low in (("dark", 0), ("bright", 128)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            pixels = random.integers(low, low + 100, (40, 48, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{seed}-{number}.png")
    return folder


def _train(data: Path, run: Path, *options: str) -> Path:
    assert main(["train", str(data), *_QUICK, "--out", str(run), *options]) == 0
    return run


def _recorded(run: Path) -> dict[str, set[str]]:
    """Digests by split, from photos.jsonl."""
    found: dict[str, set[str]] = {"train": set(), "validation": set()}
    for line in (run / "photos.jsonl").read_text().splitlines():
        split, _, _, digest = json.loads(line)
        found[split].add(digest)
    return found


def _digests(*folders: Path) -> set[str]:
    files = [file for folder in folders for file in folder.rglob("*.png")]
    return {blake2b(file.read_bytes(), digest_size=16).hexdigest() for file in files}


Asked = Callable[..., tuple[set[str], set[str], str]]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> Asked:
    """`export(model, *options)`: digests of the photos that proved it, of those it was calibrated on, and what it says
    of them."""

    def exported(model: Path, *options: str) -> tuple[set[str], set[str], str]:
        chosen: list[Photos] = []
        choose = export_run.choose_photos

        def watched(*given: object, **named: object) -> object:
            found = choose(*given, **named)  # type: ignore[arg-type]
            chosen.extend((found.proof, found.calibration))
            return found

        with monkeypatch.context() as patch:
            patch.setattr(export_run, "choose_photos", watched)
            where = ["--out", str(tmp_path / "out"), "--format", "litert", "--precision", "float32", "--json"]
            capsys.readouterr()
            assert main(["export", str(model), *where, *options]) == 0
        proof, calibration = (
            {blake2b(photos.read(number), digest_size=16).hexdigest() for number in range(len(photos))}
            for photos in chosen
        )
        return proof, calibration, json.loads(capsys.readouterr().out)["photos"]

    return exported


def test_photos_that_validated_elsewhere_prove(tmp_path: Path, export: Asked) -> None:
    data, judges = _draw(tmp_path / "data", 10), _draw(tmp_path / "judges", 4, seed=1)
    run = _train(data, tmp_path / "run", "--val", str(judges))
    proof, calibration, says = export(run)
    assert proof == _digests(judges)
    assert calibration == _digests(data)
    assert says == "proven on 8 validation photos; calibrated on 20 others"


def test_a_list_of_photos_to_leave_out_does_not_move_the_split(tmp_path: Path, export: Asked) -> None:
    data = _draw(tmp_path / "data", 20)
    names = [f"{kind}/0-{number}.png" for kind in ("dark", "bright") for number in range(8)]
    (tmp_path / "list").write_text("\n".join(names))
    run = _train(data, tmp_path / "run", "--exclude", str(tmp_path / "list"))
    (tmp_path / "list").unlink()
    proof, calibration, says = export(run)
    assert (proof, calibration) == (_recorded(run)["validation"], _recorded(run)["train"])
    assert says == "proven on 2 validation photos; calibrated on 22 others"


@pytest.fixture
def grown(tmp_path: Path) -> tuple[Path, Path]:
    """A run, and its data after 60 photos came to the 20 that it knew."""
    data = _draw(tmp_path / "data", 10)
    run = _train(data, tmp_path / "run")
    _draw(data, 30, seed=1)
    return run, data


def test_photos_that_came_later_prove_nothing_and_move_nothing(grown: tuple[Path, Path], export: Asked) -> None:
    run, data = grown
    recorded = _recorded(run)
    assert len(recorded["validation"]) == 2
    proof, calibration, _ = export(run)
    assert (proof, calibration) == (recorded["validation"], recorded["train"])
    # Under another name too.
    moved = data.rename(data.with_name("moved"))
    proof, calibration, _ = export(run, "--data", str(moved))
    assert (proof, calibration) == (recorded["validation"], recorded["train"])


def test_grown_data_is_measured_on_the_recorded_photos(
    grown: tuple[Path, Path], tmp_path: Path, capsys: Capture
) -> None:
    run, data = grown
    capsys.readouterr()
    assert main(["evaluate", str(run), str(data), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["photos"] == 2
    assert err == "mobilenet: left out 60 photos that are not in the run's recorded split\n"
    trained, known = _recorded(run)["train"], _digests(data)
    for file in data.rglob("0-*.png"):
        if blake2b(file.read_bytes(), digest_size=16).hexdigest() not in trained:
            file.unlink()
    assert len(known - _digests(data)) == 2
    assert main(["evaluate", str(run), str(data)]) == 2
    assert capsys.readouterr().err == (
        f"mobilenet: none of the 2 validation photos recorded by the run are in {data}; to evaluate the model on new "
        "photos, put them in a folder of their own\n"
    )
    assert main(["export", str(run), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == (
        f"mobilenet: none of the 2 validation photos that the run recorded is in {data}; give photos that the network "
        "has not seen, with --data\n"
    )


def test_photos_moved_from_training_to_validation_do_not_count(tmp_path: Path, export: Asked, capsys: Capture) -> None:
    data = tmp_path / "data"
    _draw(data / "train", 10)
    _draw(data / "val", 4, seed=1)
    run = _train(data, tmp_path / "run")
    judges = _digests(data / "val")
    for number in range(3):
        name = f"dark/0-{number}.png"
        (data / "train" / name).rename(data / "val" / name)
    capsys.readouterr()
    assert main(["evaluate", str(run), str(data), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["photos"] == 8
    assert err == "mobilenet: left out 3 of 11 photos that were trained on\n"
    proof, calibration, says = export(run)
    assert proof == judges
    assert calibration == _digests(data / "train")
    assert (
        says == "proven on 8 validation photos; calibrated on 17 others; left out 3 of 11 photos that were trained on"
    )


@pytest.fixture
def bare(grown: tuple[Path, Path], tmp_path: Path) -> tuple[Path, Path, set[str]]:
    """A model file far from its run, which is gone, the grown data, and digests of the photos trained on."""
    run, data = grown
    trained = _recorded(run)["train"]
    (tmp_path / "elsewhere" / "deep").mkdir(parents=True)
    model = shutil.copy(run / "model.safetensors", tmp_path / "elsewhere" / "deep")
    shutil.rmtree(run)
    return Path(model), data, trained


def test_a_bare_file_knows_its_training_photos(
    bare: tuple[Path, Path, set[str]], tmp_path: Path, export: Asked, capsys: Capture
) -> None:
    model, data, trained = bare
    proof, calibration, says = export(model, "--data", str(data))
    assert proof
    assert not proof & trained
    assert not proof & calibration
    assert says.startswith(f"proven on {len(proof)} validation photos")
    for file in (model, tmp_path / "out" / "model-float32.tflite"):
        capsys.readouterr()
        assert main(["evaluate", str(file), str(data), "--json"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["photos"] == 62
        assert err == "mobilenet: left out 18 of 80 photos that were trained on\n"


def test_a_bare_file_is_not_measured_on_what_it_was_trained_on(
    bare: tuple[Path, Path, set[str]], tmp_path: Path, capsys: Capture
) -> None:
    model, data, trained = bare
    for file in data.rglob("*.png"):
        if blake2b(file.read_bytes(), digest_size=16).hexdigest() not in trained:
            file.unlink()
    message = f"mobilenet: the model was trained on all 18 photos in {data}; give photos that it has not seen instead\n"
    capsys.readouterr()
    assert main(["evaluate", str(model), str(data)]) == 2
    assert capsys.readouterr().err == message
    assert main(["export", str(model), "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == message
    assert not (tmp_path / "out").exists()


def test_a_file_without_that_knowledge_is_split_by_its_seed_as_ever(
    bare: tuple[Path, Path, set[str]], tmp_path: Path, export: Asked
) -> None:
    """The unchanged data: the split that training made."""
    data = _draw(tmp_path / "same", 10)
    proof, calibration, says = export(bare[0], "--data", str(data))
    assert says == "proven on 2 validation photos; calibrated on 18 others"
    assert calibration == bare[2]
    assert proof == _digests(data) - bare[2]


def test_copies_across_a_given_split_never_prove_what_they_calibrated(tmp_path: Path, export: Asked) -> None:
    run = _train(_draw(tmp_path / "data", 10), tmp_path / "run")
    other = tmp_path / "other"
    _draw(other / "train", 10, seed=2)
    _draw(other / "val", 4, seed=3)
    for number in range(3):
        shutil.copy(other / "val" / "dark" / f"3-{number}.png", other / "train" / "dark")
    proof, calibration, _ = export(run, "--data", str(other))
    assert len(proof) == 8
    assert not proof & calibration


def test_a_folder_without_classes_proves_on_photos_not_trained_on(tmp_path: Path, export: Asked) -> None:
    data = _draw(tmp_path / "data", 10)
    run = _train(data, tmp_path / "run")
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, file in enumerate(sorted(data.rglob("*.png"))):
        shutil.copy(file, flat / f"{number}.png")
    proof, _, says = export(run, "--data", str(flat))
    assert proof == _recorded(run)["validation"]
    assert "accuracy is not compared" in says


def test_a_run_without_a_record_still_works_and_says_so(tmp_path: Path, export: Asked, capsys: Capture) -> None:
    data = _draw(tmp_path / "data", 20)
    (tmp_path / "list").write_text("dark/0-1.png\nbright/0-3.png\n")
    run = _train(data, tmp_path / "run", "--exclude", str(tmp_path / "list"))
    recorded = _recorded(run)
    (run / "photos.jsonl").unlink()
    proof, _, says = export(run)
    assert proof == recorded["validation"]
    note = "the run has no photos.jsonl, so its split is recreated from the seed; photos added since may change it"
    assert says.endswith(note)
    capsys.readouterr()
    assert main(["evaluate", str(run), str(data), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["photos"] == 4
    assert err.splitlines() == [f"mobilenet: excluded by {tmp_path / 'list'}: 2 photos", f"mobilenet: {note}"]


def test_a_damaged_record_proves_nothing(tmp_path: Path, capsys: Capture) -> None:
    run = _train(_draw(tmp_path / "data", 10), tmp_path / "run")
    with (run / "photos.jsonl").open("a") as file:
        file.write('["train", "dark/x.png", "dark", "00"]\n')
    capsys.readouterr()
    assert main(["export", str(run)]) == 2
    assert "photos.jsonl, line 21, is damaged, so the training photos are unknown" in capsys.readouterr().err


def test_a_run_without_any_record_measures_nothing_once_its_data_has_changed(tmp_path: Path, capsys: Capture) -> None:
    data = _draw(tmp_path / "data", 10)
    run = _train(data, tmp_path / "run")
    (run / "photos.jsonl").unlink()
    card, arrays = read_arrays(run / "model.safetensors")
    del card.provenance["data"]["trained_on"]
    write_arrays(run / "model.safetensors", card, arrays)
    capsys.readouterr()
    assert main(["evaluate", str(run), str(data), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["photos"] == 2
    _draw(data, 3, seed=1)
    assert main(["evaluate", str(run), str(data)]) == 2
    assert capsys.readouterr().err == (
        f"mobilenet: {data} contains 26 photos, 20 when the model was trained, and the run does not record which it "
        "was trained on; give photos that it has not seen\n"
    )


def test_grown_data_under_the_names_of_other_systems(tmp_path: Path, capsys: Capture) -> None:
    """The same photos in a CSV file, by a model file alone: what was trained on is left out by its bytes."""
    data = _draw(tmp_path / "data", 10)
    run = _train(data, tmp_path / "run")
    recorded = _recorded(run)
    _draw(data, 6, seed=1)
    rows = [f"data\\{file.parent.name}\\{file.stem}.PNG;{file.parent.name}" for file in sorted(data.rglob("*.png"))]
    (tmp_path / "data.csv").write_text("\n".join(["path;class", *rows, "data\\gone.png;dark"]))
    model = shutil.copy(run / "model.safetensors", tmp_path / "alone.safetensors")
    for asked in (run, model):
        capsys.readouterr()
        assert main(["evaluate", str(asked), str(tmp_path / "data.csv"), "--json"]) == 0
        out, err = capsys.readouterr()
        assert json.loads(out)["photos"] == 32 - len(recorded["train"])
        assert f"mobilenet: left out {len(recorded['train'])} of 33 photos that were trained on" in err.splitlines()
        assert [photo["file"] for photo in json.loads(out)["left_out"]] == ["data\\gone.png"]
