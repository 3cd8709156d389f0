"""Gradient anatomy: how large, how coherent and how useful the gradients of each pass-rate group are.

    gradients.py    a problem's loss -> gradient of every parameter
    rows.py         gradients of a group -> size, coherence, cosines with intervals   (numpy only)
    command.py      ``paced anatomy RUN``; figure.py draws its rows, section.py is its part of the report

Importing this package loads no torch.
"""
