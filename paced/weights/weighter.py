"""The fit-and-transform habit of scikit-learn, without scikit-learn: one class over ``fit`` and a kernel."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from paced.weights.fit.fit import FitResult, Method, fit
from paced.weights.kernels import BetaKernel
from paced.weights.normalise import normalise


class BetaKernelWeighter:
    """Learns the exponents of a Beta kernel from one set of counts and weighs another with them.

    Args:
        method: mle, moments or paper, see :func:`paced.weights.fit`.
        zpd: ε of the zone used in the fit, or None.
        estimator: how counts become weights in ``transform``: plugin, posterior or bayes_optimal; "unbiased" needs
            whole exponents, which a fit does not give. "posterior" takes the fitted law as its prior.
        unit_mean: divide by the mean of what is transformed.

    Attributes (after ``fit``):
        result_: the :class:`paced.weights.FitResult`.
        kernel_: the :class:`paced.weights.BetaKernel`.
        alpha_, beta_: its exponents.

    Example:
        >>> rng = np.random.default_rng(2)
        >>> passed = rng.binomial(8, rng.beta(3, 2, size=4000))
        >>> weighter = BetaKernelWeighter(estimator="posterior").fit(passed, 8)
        >>> round(weighter.alpha_, 1), round(weighter.beta_, 1)
        (2.0, 1.0)
        >>> weighter.transform([0, 5, 8], 8).round(2).tolist()
        [0.48, 1.45, 1.06]
    """

    def __init__(
        self,
        *,
        method: Method = "mle",
        zpd: float | None = None,
        estimator: str = "plugin",
        unit_mean: bool = True,
    ) -> None:
        # Nothing is checked or changed here: a clone must find its arguments as they were given.
        self.method = method
        self.zpd = zpd
        self.estimator = estimator
        self.unit_mean = unit_mean

    def fit(self, num_passed: ArrayLike, num_rollouts: ArrayLike) -> BetaKernelWeighter:
        """Fit the exponents.

        Raises:
            ValueError: the counts determine no kernel: an exponent is negative, infinite or absent.
        """
        self.result_: FitResult = fit(num_passed, num_rollouts, self.method, zpd=self.zpd)
        exponents = self.result_.kernel
        self.kernel_ = BetaKernel(exponents.alpha, exponents.beta, estimator=self.estimator, prior=self.result_.law)
        self.alpha_, self.beta_ = exponents.alpha, exponents.beta
        return self

    def transform(self, num_passed: ArrayLike, num_rollouts: ArrayLike) -> NDArray[np.float64]:
        """Weights of problems, shape [num_problems], of unit mean unless told otherwise.

        Raises:
            ValueError: not fitted yet, counts that are no counts, or weights that are all zero.
        """
        if not hasattr(self, "kernel_"):
            raise ValueError("BetaKernelWeighter.transform: fit must come first, got none. Call fit(num_passed, K).")
        weights = self.kernel_(num_passed, num_rollouts)
        return normalise(weights).unit_mean_weights if self.unit_mean else weights

    def fit_transform(self, num_passed: ArrayLike, num_rollouts: ArrayLike) -> NDArray[np.float64]:
        """``fit`` and then ``transform`` the same counts."""
        return self.fit(num_passed, num_rollouts).transform(num_passed, num_rollouts)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor; ``deep`` is scikit-learn's and changes nothing."""
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> BetaKernelWeighter:
        """Change arguments of the constructor.

        Raises:
            ValueError: an unknown name.
        """
        for name, value in params.items():
            if name not in self._names():
                known = ", ".join(self._names())
                raise ValueError(f"BetaKernelWeighter.set_params: name must be one of {known}, got {name!r}.")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        return f"BetaKernelWeighter({', '.join(f'{name}={value!r}' for name, value in self.get_params().items())})"

    @classmethod
    def _names(cls) -> list[str]:
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]
