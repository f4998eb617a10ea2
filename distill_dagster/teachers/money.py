"""How money is written wherever it is shown: what is known of it, and nothing that is not.

–                          nobody charges: the model runs here, or nothing new is asked
no price given             an endpoint without `price`
at most 1.20 USD           every answer counts with its longest length
about 0.0200 USD           answers count with the mean length so far
"""

from distill_dagster.config import TeacherConfig

LOCAL = "–"
NO_PRICE = "no price given"


def usd(amount: float) -> str:
    """An amount, with more digits the smaller it is; never 0 for what is more than that."""
    if amount == 0:
        return "0 USD"
    if amount < 0.0001:
        return "< 0.0001 USD"
    return f"{amount:,.2f} USD" if amount >= 1 else f"{amount:.4f} USD"


def expected_cost(amount: float, priced: int, unpriced: int, is_bound: bool) -> str:
    """What new requests would cost; `unpriced` of them go to endpoints without a price."""
    if not priced:
        return NO_PRICE if unpriced else LOCAL
    below = amount < 0.0001 and amount > 0
    word = "" if below or amount == 0 else "at most " if is_bound else "about "
    return f"{word}{usd(amount)}" + (f", {NO_PRICE} for {unpriced:,} more" if unpriced else "")


def spent_so_far(amount: float, teacher: TeacherConfig) -> str:
    """What all replies together have cost, or why that is not known."""
    if amount:
        return f"{usd(amount)} spent"
    endpoints = [source.endpoint for source in teacher.sources if source.endpoint]
    if not endpoints:
        return f"{LOCAL} (the teacher runs here and costs no money)"
    unpriced = [endpoint.model for endpoint in endpoints if endpoint.price is None]
    return f"{NO_PRICE} for {', '.join(unpriced)}" if unpriced else "0 USD spent"
