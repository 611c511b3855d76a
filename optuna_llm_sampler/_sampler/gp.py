"""A small Gaussian process in NumPy, for a hundred points and some dozens of parameters.

Matérn 5/2, with a length scale per parameter. Length scales, amplitude and noise are not fitted
but drawn from their posterior by elliptical slice sampling (Murray, Adams and MacKay 2010, arXiv
1001.0175), and expected improvement is averaged over the draws (Snoek, Larochelle and Adams 2012,
arXiv 1206.2944): a single fit of twenty length scales to ten points is too sure of itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray


Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Of each hyperparameter, median and deviation of the logarithm. That of the length scale grows
# with the number of parameters (Hvarfner, Hellsten and Nardi 2024, arXiv 2402.02229).
LENGTH, LENGTH_SPREAD = 0.5, 1.0
NOISE, NOISE_SPREAD = 1e-3, 2.0
AMPLITUDE_SPREAD = 0.5
N_STARTS, N_CHAINS, N_STEPS = 64, 6, 32
_JITTER = 1e-6


@dataclass(frozen=True)
class Hyper:
    """Hyperparameters, a row per draw.

    Attributes:
        scales:
            By column of the points.
        amplitude, noise:
            Variances.
    """

    scales: Array
    amplitude: Array
    noise: Array

    def covariance(self, a: Array, b: Array) -> Array:
        """Return covariances of values, by draw; the unknown mean has a variance of one."""
        left, right = (points / self.scales[:, None] for points in (a, b))
        squares = -2.0 * left @ right.transpose(0, 2, 1)
        squares += (left**2).sum(-1)[..., None] + (right**2).sum(-1)[:, None]
        return self.amplitude[:, None, None] * _matern(squares) + 1.0


@dataclass(frozen=True)
class Posterior:
    """A function to be minimised, of which some values are known.

    Attributes:
        x, y:
            Points and their values.
        hyper:
            Draws of the hyperparameters.
        whitening:
            Inverse Cholesky factors of the covariance, by draw.
        best:
            Lowest value that was reached, without its noise, by draw.
    """

    x: Array
    y: Array
    hyper: Hyper
    whitening: Array
    best: Array

    @staticmethod
    def of(x: Array, y: Array, hyper: Hyper, feasible: Mask) -> Posterior:
        noise = (hyper.noise + _JITTER)[:, None, None] * np.eye(len(x))
        whitening = np.linalg.inv(np.linalg.cholesky(hyper.covariance(x, x) + noise))
        white = whitening @ y
        residuals = hyper.noise[:, None] * np.einsum("sij,si->sj", whitening, white)
        best = np.where(feasible, y - residuals, np.inf).min(1)
        return Posterior(x, y, hyper, whitening, best)

    def predict(self, at: Array) -> tuple[Array, Array]:
        """Return means and standard deviations, by draw and point."""
        root = self.whitening @ self.hyper.covariance(self.x, at)
        means = np.einsum("sij,si->sj", root, self.whitening @ self.y)
        variances = self.hyper.amplitude[:, None] + 1.0 - (root**2).sum(1)
        return means, np.sqrt(np.maximum(variances, 1e-12))

    def log_improvement(self, at: Array) -> Array:
        """Return the logarithm of the expected improvement."""
        means, deviations = self.predict(at)
        logs = _log_gain((self.best[:, None] - means) / deviations) + np.log(deviations)
        return _log_mean_exp(logs)

    def log_probability_below(self, limit: float, at: Array) -> Array:
        """Return the logarithm of the probability that a value is at most a limit."""
        means, deviations = self.predict(at)
        found: Array = np.log(np.maximum(_cdf((limit - means) / deviations).mean(0), 1e-12))
        return found

    def supposing(self, at: Array) -> Posterior:
        """Return the same as if points had the values that are expected of them."""
        expected = self.predict(at)[0].mean(0)
        x, y = np.vstack([self.x, at]), np.append(self.y, expected)
        return replace(Posterior.of(x, y, self.hyper, np.ones(len(y), bool)), best=self.best)


def fit(
    x: Array,
    groups: NDArray[np.intp],
    y: Array,
    rng: np.random.RandomState,
    feasible: Mask | None = None,
) -> Posterior:
    """Fit to values with mean 0 and deviation 1.

    Args:
        x:
            A row per point.
        groups:
            By column, the parameter that it belongs to. Its columns share a length scale.
        y:
            Values of the points.
        rng:
            Source of the draws.
        feasible:
            Points of which the values count as reached; by default all.
    """
    n, n_params = len(x), int(groups.max()) + 1
    gaps = (x[:, None] - x[None]) ** 2
    squares = np.array([gaps[..., groups == g].sum(-1).ravel() for g in range(n_params)])

    def log_likelihood(z: Array) -> Array:
        hyper = _hyper(z)
        gram = _matern(hyper.scales**-2.0 @ squares).reshape(-1, n, n)
        gram *= hyper.amplitude[:, None, None]
        gram += 1.0
        gram[:, range(n), range(n)] += hyper.noise[:, None] + _JITTER
        root = np.linalg.cholesky(gram)
        white = np.linalg.solve(root, y[:, None])[..., 0]
        logs = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(1)
        found: Array = -0.5 * (white**2).sum(1) - logs
        return found

    # Chains begin at some of the likeliest of many draws.
    z = rng.standard_normal((N_STARTS, n_params + 2))
    level = log_likelihood(z)
    odds = np.exp(level - level.max())
    begin = rng.choice(N_STARTS, size=N_CHAINS, p=odds / odds.sum())
    z, level = z[begin], level[begin]
    for _ in range(N_STEPS):
        z, level = _slice_step(z, level, log_likelihood, rng)
    hyper = _hyper(z)
    hyper = replace(hyper, scales=hyper.scales[:, groups])
    return Posterior.of(x, y, hyper, np.ones(n, bool) if feasible is None else feasible)


def _hyper(z: Array) -> Hyper:
    """Map rows of standard normal numbers to hyperparameters, with a scale per parameter."""
    median = LENGTH * np.sqrt(z.shape[1] - 2)
    return Hyper(
        median * np.exp(LENGTH_SPREAD * z[:, :-2]),
        np.exp(AMPLITUDE_SPREAD * z[:, -2]),
        NOISE * np.exp(NOISE_SPREAD * z[:, -1]),
    )


def _slice_step(
    z: Array,
    level: Array,
    log_likelihood: Callable[[Array], Array],
    rng: np.random.RandomState,
) -> tuple[Array, Array]:
    """Make a step of every chain that leaves a likelihood times a standard normal as it is."""
    other = rng.standard_normal(z.shape)
    floor = level + np.log(rng.uniform(1e-300, 1.0, size=len(z)))
    angle = rng.uniform(0.0, 2.0 * np.pi, size=len(z))
    low, high = angle - 2.0 * np.pi, angle.copy()
    there, found = z.copy(), level.copy()
    moving = np.arange(len(z))
    while len(moving):
        turn = angle[moving, None]
        tried = z[moving] * np.cos(turn) + other[moving] * np.sin(turn)
        levels = log_likelihood(tried)
        done = (levels > floor[moving]) | (high[moving] - low[moving] < 1e-9)
        there[moving[done]], found[moving[done]] = tried[done], levels[done]
        moving = moving[~done]
        left = angle[moving] < 0
        low[moving[left]] = angle[moving[left]]
        high[moving[~left]] = angle[moving[~left]]
        angle[moving] = rng.uniform(low[moving], high[moving])
    return there, found


def _matern(squares: Array) -> Array:
    r = np.sqrt(5.0 * np.maximum(squares, 0.0))
    return (1.0 + r + r * r / 3.0) * np.exp(-r)


def _pdf(z: Array) -> Array:
    found: Array = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)
    return found


def _cdf(z: Array) -> Array:
    """Abramowitz and Stegun 26.2.17; the absolute error is below 1e-7."""
    t = 1.0 / (1.0 + 0.2316419 * np.abs(z))
    terms = (1.330274429, -1.821255978, 1.781477937, -0.356563782, 0.319381530, 0.0)
    tail = _pdf(z) * np.polyval(terms, t)
    return np.where(z > 0, 1.0 - tail, tail)


def _log_gain(z: Array) -> Array:
    """Return the logarithm of pdf(z) + z cdf(z), of its series where z is far below zero."""
    near, far = np.maximum(z, -4.0), np.minimum(z, -4.0)
    series = np.log1p(-3.0 / far**2 + 15.0 / far**4) - 2.0 * np.log(-far)
    below = -0.5 * far**2 - 0.5 * np.log(2.0 * np.pi) + series
    return np.where(z > -4.0, np.log(_pdf(near) + near * _cdf(near)), below)


def _log_mean_exp(logs: Array) -> Array:
    top = logs.max(0)
    found: Array = top + np.log(np.exp(logs - top).mean(0))
    return found
