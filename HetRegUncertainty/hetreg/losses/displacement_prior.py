"""Terms on the distribution of z, N(mean, diag sigma_z^2), in voxels of the network's own grid."""

from __future__ import annotations

import torch
from torch import Tensor

from ..spatial import resize
from .base import Loss, LossInputs, masked_mean

PRECISION = 10.0  # lambda_p of VoxelMorph-diff
KL_WEIGHT = 0.01  # its coefficient where the image term is the plain mean squared error (image sigma 1)


def variance_prior(log_variance_z: Tensor, mask: Tensor | None = None) -> Tensor:
    """E[sigma_z^2 - log sigma_z^2], least (1) at sigma_z = 1 voxel; (B, ndim, *spatial) -> scalar.

    With coefficient alpha and a data term whose curvature in z is g^2 (the squared image gradient), the best
    sigma_z^2 is alpha / (alpha + g^2): alpha is the squared gradient, in intensity per voxel, at which the
    variance is half of the prior's. The paper gives no alpha; ours, 0.0001, puts that at 1 % of the intensity
    range per voxel: a slope within tissue, below its edges. With 0.001 the drawn z were so rough that a small
    VoxelMorph stayed at the identity for all of 600 steps. mask: (B, 1, *spatial), of any size.
    """
    inside = None if mask is None else resize(mask.to(log_variance_z.dtype), log_variance_z.shape[2:])
    return masked_mean(log_variance_z.exp() - log_variance_z, inside)


def neighbours(field: Tensor) -> Tensor:
    """Number of neighbours along the axes of each voxel of (B, C, *spatial): (1, 1, *spatial)."""
    size = field.shape[2:]
    count = torch.zeros(tuple(size), device=field.device, dtype=field.dtype)
    for d, n in enumerate(size):
        count.narrow(d, 1, n - 1).add_(1.0)
        count.narrow(d, 0, n - 1).add_(1.0)
    return count[None, None]


def diffeomorphic_kl(mean: Tensor, log_variance_z: Tensor, precision: float = PRECISION) -> Tensor:
    """KL(N(mean, diag sigma_z^2) || N(0, (lambda_p L)^-1)) per voxel, up to a constant; -> scalar.

    L = D - A is the Laplacian of the voxel grid (Dalca, MICCAI 2018 and MedIA 2019):
    1/2 [ lambda_p tr(D Sigma) - log |Sigma| + lambda_p mean^T L mean ] divided by the number of voxels.
    mean, log_variance_z: (B, ndim, *spatial), voxels.
    """
    voxels = mean[0, 0].numel() * mean.shape[0]
    spread = (precision * neighbours(mean) * log_variance_z.exp() - log_variance_z).sum()
    slopes = torch.stack([mean.diff(dim=d).square().sum() for d in range(2, mean.dim())]).sum()
    return 0.5 * (spread + precision * slopes) / voxels


class DisplacementPrior(Loss):
    """The sigma_z extension's term (paper, section 2.4): E[sigma_z^2 - log sigma_z^2]."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return variance_prior(x.need("log_variance_z"), x.mask)


class VoxelMorphKL(Loss):
    """The KL divergence of VoxelMorph-diff, of the whole grid: z has its prior in the padding too."""

    def forward(self, x: LossInputs) -> Tensor:
        """x -> scalar."""
        return diffeomorphic_kl(x.need("velocity"), x.need("log_variance_z"))
