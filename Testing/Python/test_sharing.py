"""What docs/command-line.md says of files that may be shared is so: these name no patient and no folder."""

from __future__ import annotations

from pathlib import Path

from builders import pair_2d
from hetreg import cli
from hetreg.image import write_image

PATIENT, FOLDER = "Hans_1950", "home of jdoe"


def holding(folder: Path, word: str) -> set[str]:
    """Files that hold the word, in their names or in what is in them."""
    files = (p for p in folder.rglob("*") if p.is_file())
    found = {p.relative_to(folder) for p in files if word in p.name or word.encode() in p.read_bytes()}
    return {p.parts[0] for p in found}


def test_a_trained_model_names_no_patient_and_no_folder(tmp_path):
    data, run, out = (tmp_path / FOLDER / name for name in ("data", "run", "out"))
    data.mkdir(parents=True)
    for image, phase in zip(pair_2d(), ("ES", "ED"), strict=True):
        write_image(image, data / f"{PATIENT}_{phase}.nrrd")
    flags = ["--dataset=pairs", "--size=tiny", "--steps=1", "--batch=1", "--crop=16", "--device=cpu"]
    assert cli.main(["train", *flags, f"--root={data}", f"--output={run}"]) == 0
    assert {"best.pt", "last.ckpt", "model_card.md"} <= {p.name for p in run.iterdir()}
    assert (holding(run, PATIENT), holding(run, FOLDER)) == ({"split.json"}, {"config.json"})
    pair = [f"--fixed={data / PATIENT}_ES.nrrd", f"--moving={data / PATIENT}_ED.nrrd", f"--output={out}"]
    assert cli.main(["register", *pair, "--model", str(run / "best.pt")]) == 0
    assert holding(out, PATIENT) == holding(out, FOLDER) == {"report.json"}
