"""Claims about convergence: Proposition 8, Eq. (39)-(45), and what the noise floor may be compared with."""

from __future__ import annotations

import mpmath
import numpy as np

from paced.theory.facts.convergence import (
    best_learning_rate,
    best_sgd_bound,
    sgd_bound,
    stationary_squared_gradient,
    weighted_curvature,
)
from paced.theory.facts.variance import variance_terms
from paced.theory.ledger.claim import Check, Claim, Counterexample, Outcome, Result, Verdict
from paced.theory.ledger.engines import (
    agree,
    all_of,
    holds_for_all,
    refuted,
    supported,
    symbolic_zero,
    unsatisfiable,
    zero_for_any_number,
)


# --- Eq. (39)-(44) ----------------------------------------------------------------------------------------------------
def _derive_bound(drop: int = 0) -> Outcome:
    """From Eq. (42) for a step to Eq. (43) and (44), for any number of steps; e is the slack of a step's inequality.

    By induction on the steps: the fall of the loss is that of the sums of g, of V and of the slack.
    """
    import sympy

    eta, lip = sympy.symbols("eta L", positive=True)
    g, e, var = sympy.symbols("g e V", real=True)
    steps, fall, squares, slack = sympy.symbols("T Delta G E", real=True)
    growth = {steps: 1, squares: g, slack: e, fall: eta * g - eta**2 * lip / 2 * (g + var) + e}
    of_sums = eta * squares - eta**2 * lip / 2 * (squares + steps * var) + slack
    bound = 2 * of_sums / (eta * steps) + eta * lip * var * (1 - drop)
    left_over = (1 - eta * lip) * squares / steps + 2 * slack / (eta * steps)
    return all_of(
        zero_for_any_number(fall - of_sums, growth),
        symbolic_zero(bound - squares / steps - left_over),
        detail="bound - mean = (1 - eta L) mean + slack >= 0 for eta <= 1/L",
    )


def _step_over_the_reals(largest: int = 1) -> Outcome:
    """Eq. (42) gives (eta/2) g <= l - l' + eta² L V/2 as long as eta L <= largest = 1."""
    import z3

    eta, lip, var, g, before, after = z3.Reals("eta L V g l l_next")
    hypotheses = [eta > 0, lip > 0, var >= 0, g >= 0, eta * lip <= largest]
    step = after <= before - eta * g + eta * eta * lip / 2 * (g + var)
    return unsatisfiable(*hypotheses, step, eta / 2 * g > before - after + eta * eta * lip * var / 2)


def _bound_numbers() -> Outcome:
    outcomes = []
    for gap, eta, steps, lip, var in ((0.7, 0.03, 250, 4.0, 1.9), (13.0, 0.4, 7, 2.5, 0.0), (0.0, 1e-3, 10, 50.0, 8.0)):
        x = [mpmath.mpf(v) for v in (gap, eta, steps, lip, var)]
        expected = 2 * x[0] / (x[1] * x[2]) + x[1] * x[3] * x[4]
        computed = sgd_bound(initial_gap=gap, learning_rate=eta, num_steps=steps, smoothness=lip, variance=var)
        outcomes.append(agree(computed, float(expected), eta=eta))
    return all_of(*outcomes)


def _derive_best_rate(factor: int = 2) -> Outcome:
    """Minimise 2Δ/(ηT) + ηLV over η; insert; the rate is below 1/L from T = 2ΔL/V on."""
    import sympy

    eta, gap, steps, lip, var = sympy.symbols("eta Delta T L V", positive=True)
    bound = factor * gap / (eta * steps) + eta * lip * var
    (root,) = sympy.solve(sympy.diff(bound, eta), eta)
    expected = sympy.sqrt(2 * gap / (lip * var * steps))
    return all_of(
        symbolic_zero(root - expected),
        symbolic_zero(bound.subs(eta, expected) - 2 * sympy.sqrt(2 * gap * lip * var / steps)),
        symbolic_zero(expected.subs(steps, 2 * gap * lip / var) - 1 / lip),
    )


