"""Convolutions of stride 1 with fewer multiplications: the Cook-Toom (Winograd) form as three matrix products.

A map is cut into overlapping tiles; tiles and kernel are evaluated at a few points, multiplied point by point (one matrix
product over channels for each point), and interpolated. With 4 x 4 outputs a tile, a 5 x 5 kernel takes 64 products over
channels in the place of 400, a 3 x 3 kernel 36 in the place of 144.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

OUTPUTS = 4
"""Outputs of a tile along one axis."""

_HALF = Fraction(1, 2)
POINTS: dict[int, tuple[Fraction | int, ...]] = {3: (0, 1, -1, 2, -_HALF), 5: (0, 1, -1, 2, -2, _HALF, -_HALF)}
"""Kernel size -> the finite points, chosen for small rounding errors; infinity is always one more."""

CHUNK_BYTES = 24 << 20
"""Of tiles that are transformed at once: bounds memory for any batch, and about fits a core's share of the cache."""


class Transforms(NamedTuple):
    """The matrices of ``y = outputs @ ((kernel @ g) * (tile @ d))``: (m, n), (n, r) and (n, n), exact in float64."""

    outputs: Tensor
    kernel: Tensor
    tile: Tensor


def cook_toom(m: int, r: int, points: Sequence[Fraction | int]) -> Transforms:
    """Derive the transforms of ``m`` outputs of a correlation with ``r`` taps, in rational arithmetic.

    Polynomials are evaluated at ``points``, m + r - 2 distinct rationals, and at infinity. Every row of ``tile`` is scaled so
    that its entries are dyadic and so exact in floating point; ``kernel``, which is applied once and in float64, takes the
    inverse.

    References
    ----------
    Lavin & Gray (2016), Fast algorithms for convolutional neural networks, doi:10.1109/CVPR.2016.435

    Examples
    --------
    >>> cook_toom(2, 3, (0, 1, -1)).outputs.int().tolist()
    [[1, 1, 1, 0], [0, 1, -1, 1]]
    """
    n = m + r - 1
    if len(set(points)) != n - 1:
        raise ValueError(f"{m} outputs and {r} taps take {n - 1} distinct points beside infinity; got {list(points)}")

    def evaluate(terms: int) -> list[list[Fraction]]:
        finite = [[Fraction(p) ** power for power in range(terms)] for p in points]
        return [*finite, [Fraction(0)] * (terms - 1) + [Fraction(1)]]

    tile = _transposed(_inverse(evaluate(n)))
    kernel = evaluate(r)
    for row, taps in zip(tile, kernel, strict=True):
        scale = Fraction(1)
        for value in row:
            odd = value.denominator >> ((value.denominator & -value.denominator).bit_length() - 1)
            scale = scale * odd / math.gcd(scale.numerator, odd)
        while max(abs(value) for value in row) * scale >= 2:
            scale /= 2
        row[:], taps[:] = [v * scale for v in row], [v / scale for v in taps]
    return Transforms(*(torch.tensor([[float(v) for v in row] for row in matrix], dtype=torch.float64)
                        for matrix in (_transposed(evaluate(m)), kernel, tile)))  # fmt: skip


class Winograd:
    """A convolution of stride 1, its kernel (C_out, C_in, r, r) of 3 or 5 taps transformed once."""

    def __init__(self, weight: Tensor, bias: Tensor | None, padding: int) -> None:
        self.bias, self.padding, self.size = bias, padding, weight.shape[-1]
        outputs, kernel, tile = cook_toom(OUTPUTS, self.size, POINTS[self.size])
        evaluated = torch.einsum("ai,bj,kcij->abck", kernel, kernel, weight.detach().cpu().double())
        self.kernel = evaluated.flatten(0, 1).to(weight).contiguous()  # (n, n, C_in, C_out) -> (n^2, C_in, C_out)
        self.tile = torch.kron(tile, tile).to(weight)  # (n^2, n^2)
        self.outputs = torch.kron(outputs, outputs).to(weight)  # (m^2, n^2)

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve ``x`` (B, C, H, W); the result (B, C', H', W') lies channels last in memory."""
        m, n, p = OUTPUTS, OUTPUTS + self.size - 1, self.padding
        batch, channels, height, width = x.shape
        high, wide = height + 2 * p - self.size + 1, width + 2 * p - self.size + 1
        rows, columns = -(-high // m), -(-wide // m)
        out = x.new_empty(batch, rows * m, columns * m, self.kernel.shape[2])
        tiled = out.view(batch, rows, m, columns, m, -1).permute(2, 4, 0, 1, 3, 5)  # (m, m, B, rows, columns, C')
        images = max(1, CHUNK_BYTES // (x.element_size() * n * n * rows * columns * channels))
        for start in range(0, batch, images):
            part = x[start : start + images].permute(0, 2, 3, 1)  # (b, H, W, C)
            part = F.pad(part, (0, 0, p, columns * m - wide + p, p, rows * m - high + p))
            tiles = part.unfold(1, n, m).unfold(2, n, m).permute(4, 5, 0, 1, 2, 3)  # (n, n, b, rows, columns, C)
            evaluated = self.tile @ tiles.reshape(n * n, -1)
            products = torch.bmm(evaluated.view(n * n, -1, channels), self.kernel)  # (n^2, b rows columns, C')
            made = (self.outputs @ products.view(n * n, -1)).view(m, m, len(part), rows, columns, -1)
            target = tiled[:, :, start : start + images]
            if self.bias is None:
                target.copy_(made)
            else:
                torch.add(made, self.bias, out=target)
        return out[:, :high, :wide].permute(0, 3, 1, 2)


def _transposed(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    return [list(column) for column in zip(*matrix, strict=True)]


def _inverse(matrix: list[list[Fraction]]) -> list[list[Fraction]]:
    """Gauss and Jordan, exact."""
    n = len(matrix)
    rows = [[*row, *(Fraction(int(i == j)) for j in range(n))] for i, row in enumerate(matrix)]
    for at in range(n):
        pivot = next(i for i in range(at, n) if rows[i][at])
        rows[at], rows[pivot] = rows[pivot], rows[at]
        rows[at] = [value / rows[at][at] for value in rows[at]]
        for i in range(n):
            if i != at and rows[i][at]:
                factor = rows[i][at]
                rows[i] = [a - factor * b for a, b in zip(rows[i], rows[at], strict=True)]
    return [row[n:] for row in rows]
