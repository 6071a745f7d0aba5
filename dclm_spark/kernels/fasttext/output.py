"""Finds the likeliest label from the sum of a text's rows, by fastText's losses (`src/loss.cc`), in float32."""

import math

import numpy as np

from dclm_spark.kernels.compiled.jit import helper

NO_LABEL = -1


@helper
def _dot(outputs, row, hidden):
    total = np.float32(0)
    for at in range(len(hidden)):
        total += outputs[row, at] * hidden[at]
    return total


@helper
def _log(p):
    return np.float32(math.log(np.float64(p) + 1e-5))


@helper
def best_leaf(hidden, outputs, children):
    """Returns the likeliest label and its score, by a search from the root of the tree
    (`HierarchicalSoftmaxLoss::dfs`).

    A branch with a score below the logarithm of 1e-5 is not followed.
    """
    n_labels = len(outputs)
    best, best_score = np.int64(NO_LABEL), np.float32(0)
    nodes, scores = np.empty(len(children), np.int64), np.empty(len(children), np.float32)
    nodes[0], scores[0] = len(children) - 1, 0
    n_open = 1
    least = _log(np.float32(0))
    while n_open:
        n_open -= 1
        node, score = nodes[n_open], scores[n_open]
        if score < least or (best >= 0 and score < best_score):
            continue
        if children[node, 0] < 0:
            best, best_score = node, score
            continue
        odds = np.float32(1) + np.float32(math.exp(-_dot(outputs, node - n_labels, hidden)))
        p = np.float32(1.0 / np.float64(odds))
        nodes[n_open], scores[n_open] = children[node, 1], score + _log(p)
        nodes[n_open + 1] = children[node, 0]
        scores[n_open + 1] = score + _log(np.float32(1.0 - np.float64(p)))
        n_open += 2
    return best, best_score


@helper
def best_output(hidden, outputs, is_softmax):
    """Returns the likeliest label and its score; of equal scores the last (`Loss::findKBest`)."""
    values = np.empty(len(outputs), np.float32)
    for row in range(len(outputs)):
        values[row] = _dot(outputs, row, hidden)
    if is_softmax:
        highest = values.max()
        total = np.float32(0)
        for row in range(len(values)):
            values[row] = math.exp(np.float64(values[row] - highest))
            total += values[row]
        for row in range(len(values)):
            values[row] /= total
    else:
        for row in range(len(values)):
            values[row] = _sigmoid(values[row])
    best, best_score = np.int64(0), _log(values[0])
    for row in range(1, len(values)):
        score = _log(values[row])
        if score >= best_score:
            best, best_score = np.int64(row), score
    return best, best_score


@helper
def _sigmoid(x):
    """Returns the sigmoid from a table of 512 steps between -8 and 8 (`Loss::sigmoid`)."""
    if x < -8:
        return np.float32(0)
    if x > 8:
        return np.float32(1)
    step = np.int64((x + np.float32(8)) * np.float32(512) / np.float32(8) / np.float32(2))
    at = np.float32(step * 16) / np.float32(512) - np.float32(8)
    return np.float32(1.0 / (1.0 + np.float64(np.float32(math.exp(-at)))))