def _best_rate_law() -> Outcome:
    """No admissible rate on a grid has a smaller bound; best_sgd_bound is the bound at the best rate."""
    from hypothesis import strategies as st

    size = st.floats(1e-2, 1e2)

    def law(example: tuple[float, int, float, float]) -> bool:
        gap, steps, lip, var = example
        problem = {"initial_gap": gap, "num_steps": steps, "smoothness": lip, "variance": var}
        rate = float(best_learning_rate(**problem))
        best = float(sgd_bound(**problem, learning_rate=rate))
        others = sgd_bound(**problem, learning_rate=np.linspace(0.01, 1, 50) / lip)
        return (
            0 < rate <= 1 / lip
            and abs(best - float(best_sgd_bound(**problem))) <= 1e-9 * best
            and bool(np.all(others >= best * (1 - 1e-9)))
        )

    ends = (1e-2, 1, 1e-2, 0.0), (1e2, 5000, 1e2, 1e2)
    return holds_for_all(st.tuples(size, st.integers(1, 5000), size, st.floats(0, 1e2)), law, ends=ends)


def _best_rate_numbers() -> Outcome:
    early = {"initial_gap": 10.0, "num_steps": 2, "smoothness": 5.0, "variance": 1.0}
    late = {"initial_gap": 0.3, "num_steps": 900, "smoothness": 5.0, "variance": 0.7}
    root = mpmath.sqrt(2 * mpmath.mpf("0.3") / (5 * mpmath.mpf("0.7") * 900))
    return all_of(
        agree([best_learning_rate(**early), best_sgd_bound(**early)], [0.2, 51.0]),
        agree(best_learning_rate(**late), float(root)),
        agree(best_sgd_bound(**late), float(2 * 5 * mpmath.mpf("0.7") * root)),
        agree(best_learning_rate(initial_gap=1.0, num_steps=4, smoothness=4.0, variance=0.0), 0.25),
    )


def _tight_at_the_largest_rate(rate: float = 1.0) -> Outcome:
    """Quadratic L x²/2: E x² of x <- x - η(L x + noise) settles; at η = 1/L it is all of the floor η L V."""
    outcomes = []
    for lip, eta, var in ((2.5, 0.05, 0.6), (2.5, 0.3, 0.6), (0.7, 1.9, 2.0)):
        second = mpmath.mpf(4)
        for _ in range(3000):
            second = (1 - mpmath.mpf(eta) * lip) ** 2 * second + mpmath.mpf(eta) ** 2 * var
        computed = stationary_squared_gradient(learning_rate=eta, smoothness=lip, variance=var)
        outcomes.append(agree(computed, float(lip**2 * second), rtol=1e-9, eta=eta))
    lip, var = 3.0, 0.8
    floor = stationary_squared_gradient(learning_rate=rate / lip, smoothness=lip, variance=var)
    return all_of(*outcomes, agree(floor, rate * var, detail="equals eta L V"))


def _smoothness_carries_over(each: bool = True) -> Outcome:
    """L of the weighted mean is at most max |l_i''|; L of the plain mean is not a bound on it."""
    from hypothesis import strategies as st

    def law(rows: list[tuple[float, float]]) -> bool:
        w, c = map(np.array, zip(*rows, strict=True))
        bound = np.abs(c).max() if each else abs(c.mean())
        return weighted_curvature(w, c) <= bound * (1 + 1e-12) + 1e-300

    rows = st.lists(st.tuples(st.floats(0.01, 5), st.floats(-9, 9)), min_size=1, max_size=6)
    return holds_for_all(rows, law, ends=([(0.01, -9)], [(0.01, 9), (5, -9)] * 3))


def _curvature_numbers() -> Outcome:
    computed = [
        weighted_curvature([1, 1], [10, -8]),
        weighted_curvature([1.8, 0.2], [10, -8]),
        weighted_curvature([1, 3, 0], [2.0, -1.5, 7.0], masses=[3, 1, 5]),
    ]
    return agree(computed, [1.0, 8.2, 1.5 / 6], rtol=1e-11)


# --- the noise floor --------------------------------------------------------------------------------------------------
CENTRES = (1.0, 1.0, -2.0)
TILTED = (1.4, 1.4, 0.2)


