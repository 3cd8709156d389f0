"""What a CPU cannot run, checked on a graphics card: one file a check, gates against float64 and peers' own kernels.

make gpu-check                                             on a machine with a CUDA device
PYTHONPATH=benchmarks:tests python -m gpu_check --device cpu    the part of each check that a CPU can run
"""
