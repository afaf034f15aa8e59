"""JapaneseVowels: nine men say "ae"; who speaks? 12 cepstral coefficients a frame, 7 to 29 frames an utterance.

Kudo, Toyama and Shimbo, Pattern Recognition Letters 20 (1999) 1103-1111; UCI, doi 10.24432/C5NS47, CC BY 4.0. Read from
the two files of unequal length that the package ``aeon`` carries (.ts: dimensions between colons, the class last).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikeport.datasets import Arrays, Source, Split
from spikeport.findings import fail
from spikeport_models.datasets.parts import indices_of
from spikeport_models.datasets.places import Place

LONGEST = 29  #: frames of the longest utterance
COEFFICIENTS, SPEAKERS = 12, 9
LEVELS = 16  #: of a coefficient as a number of events: an input channel of Xylo takes 15 a step
LONGER = f"run {LONGEST} timesteps or more"
FILES = {"train": "JapaneseVowels_TRAIN.ts", "test": "JapaneseVowels_TEST.ts"}


def place() -> Place:
    """Where the files may be: below the data folders, or in the package that carries them (nothing is imported)."""
    spec = find_spec("aeon")
    folders = spec.submodule_search_locations or [] if spec else []
    return Place(
        "japanese-vowels",
        inside=("japanese-vowels", "JapaneseVowels"),
        needs=tuple(FILES.values()),
        fixed=tuple(f"{folder}/datasets/data/JapaneseVowels" for folder in folders),
        get="get the package aeon (pip install aeon) that carries it, or the .ts files of timeseriesclassification.com",
    )


def read_ts(path: Path) -> tuple[list[NDArray[np.float32]], NDArray[np.int64]]:
    """The utterances [frames, 12] of one file, and speakers 0 to 8. Raises SP362 for a damaged one."""
    sequences, labels = [], []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        for line in lines[lines.index("@data") + 1 :]:
            *dimensions, label = line.split(":")
            rows = np.array([np.fromstring(each, np.float32, sep=",") for each in dimensions])
            if len(rows) != COEFFICIENTS or not np.isfinite(rows).all() or not 1 <= rows.shape[1] <= LONGEST:
                raise ValueError(f"an utterance of shape {rows.shape}")
            sequences.append(rows.T)
            labels.append(range(SPEAKERS)[int(label) - 1] if int(label) > 0 else int("no speaker"))
    except (OSError, UnicodeDecodeError, ValueError, IndexError) as error:
        fail("SP362", f"is no whole file of JapaneseVowels ({error})", where=str(path), mend="get the file again")
    return sequences, np.array(labels, np.int64)


def utterances(
    split: Split, folder: Path | None, timesteps: int
) -> tuple[list[NDArray[np.float32]], NDArray[np.int64]]:
    """The utterances [frames, 12] and speakers of a split: 270 for training, of which a tenth validates, and 370.

    Raises SP363 for fewer steps than the longest utterance has.
    """
    if timesteps < LONGEST:
        fail("SP363", f"the longest utterance has {LONGEST} frames, the model runs {timesteps} timesteps", mend=LONGER)
    sequences, y = read_ts(place().find(folder) / FILES["test" if split == "test" else "train"])
    if split == "test":
        return sequences, y
    chosen = indices_of(y, split, val=0.1)
    return [sequences[number] for number in chosen], y[chosen]


def vowels(split: Split, folder: Path | None = None, timesteps: int = LONGEST) -> Arrays:
    """x [T, N, 12] and speakers [N]; every utterance ends at the last step.

    It begins where its length says; until then its first frame is held. So all are complete at the same step, and a
    readout of the last step reads each at its own end. Raises SP363 for fewer steps than the longest utterance has.
    """
    sequences, y = utterances(split, folder, timesteps)
    x = np.zeros((timesteps, len(sequences), COEFFICIENTS), np.float32)
    for number, sequence in enumerate(sequences):
        x[timesteps - len(sequence) :, number] = sequence
        x[: timesteps - len(sequence), number] = sequence[0]
    return x, y


def padded(split: Split, folder: Path | None = None, timesteps: int = LONGEST) -> Arrays:
    """x, speakers and lengths [N] of 7 to 29; every utterance begins at step 0, with zeros behind its end."""
    sequences, y = utterances(split, folder, timesteps)
    x = np.zeros((timesteps, len(sequences), COEFFICIENTS), np.float32)
    for number, sequence in enumerate(sequences):
        x[: len(sequence), number] = sequence
    return x, y, np.array([len(sequence) for sequence in sequences], np.int64)


def counts(split: Split, folder: Path | None = None, timesteps: int = LONGEST) -> Arrays:
    """The same as numbers of events, 0 ... 15 a coefficient and step, for chips that count: x of `vowels` in LEVELS.

    Each coefficient is rounded to sixteen levels between its least and its largest value of the training utterances;
    what lies outside takes the first or the last.
    """
    x, y, *_ = vowels(split, folder, timesteps)
    rows = np.concatenate(read_ts(place().find(folder) / FILES["train"])[0])
    low, high = rows.min(0), rows.max(0)
    return np.clip(np.rint((x - low) / (high - low) * (LEVELS - 1)), 0, LEVELS - 1).astype(np.float32), y


SOURCE = Source(vowels, SPEAKERS, "events", status=lambda: place().status(), other_names=("vowels",))
PADDED = Source(padded, SPEAKERS, "events", status=lambda: place().status(), other_names=("vowels-padded",))
COUNTS = Source(counts, SPEAKERS, "events", status=lambda: place().status(), other_names=("vowels-counts",))
