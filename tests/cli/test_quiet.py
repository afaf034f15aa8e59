"""--quiet counts wherever it is written; results still come."""

import subprocess
import sys

import pytest

from spikeport.terminal.app import general_first


@pytest.mark.parametrize(
    "words", [["-q", "doctor"], ["doctor", "-q"], ["doctor", "--json", "--quiet", "-q"], ["doctor"]]
)
def test_quiet_stands_before_the_verb_and_the_rest_keeps_its_order(words):
    rest = [word for word in words if word not in ("-q", "--quiet")]
    assert general_first(words)[-len(rest) :] == rest
    assert len(general_first(words)) == len(rest) + (rest != words)


def test_plug_ins_are_read_before_the_verb_wherever_they_stand():
    words = ["train", "digits-conv", "--plugin", "a.py", "-q", "--out", "x", "--plugin", "b.py"]
    assert general_first(words) == ["-q", "--plugin", "a.py", "--plugin", "b.py", "train", "digits-conv", "--out", "x"]


def test_the_verb_takes_it():
    done = subprocess.run(
        [sys.executable, "-m", "spikeport", "evaluate", "digits-conv", "--data", "digits", "--quiet"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "% of 360 samples" in done.stdout