def _uniform_sgd_on(weights: tuple[float, ...], eta: float) -> dict[str, float]:
    """Uniform SGD with B = 1 on (t - c_i)²/2, c = (1, 1, -2), seen from L_w: its long-run mean of |∇L_w|², exactly.

    t <- (1-η) t + η c is stationary with mean 0 and variance η V_unif/(2-η); ∇L_w = t - E[w̃ c].
    """
    uniform = variance_terms((1.0, 1.0, 1.0), [-c for c in CENTRES])  # gradients at t = 0
    tilted = variance_terms(weights, [-c for c in CENTRES])
    spread = stationary_squared_gradient(learning_rate=eta, smoothness=1.0, variance=uniform.uniform_variance)
    return {
        "E|grad L_w|^2": tilted.weighted_mean_squared + float(spread),
        "eta L V_unif": eta * uniform.uniform_variance,
        "V_w": tilted.weighted_variance,
        "V_unif": uniform.uniform_variance,
    }


def _uniform_sgd_meets_the_bound(weights: tuple[float, ...]) -> Outcome:
    """The paper's comparison reads Eq. (39) with V_unif as a statement about uniform SGD on L_w."""
    seen = _uniform_sgd_on(weights, 0.01)
    if seen["E|grad L_w|^2"] > seen["eta L V_unif"]:
        return refuted(
            "uniform SGD is biased for the gradient of L_w",
            weights=weights,
            long_run=seen["E|grad L_w|^2"],
            floor=seen["eta L V_unif"],
        )
    return supported(1)  # fmt: skip


def _uniform_sgd_simulated() -> Outcome:
    """The stationary law of _uniform_sgd_on by its second-moment recursion."""
    eta, mean, second = 0.01, 3.0, 9.0
    for _ in range(5000):  # E c = 0, E c² = 2
        second, mean = (1 - eta) ** 2 * second + 2 * eta**2, (1 - eta) * mean
    seen = _uniform_sgd_on(TILTED, eta)
    target = (1.4 + 1.4 - 0.4) / 3
    return all_of(
        agree(seen["E|grad L_w|^2"], second - 2 * target * mean + target**2, rtol=1e-9),
        agree([seen["V_w"], seen["V_unif"]], [4.08 / 3 - 0.64, 2.0], rtol=1e-11),
    )


CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="prop8",
        where="Proposition 8, Eq. (39)-(45)",
        title="Weighted SGD reaches a stationary point of the weighted loss",
        verdict=Verdict.CONDITIONAL,
        paper="(1/T) sum E|grad L_w|^2 <= 2(L_w(theta_0) - inf L_w)/(eta T) + eta L V_w for eta <= 1/L.",
        statement=(
            "Standard, and tight at eta = 1/L: on the quadratic L x^2/2 SGD settles at eta L V/(2 - eta L). It needs L to be a "
            "smoothness constant of L_w, which Assumption 1 does not give, V_w to bound the variance at every step, and weights "
            "fixed before the batch. The best rate sqrt(2 Delta/(L V T)), from T = 2 Delta L/V on, gives 2 sqrt(2 Delta L V/T)."
        ),
        latex=r"\frac1T\sum_{t<T}\mathbb E\|\nabla L_w(\theta_t)\|^2\le\frac{2\Delta}{\eta T}+\eta LV_w,\qquad\eta=\sqrt{\tfrac{2\Delta}{LV_wT}}:\ 2\sqrt{\tfrac{2\Delta LV_w}{T}}",
        equations=(39, 40, 41, 42, 43, 44, 45),
        functions=(
            sgd_bound,
            best_learning_rate,
            best_sgd_bound,
            stationary_squared_gradient,
            weighted_curvature,
        ),
        hypotheses=(
            "L is a smoothness constant of L_w, for instance of every problem's loss",
            "V_w is the largest variance over the steps",
            "weights fixed before the batch is drawn",
            "plain SGD with eta <= 1/L",
        ),
        depends_on=("a1", "a4", "prop7"),
        proof="Smoothness gives (41), unbiasedness (42); eta <= 1/L leaves (eta/2)|grad|^2, and the sum telescopes (43). The bound "
        "is convex in eta.",
        numbers=lambda: {
            "bound at Delta=0.7, eta=0.03, T=250, L=4, V=1.9": float(
                sgd_bound(initial_gap=0.7, learning_rate=0.03, num_steps=250, smoothness=4.0, variance=1.9)
            ),
            "stationary, eta L = 1/2, V = 1": float(
                stationary_squared_gradient(learning_rate=0.5, smoothness=1.0, variance=1.0)
            ),
        },
        counterexample=Counterexample(
            "l1 = 5 x^2, l2 = -4 x^2: their mean is 1-smooth, the mean with weights (1.8, 0.2) is 8.2-smooth; eta = 1 = 1/L diverges on it.",
            lambda: {
                "uniform": weighted_curvature([1, 1], [10, -8]),
                "weighted": weighted_curvature([1.8, 0.2], [10, -8]),
            },
        ),
        checks=(
            Check(
                "sympy",
                "(42) summed over the steps is (44) with a slack >= 0",
                "any T, by induction",
                _derive_bound,
                fails={"without the noise term": {"drop": 1}},
            ),
            Check(
                "z3",
                "one step of (43)",
                "eta L <= 1",
                _step_over_the_reals,
                fails={"with eta up to 2/L": {"largest": 2}},
            ),
            Check(
                "sympy",
                "the best rate and its value",
                "Delta, T, L, V > 0",
                _derive_best_rate,
                fails={"with 3 Delta for 2 Delta": {"factor": 3}},
            ),
            Check("numeric", "sgd_bound", "3 points, mpmath", _bound_numbers, Result.SUPPORTED),
            Check(
                "numeric", "best rate and bound, early and late", "T = 2, 4, 900", _best_rate_numbers, Result.SUPPORTED
            ),
            Check("hypothesis", "no admissible rate is better", "T <= 5000", _best_rate_law, Result.SUPPORTED),
            Check(
                "numeric",
                "tight at eta = 1/L on the quadratic",
                "3 recursions",
                _tight_at_the_largest_rate,
                Result.SUPPORTED,
                fails={"tightness at eta = 1/(2L)": {"rate": 0.5}},
            ),
            Check(
                "hypothesis",
                "smoothness of every loss carries over",
                "up to 6 losses",
                _smoothness_carries_over,
                Result.SUPPORTED,
                fails={"with smoothness of the plain mean": {"each": False}},
            ),
            Check("numeric", "weighted_curvature", "2 and 3 quadratics", _curvature_numbers, Result.SUPPORTED),
        ),
    ),
    Claim(
        id="prop8.floor",
        where="Proposition 8, noise floor; step 4 of its proof",
        title='"A strictly lower noise floor than uniform SGD on L_w"',
        verdict=Verdict.LOOSE,
        paper="When V_w < V_unif, the Beta kernel achieves a strictly lower noise floor than uniform SGD on L_w.",
        statement=(
            "Uniform SGD is biased for the gradient of L_w: it settles where the uniform loss is stationary, and |grad L_w|^2 does "
            "not fall below a constant however small eta is. Eq. (39) with V_unif in it is a bound on nothing, so the two floors "
            "cannot be compared."
        ),
        latex=r"\theta_t\leftarrow\theta_t-\eta g:\quad\mathbb E\|\nabla L_w\|^2\to\|\nabla L_w(\theta^*_{\mathrm{unif}})\|^2+O(\eta)\not\le\eta LV_{\mathrm{unif}}",
        functions=(
            stationary_squared_gradient,
            variance_terms,
        ),
        depends_on=("prop8",),
        proof="Losses (t-1)^2/2, twice, and (t+2)^2/2 with weights (1.4, 1.4, 0.2), V_w = 0.72 < V_unif = 2: uniform SGD hovers at t = 0, where grad L_w = -0.8.",
        repair="Compare V/|grad|^2, each for its own loss, or draw problems in proportion to w with unit weight (x11), which is unbiased for grad L_w.",
        numbers=lambda: _uniform_sgd_on(TILTED, 0.01),
        counterexample=Counterexample(
            "Three quadratics with minima at 1, 1 and -2, weights (1.4, 1.4, 0.2), eta = 0.01: the floor is 0.02, the long run 0.65.",
            lambda: _uniform_sgd_on(TILTED, 0.01),
        ),
        checks=(
            Check(
                "numeric",
                "the paper's wording: uniform SGD on L_w has the floor eta L V_unif",
                "three quadratics",
                _uniform_sgd_meets_the_bound,
                Result.REFUTED,
                given={"weights": TILTED},
                fails={"with weights that differ": {"weights": (1.2, 1.2, 0.6)}},
            ),
            Check(
                "numeric",
                "it has if the weights are uniform",
                "three quadratics",
                lambda: _uniform_sgd_meets_the_bound((1.0, 1.0, 1.0)),
                Result.SUPPORTED,
            ),
            Check("numeric", "the long run by its recursion", "5000 steps", _uniform_sgd_simulated, Result.SUPPORTED),
        ),
    ),
)
