"""What a recipe needs before money is spent: memory of every phase, work, hours, disk; no accelerator and no weights.

devices.py    accelerators: memory and rates from their makers' pages
models.yaml   configurations of well-known models; shapes.py reads these, a folder's, or the hub's cache
layers.py     what one layer of a model keeps and needs, by running it on tensors without memory
memory.py     the phases of a training step on one device, part by part
sampling.py   rollouts, references and evaluation
inputs.py     how many problems there are and how long sequences are: counted, or assumed and said so
work.py       tokens and operations of every phase
hours.py      from operations to hours, by stated rates
disk.py       what the run folder will hold
fits.py       settings that would make it fit, each computed
make.py       the whole plan of a recipe
report.py     its tables
"""
