"""What the file of another tool does not say and how it was read: a finding each, with the option that changes it."""

from __future__ import annotations

from collections.abc import Iterator

from spikeport.findings import Finding
from spikeport.formats.nir.draft import Draft

RESETS = {
    "file": "to v_reset of the file",
    "zero": "to zero",
    "subtract": "by subtracting the threshold",
    "subtract-late": "by subtracting the threshold one step later",
    "none": "not at all",
}
DRIVES = {
    "decayed": "x is added to the current before it decays, whatever r says",
    "unit": "x enters leaky nodes with gain 1, whatever r says",
    "jump": "x is added to synaptic currents whole, whatever tau_syn says",
}
STARTS = {"zero": "0", "leak": "v_leak", "reset": "v_reset"}


def choices(work: Draft) -> list[Finding]:
    """Every choice that mattered for this file."""
    return [*_equations(work), *_reset(work), *_bound(work), *_followed_in_part(work), _coding(work), *work.notes]


def _note(what: str, flag: str) -> Finding:
    return Finding("SP216", what, mend=f"{flag} changes it", severity="note")


def _equations(work: Draft) -> Iterator[Finding]:
    c = work.conventions
    clock = {"option": "NIR has no dt", "r": "Rockpool hides dt in r", "tau": "judged by the size of tau"}[c.clock]
    said = {
        "dt": (f"a step is taken as dt = {c.dt:g} s, discretised by {c.rule}: {clock}", "--dt or --nir rule=..."),
        "drive": (DRIVES.get(c.drive, ""), "--nir drive=equation"),
        "delay": (f"delays are counted in steps of dt = {c.dt:g} s", "--dt"),
        "step": ("r of integrating neurons is taken as a step's: x enters as r x", "--nir integrator=seconds"),
        "seconds": (
            f"r of integrating neurons is taken as a second's: x enters as dt r x, dt = {c.dt:g} s",
            "--nir integrator=step",
        ),
        "compare": (f"neurons fire where v {c.compare} v_threshold", "--nir compare=..."),
        "start": (f"membranes start at {STARTS[c.start]}", "--nir start=..."),
        "v_reset": ("v_reset is not in the file and is taken as zero", "--nir reset=..."),
        "spikes": ("neurons fire as many times in a step as v holds thresholds", "--nir spikes=one"),
        "output": (f"the output layer does not spike; its {c.output} over time is read", "--nir output=..."),
    }
    return (_note(*said[key]) for key in said if key in work.seen)


def _reset(work: Draft) -> Iterator[Finding]:
    c = work.conventions
    if "reset" not in work.seen:
        return
    despite = "" if c.reset == "file" else ", whatever v_reset says"
    others = ", ".join(reset for reset in RESETS if reset != c.reset)
    yield _note(f"neurons reset {RESETS[c.reset]}{despite}", f"--nir reset={others}")
    if c.written_by != "snntorch":
        return
    if "reset" not in c.told:
        yield Finding(
            "SP221",
            "which reset the neurons have is not in the file: snnTorch writes v_reset = 0 for subtract, zero and none",
            why="subtract, its default, which acts one step late, is taken; with another the spikes are others.",
            mend="say it: --nir reset=subtract-late, reset=zero, reset=none, or reset=subtract for reset_delay=False",
            severity="substituted",
        )
    recurrent = "CubaLIF" in {raw.kind for raw in work.flat.nodes.values()} or any(
        f.code == "SP214" for f in work.notes
    )
    part = {
        "subtract": "snnTorch with reset_delay=False subtracts again a step later where v stays above the threshold",
        "zero": "snnTorch's Synaptic and RLeaky lose the input of the step after a spike, unless reset_delay=False",
    }
    if c.reset == "subtract" or (c.reset == "zero" and recurrent):
        why, mend = "no node does that.", "nothing, if no membrane gets that far, or reset_delay was False"
        yield Finding("SP218", part[c.reset], why=why, mend=mend, severity="substituted")


def _bound(work: Draft) -> Iterator[Finding]:
    c = work.conventions
    if "bound" not in work.seen:
        return
    if c.bound != "none":
        words = "minus its threshold, of IF" if c.bound == "threshold" else f"{c.bound:g}"
        yield _note(f"no membrane stays below {words}", "--nir bound=none")
    elif c.written_by == "sinabs" and "bound" not in c.told:
        yield Finding(
            "SP221",
            "whether membranes have a lower bound is not in the file: Sinabs writes no min_v_mem",
            why="none is taken, the default of its layers; from_model sets -1, its reader of files -threshold for IF.",
            mend="say it: --nir bound=-1 (what min_v_mem was), bound=threshold, or bound=none",
            severity="substituted",
        )


def _followed_in_part(work: Draft) -> Iterator[Finding]:
    c = work.conventions
    if c.decays == "4096ths" and "dt" in work.seen:
        yield Finding(
            "SP218",
            f"decays are rounded to whole 4096ths, by up to {work.rounded:.2g}",
            why="SLAYER holds them so; it also cuts its states to 1/4096 towards zero, which is not done here.",
            mend="--nir decays=exact keeps them as the file says",
            severity="substituted",
        )


def _coding(work: Draft) -> Finding:
    coding = "a frame each step" if work.conventions.coding == "events" else "the same frame at every step"
    what = f"the input is {coding}; the file sets no number of steps: {work.timesteps} unless its frames say more"
    return _note(what, "--timesteps, --frames or --nir coding=...")
