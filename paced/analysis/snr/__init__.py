"""The lm_head gradient SNR: what the paper's Figure 3 measures, what that means, and what the theory needs.

    losses.py       named losses -> logit gradients and token coefficients
    plan.py         the cost rule: which algorithm, how large its blocks, how many bytes
    gram.py         the algorithms: K x K Gram matrix, or two running sums, without K gradients in memory
    estimators.py   Gram matrix -> signal, noise, the SNR forms          (numpy only)
    uncertainty.py  Gram matrix -> variances, split halves, sign flips   (numpy only)
    measure.py      models, prompts, completions -> hidden states -> Gram matrices -> one row per problem
    rows.py         Gram matrix -> every SNR form of a problem           (numpy only)
    bins.py         rows of problems -> the curve against pass rate; bin_intervals.py: its 95 % intervals   (numpy only)
    exponents.py    rows and counts -> the kernel that fits them; law.py: law of pass rates; power_law.py: equations
    command.py      ``paced snr RUN``
    tables.py       what the command left in a run folder -> the columns of the figure; figure.py draws them
    section.py      its part of the report
    tracking.py     the SNR along training

Importing this package loads no torch; the modules that need it are imported where they are used.
"""
