"""ONNX models of other tools, whose neurons are written out as plain operators, captured as modules are.

1. ``file.py``: a file that was refused operator by operator; every reading of its axes, each with its proof.
2. ``module.py``: the model as a torch module that runs its operators; ``tidy.py`` leaves out what nothing depends on,
   ``names.py`` tells which modules they come from, ``batches.py`` runs one size of batch as any other.
3. ``operator.py``: one operator's inputs and attributes; ``operators.py``: what each runs as, of which ``layers.py``
   has the layers and ``forms.py`` what moves values.
"""
