"""Stands for `python -m hetreg train` and `evaluate` in tests of the panel: speaks the protocol, no more.

argv: as for python. FAKE_TRAINER in the environment: "crash" in the middle, "messy", "long", "deaf" to stop,
"slow" (a check or an evaluation), "failing" (an evaluation of which one case fails), "single" (it has one
case), "empty" (it has none), "unvalidated" (no pair for validation), "refused" (the settings are no good).
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

MODE = os.environ.get("FAKE_TRAINER", "")
STEPS = 4000 if MODE in ("long", "deaf", "unvalidated") else 40


def say(event, **content):
    print(json.dumps({"event": event, "time": time.time(), **content}), flush=True)


def after(name):
    return Path(sys.argv[sys.argv.index(name) + 1])


def heard():
    """The word in the control file, "" where there is none."""
    file = after("--control")
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


def obey(output, step):
    """Do what the control file says; while paused, look again and again."""
    paused, word = False, heard()
    while paused or word == "pause":
        if word and paused != (word == "pause"):
            paused = not paused
            say("paused" if paused else "resumed")
        time.sleep(0.01)
        word = heard() or word
    if word == "stop" and MODE != "deaf":
        (output / "last.ckpt").write_text(str(step))
        say("stopped", step=step)
        sys.exit(0)


def preview(output, step):
    import numpy as np
    import SimpleITK as sitk

    folder = output / "preview"
    folder.mkdir(exist_ok=True)
    for name in ("fixed", "moved", "noise_sd", "weight"):
        array = np.random.default_rng(step).random((1, 16, 16), dtype=np.float32)
        sitk.WriteImage(sitk.GetImageFromArray(array), folder / f"{name}.nrrd")
    say("preview", step=step, folder=str(folder))


def evaluate():
    """Three cases; dice_2 is 0.6, 0.7, 0.8, the first one missing if it is to fail."""
    output = after("--output")
    if MODE == "empty":
        say("error", message="No case is in split 'test': at least one is accepted.")
        sys.exit(2)
    rows = []
    count = 1 if MODE == "single" else 3
    for n in range(count):
        say("progress", fraction=n / 3, message=f"Case {n + 1} of 3: a{n}")
        time.sleep(2.0 if MODE == "slow" else 0.02)
        failed = MODE == "failing" and n == 0
        row = {"case": f"a{n}", "patient": "a", "split": "test", "error": "no image" if failed else ""}
        rows.append(row | ({} if failed else {"dice_2": 0.6 + n / 10, "dice_2_before": 0.5}))
        say("case", **rows[-1])
    output.mkdir(parents=True, exist_ok=True)
    lines = [
        f"{r['case']},a,test,{r['error']},{r.get('dice_2', '')},{r.get('dice_2_before', '')}" for r in rows
    ]
    head = "case,patient,split,error,dice_2,dice_2_before"
    (output / "metrics.csv").write_text("\n".join([head, *lines]) + "\n")
    counts = {"cases": count, "failed": sum(bool(row["error"]) for row in rows), "patients": 1}
    sd = float("nan") if MODE == "single" else 0.1
    means = {"dice_2": {"mean": 0.7, "sd": sd, "median": 0.7, "n": count}}
    means["dice_2_before"] = {"mean": 0.5, "sd": 0.0, "median": 0.5, "n": 3}
    curve = {"fraction": [0.0, 0.5], "by_uncertainty": [0.2, 0.1], "oracle": [0.2, 0.05], "cases": count}
    summary = {"counts": counts, "label": 2, "cases": means}
    summary["curves"] = {"sparsification": curve}
    (output / "summary.json").write_text(json.dumps(summary))
    (output / "report.html").write_text("<html></html>")
    say("result", summary=summary, files={})


def listed(config):
    """The events of a dry run: two pairs and two files that are none."""
    time.sleep(0.5 if MODE == "slow" else 0.0)
    pair = {"patient": "a", "size": [32, 32], "spacing_mm": [1.25, 1.25]}
    pairs = [
        {"case": "a1", "split": "training", "labels": "both", "note": "", **pair},
        {"case": "a2", "split": "test", "labels": "none", "note": "frame 31 of 30", **pair},
    ]
    rejected = [
        {"file": "notes.txt", "reason": f"no image in {config['root']}"},
        {"file": "x_ED.nrrd", "reason": "x_ED.nrrd has no partner: " + "one more word of it, " * 12},
    ]
    say("dry_run", pairs=pairs, rejected=rejected)


def disturb():
    """What comes between the events, or beside them."""
    if MODE == "deaf":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print(f"child {child.pid}", flush=True)
    if MODE == "messy":
        print("Warning: something", file=sys.stderr, flush=True)
        sys.stdout.buffer.write(b'\x1b[31m 10%\r 20%\r 30%\n{broken json\n[1]\n\xff\xfe\n{"event": "st')
        sys.stdout.buffer.flush()
        time.sleep(0.1)
        print('ep", "step": 0, "loss": 9.0}', flush=True)


def validate(output, step, *, held):
    """held: whether there are pairs for it."""
    found = {"dice": 0.8 + step / 1000, "mse": 0.1, "folding": 0.0}
    found = found if held else dict.fromkeys(found)
    say("validation", step=step, **found, loss=0.1)
    (output / "best.pt").write_bytes(b"weights")
    if held:
        preview(output, step)


def train(config):
    output = after("--output")
    output.mkdir(parents=True, exist_ok=True)
    first = int((output / "last.ckpt").read_text()) if (output / "last.ckpt").is_file() else 0
    (output / "config.json").write_text(json.dumps(config))
    validation = 0 if MODE == "unvalidated" else 2
    say("data", training=8, validation=validation, test=2)
    disturb()
    for step in range(first + 1, STEPS + 1):
        obey(output, step)
        losses = {"loss": 1.0 / step, "variance_loss": -step}
        say("step", step=step, steps=STEPS, epoch=1, **losses, eta_seconds=STEPS - step)
        if step % 10 == 0:
            validate(output, step, held=validation > 0)
        if MODE == "crash" and step == STEPS // 2:
            (output / "last.ckpt").write_text(str(step))
            print("CUDA error: an illegal memory access was encountered", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep({"long": 0.1, "deaf": 0.1, "unvalidated": 0.05}.get(MODE, 0.02))
    say("done", model=str(output / "best.pt"))


def main():
    assert sys.argv[1:3] == ["-m", "hetreg"], sys.argv
    if sys.argv[3] == "evaluate":
        evaluate()
        return
    assert sys.argv[3] == "train", sys.argv
    config = json.loads(after("--config").read_text(encoding="utf-8"))
    if MODE == "refused":
        say("error", message="Device 'cuda' is not available here: accepted are auto, cpu.")
        sys.exit(2)
    if "--dry-run" in sys.argv:
        listed(config)
    else:
        train(config)


main()
