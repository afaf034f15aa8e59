"""ONNX models of other tools, whose neurons are written out as plain operators, captured as modules are.

1. ``file.py``: a file that was refused operator by operator; every reading of its axes, each with its proof.
2. ``straight.py``: loops and branches (``loops.py``) and lists (``lists.py``) written out into a row of operators
   (``row.py``), as often as sizes of the input say (``sizes.py``).
3. ``module.py``: the model as a torch module that runs its operators; ``tidy.py`` leaves out what nothing depends on,
   ``names.py`` tells which modules they come from, ``batches.py`` runs one size of batch as any other.
4. ``operator.py``: one operator's inputs and attributes, out of a model by ``prepared.py``; ``operators.py``: what each
   runs as, of which ``layers.py`` has the layers and ``forms.py`` what moves values.
"""
