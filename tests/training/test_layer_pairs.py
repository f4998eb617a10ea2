"""Layers of student and teacher that are paired."""

from distill_dagster.training.layer_pairs import spaced_pairs


def test_layers_are_paired_evenly_and_the_last_with_the_last():
    assert spaced_pairs(6, 24) == [[1, 4], [2, 8], [3, 12], [4, 16], [5, 20], [6, 24]]
    assert spaced_pairs(3, 4) == [[1, 1], [2, 3], [3, 4]]
    assert spaced_pairs(4, 2) == [[1, 1], [2, 1], [3, 2], [4, 2]]
    assert all(spaced_pairs(s, t)[-1] == [s, t] for s in range(1, 40) for t in range(1, 40))
