"""The table for people: one line a part.

part                      status   seconds  tokens/s    peak GiB   MFU
1B:train_text             ok          61.3    48,120       41.20  30.4%
1B:run_benchmark          skipped
    the time budget of 420 s is spent
"""

from typing import Any

HEAD = f"{'part':<26} {'status':<8} {'seconds':>8} {'tokens/s':>10} {'peak GiB':>9} {'MFU':>6}"


def line(figures: dict[str, Any]) -> str:
    """A part's line, with its reason under it where it did not run to its end."""
    speed, peak, share = (figures.get(name) for name in ("tokens_per_second", "peak_memory_bytes", "mfu"))
    cells = [
        f"{figures['part']:<26}",
        f"{figures['status']:<8}",
        f"{figures['seconds']:>8.1f}" if "seconds" in figures else f"{'':>8}",
        f"{speed:>10,.0f}" if speed else f"{'':>10}",
        f"{peak / 2**30:>9.2f}" if peak else f"{'':>9}",
        f"{share:>6.1%}" if share else "",
    ]
    reason = [f"    {text}" for text in figures.get("reason", [])]
    return "\n".join([" ".join(cells).rstrip(), *reason])
