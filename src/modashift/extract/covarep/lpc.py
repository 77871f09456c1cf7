"""Linear prediction by the autocorrelation method for many frames at a time.

J. Makhoul, "Linear prediction: a tutorial review", Proceedings of the IEEE 63(4), 1975; the recursion is Levinson's
and Durbin's.
"""

import numpy as np
from jaxtyping import Float

__all__ = ["levinson"]


def levinson(lags: Float[np.ndarray, "frames lags"], *orders: int) -> list[Float[np.ndarray, "frames order"]]:
    """Predictors of one or more orders from the same autocorrelations.

    The recursion passes through every order on its way to the highest, so lower ones cost nothing.

    Args:
        lags: r_0 … r_p of each frame, p at least the highest order.
        orders: which predictors to return.

    Returns:
        For each order p the polynomials [1, a_1 … a_p], (frames, p + 1). A frame of zeros gives NaN from a_1 on.
    """
    highest = max(orders)
    lag = np.ascontiguousarray(lags.T)  # (lags, frames): each step works on whole rows
    polynomial = np.zeros((highest + 1, lag.shape[1]))
    polynomial[0] = 1.0
    error = lag[0].copy()
    found = {}
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for i in range(1, highest + 1):
            reflection = -np.einsum("jf,jf->f", polynomial[:i], lag[i:0:-1]) / error
            polynomial[1 : i + 1] += reflection * polynomial[i - 1 :: -1][:i]
            error *= 1 - reflection**2
            if i in orders:
                found[i] = polynomial[: i + 1].T.copy()
    return [found[order] for order in orders]
