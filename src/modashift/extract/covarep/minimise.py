"""Bounded minimisation of many functions of one variable at once.

R. P. Brent, *Algorithms for Minimization without Derivatives*, 1973, chapter 5, in the form of G. E. Forsythe, M. A.
Malcolm and C. B. Moler, *Computer Methods for Mathematical Computations*, 1977, which Matlab's ``fminbnd`` and SciPy's
``minimize_scalar(method="bounded")`` follow. Which of several local minima is found depends on every step taken, so
each function's steps here are exactly theirs; only the evaluations are made together.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

__all__ = ["minimise_bounded"]

GOLDEN = 0.5 * (3.0 - np.sqrt(5.0))
ROOT_EPSILON = np.sqrt(2.2e-16)

Values = Float[np.ndarray, " some"]


def minimise_bounded(
    evaluate: Callable[[Int[np.ndarray, " some"], Values], Values],
    count: int,
    lower: float,
    upper: float,
    *,
    tolerance: float,
    evaluations: int,
) -> tuple[Float[np.ndarray, " count"], Float[np.ndarray, " count"]]:
    """Find a local minimum of each of `count` functions on the interval they share.

    Args:
        evaluate: takes indices of functions and one place for each, returns their values there.
        count: number of functions.
        lower: end of the interval.
        upper: its other end.
        tolerance: of the place of the minimum.
        evaluations: how often each function may be evaluated.

    Returns:
        Places of the minima and the values there.
    """
    a, b = np.full(count, lower), np.full(count, upper)
    x = a + GOLDEN * (b - a)  # best place so far; w the second best, v the one before
    value = evaluate(np.arange(count), x)
    w, v, value_w, value_v = x.copy(), x.copy(), value.copy(), value.copy()
    step, before = np.zeros(count), np.zeros(count)  # last step and the one before it
    for _ in range(evaluations - 1):
        active = np.flatnonzero(np.abs(x - 0.5 * (a + b)) > 2 * _nearest(x, tolerance) - 0.5 * (b - a))
        if not len(active):
            break
        state = [array[active] for array in (a, b, x, w, v, value, value_w, value_v, step, before)]
        a_, b_, x_, w_, v_, fx, fw, fv, step_, before_ = state
        step_, before_ = _propose(a_, b_, x_, w_, v_, fx, fw, fv, step_, before_, _nearest(x_, tolerance))
        u = x_ + np.copysign(np.maximum(np.abs(step_), _nearest(x_, tolerance)), np.where(step_ == 0, 1.0, step_))
        fu = evaluate(active, u)

        better = fu <= fx
        right = u >= x_
        a[active] = np.where(better & right, x_, np.where(~better & ~right, u, a_))
        b[active] = np.where(better & ~right, x_, np.where(~better & right, u, b_))
        second = ~better & ((fu <= fw) | (w_ == x_))
        third = ~better & ~second & ((fu <= fv) | (v_ == x_) | (v_ == w_))
        v[active] = np.where(better | second, w_, np.where(third, u, v_))
        value_v[active] = np.where(better | second, fw, np.where(third, fu, fv))
        w[active] = np.where(better, x_, np.where(second, u, w_))
        value_w[active] = np.where(better, fx, np.where(second, fu, fw))
        x[active] = np.where(better, u, x_)
        value[active] = np.where(better, fu, fx)
        step[active], before[active] = step_, before_
    return x, value


def _nearest(x: Values, tolerance: float) -> Values:
    """How near to x another evaluation makes sense."""
    nearest: Values = ROOT_EPSILON * np.abs(x) + tolerance / 3.0
    return nearest


def _propose(
    a: Values,
    b: Values,
    x: Values,
    w: Values,
    v: Values,
    fx: Values,
    fw: Values,
    fv: Values,
    step: Values,
    before: Values,
    nearest: Values,
) -> tuple[Values, Values]:
    """Next step and what to remember as the one before it: to the top of a parabola, or of a golden section.

    The parabola through x, w and v is trusted if it leads into the interval, by less than half the step before last.
    """
    middle = 0.5 * (a + b)
    r = (x - w) * (fx - fv)
    q = (x - v) * (fx - fw)
    p = (x - v) * q - (x - w) * r
    q = 2.0 * (q - r)
    p = np.where(q > 0.0, -p, p)
    q = np.abs(q)
    parabola = (
        (np.abs(before) > nearest) & (np.abs(p) < np.abs(0.5 * q * before)) & (p > q * (a - x)) & (p < q * (b - x))
    )
    to_top = p / np.where(parabola, q, 1.0)
    close = (x + to_top - a < 2 * nearest) | (b - (x + to_top) < 2 * nearest)
    to_top = np.where(close, np.where(x <= middle, nearest, -nearest), to_top)
    larger = np.where(x >= middle, a - x, b - x)
    return np.where(parabola, to_top, GOLDEN * larger), np.where(parabola, step, larger)
