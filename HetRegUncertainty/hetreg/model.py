"""`RegistrationModel`: the one forward path of training and of registration; saving and loading with its
configuration."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from . import zoo
from .config import GridConfig, NetworkConfig
from .files import sha256
from .modelconfig import UseConfig
from .networks.variance import VarianceNet, before_clamp, soft_clamp
from .progress import Progress
from .registry import NETWORKS, resolve
from .spatial import integrate, resize, resize_disp, warp
from .weightfile import FORMAT, read_weights, to_be_filled, write_weights

LOG_VARIANCE_Z_RANGE = (-20.0, 4.0)  # of z in voxels squared: SD 5e-5 to 7 voxels
_START_LOG_VARIANCE = {"velocity": -10.0, "displacement": 0.0}  # SD 0.007 (VoxelMorph-diff, Dalca 2019); 1
CHANGED = "changed from "  # before the name of the file that a model was
SD_SAMPLES = 32  # the SD of a component is known to 1 / sqrt(2 * 31), 13 %


@dataclass(frozen=True, eq=False)
class Motion:
    """moved (B, 1, *spatial); disp (B, ndim, *spatial) in voxels; velocity (B, ndim, *spatial / stride),
    voxels of its own grid.

    With sigma_z, z ~ N(velocity, exp(log_variance_z)), both of the same shape; drawn: the sample of z that
    disp was made from, None where it was the velocity, its mean. Without sigma_z both are None.
    """

    moved: Tensor
    disp: Tensor
    velocity: Tensor
    log_variance_z: Tensor | None = None
    drawn: Tensor | None = None


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """A model in evaluation mode; afterwards each of its parts is in its own mode again."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


class RegistrationModel(nn.Module):
    """A displacement network and a variance network.

    network: both networks' configuration. grid: grid and intensities that they work on. card: what is known
    about the weights (data, licence, steps, scores), plain JSON values.
    """

    def __init__(
        self,
        network: NetworkConfig | None = None,
        grid: GridConfig | None = None,
        card: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.network, self.grid, self.card = network or NetworkConfig(), grid or GridConfig(), card or {}
        sizes = {k: getattr(self.network, k) for k in ("encoder", "decoder", "tail", "output_stride")}
        channels = 2 * self.ndim if self.network.sigma_z else self.ndim
        self.displacement_net = resolve(NETWORKS, self.network.architecture).build(self.network, channels)
        if self.network.sigma_z:
            start = before_clamp(_START_LOG_VARIANCE[self.network.spread], *LOG_VARIANCE_Z_RANGE)
            nn.init.constant_(self.displacement_net.head.bias[self.ndim :], start)
        own = {k: getattr(self.network, f"variance_{k}") for k in ("encoder", "decoder", "tail")}
        if any(own.values()):
            sizes = own  # a network of its own size works at full resolution
        residual = self.network.variance_residual
        self.variance_net = VarianceNet(ndim=self.ndim, residual=residual, **sizes)
        self.float()  # torch's default type may be another one
        self.file = ""  # folder/name of the file that it was loaded from
        self.run: Path | None = None  # folder of that file, or of the training that made the model
        self._loaded = "", 0  # SHA-256 of that file, and the weights as they were in it

    @property
    def name(self) -> str:
        """That of a shipped model if it was loaded from its very file, since a copy keeps the card; else
        its own folder and file, or what the card of one that was never a file says. With `CHANGED` before it
        if its weights have changed since."""
        shipped = {card.sha256: card.name for card in zoo.list_models()}
        own = shipped.get(self._loaded[0]) or self.file or str(self.card.get("name") or "unnamed")
        return own if self.checksum or not self._loaded[0] else CHANGED + own

    @property
    def checksum(self) -> str:
        """SHA-256 of the file that it was loaded from; "" if there is none or the weights are others now."""
        file, weights = self._loaded
        return file if file and weights == self._crc() else ""

    def _crc(self) -> int:
        """CRC-32 of the weights as 32-bit floats, wherever and in whatever order of memory they are."""
        crc = 0
        for value in self.state_dict().values():
            crc = zlib.crc32(value.detach().float().contiguous().cpu().numpy(), crc)
        return crc

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions."""
        return self.network.ndim

    @property
    def multiple(self) -> int:
        """Spatial sizes have to be a multiple of this."""
        return math.lcm(self.displacement_net.multiple, self.variance_net.unet.multiple)

    def velocity_size(self, size: torch.Size | tuple[int, ...]) -> tuple[int, ...]:
        """Spatial size of the velocity for images of this spatial size."""
        return tuple(n // self.network.velocity_stride for n in size)

    def velocity(
        self, moving: Tensor, fixed: Tensor, *, window: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Mean and log-variance (None without sigma_z) of z, in voxels of its own grid.

        z is the velocity or, with 0 integration steps, the displacement. moving, fixed: (B, 1, *spatial) in
        [0, 1]. window: (1, 1, *spatial), multiplies z, so that it can vanish at the border. Both results are
        (B, ndim, *spatial / velocity_stride), in 32-bit floats at least. A log-variance that is resized is
        that of the same field in other voxels; it does not fall as that of an average would.
        """
        self._check_images(moving, fixed)
        out = self.displacement_net(moving, fixed)
        out = out.float() if out.dtype in (torch.float16, torch.bfloat16) else out
        size = self.velocity_size(moving.shape[2:])
        mean, log_variance = resize_disp(out[:, : self.ndim], size), None
        if self.network.sigma_z:
            spread = (0.5 * soft_clamp(out[:, self.ndim :], *LOG_VARIANCE_Z_RANGE)).exp()
            log_variance = 2 * resize_disp(spread, size).log()
        if window is not None:
            window = resize(window, size)
            mean = mean * window
            if log_variance is not None:
                log_variance = log_variance + 2 * window.clamp(min=1e-6).log()
        return mean, log_variance

    def _check_images(self, moving: Tensor, fixed: Tensor) -> None:
        """Raise ValueError, in one sentence, if they are no images for this model."""
        like = next(self.parameters())
        fits = moving.dim() == self.ndim + 2 and moving.shape[1] == 1 and moving.shape == fixed.shape
        if not fits or any(n % self.multiple for n in moving.shape[2:]):
            wanted = "(B, 1, K, J, I)" if self.ndim == 3 else "(B, 1, J, I)"
            raise ValueError(
                f"moving has shape {tuple(moving.shape)} and fixed {tuple(fixed.shape)}: {wanted} is "
                f"accepted, both the same, with sizes that are multiples of {self.multiple}."
            )
        if not moving.dtype == fixed.dtype == like.dtype:
            raise ValueError(
                f"moving is {moving.dtype} and fixed {fixed.dtype}: {like.dtype}, as the model's weights, is "
                "accepted."
            )

    def displacement(self, velocity: Tensor, size: torch.Size | tuple[int, ...]) -> Tensor:
        """exp(velocity) on the full grid: (B, ndim, *size), voxels."""
        return resize_disp(integrate(velocity, self.network.integration_steps), size)

    def disp_log_variance(self, motion: Motion) -> Tensor | None:
        """Log-variance of the displacement on the full grid, voxels squared: (B, ndim, *spatial); None if the
        network gives none, or that of a velocity."""
        if motion.log_variance_z is None or self.network.spread != "displacement":
            return None
        return 2 * resize_disp((0.5 * motion.log_variance_z).exp(), motion.disp.shape[2:]).log()

    def move(
        self,
        moving: Tensor,
        fixed: Tensor,
        *,
        window: Tensor | None = None,
        velocity: Tensor | None = None,
        sample: Tensor | None = None,
    ) -> Motion:
        """Register: network (unless a velocity is given), integration, warp.

        Images (B, 1, *spatial) in [0, 1]. sample: standard normal numbers of the velocity's shape; the
        displacement is then made from z = velocity + sigma_z * sample, with gradients to both. Raises
        ValueError if the model has no sigma_z to draw from.
        """
        log_variance = drawn = None
        if velocity is None:
            velocity, log_variance = self.velocity(moving, fixed, window=window)
        if sample is not None:
            if log_variance is None:
                raise ValueError("A sample needs a network with sigma_z, and no velocity given in its place.")
            drawn = velocity + (0.5 * log_variance).exp() * sample
        disp = self.displacement(velocity if drawn is None else drawn, moving.shape[2:])
        return Motion(warp(moving, disp), disp, velocity, log_variance, drawn)

    def inverse(self, motion: Motion, fixed: Tensor) -> Motion:
        """The same motion the other way: `moved` is the fixed image at exp(-z), to be compared with moving.

        A true inverse only of an integrated velocity.
        """
        drawn = None if motion.drawn is None else -motion.drawn
        disp = self.displacement(-motion.velocity if drawn is None else drawn, fixed.shape[2:])
        return Motion(warp(fixed, disp), disp, -motion.velocity, motion.log_variance_z, drawn)

    @torch.no_grad()
    def displacement_sd(self, motion: Motion, *, progress: Progress | None = None) -> Tensor | None:
        """SD of each component of the displacement when z ~ N(velocity, sigma_z^2): (B, ndim, *spatial).

        In voxels; None without sigma_z. Where z is the displacement itself, on the grid of the images, or the
        log-variance is the displacement's (`NetworkConfig.spread`), it is sigma_z. Otherwise it is the SD of
        drawn velocities, each integrated and resized; every pair of the batch is given the same noise, each
        time, so that the result does not depend on the batch or the device.
        """
        if motion.log_variance_z is None:
            return None
        sigma, size = (0.5 * motion.log_variance_z).exp(), motion.disp.shape[2:]
        if self.network.integration_steps == 0 and sigma.shape == motion.disp.shape:
            return sigma
        own = self.disp_log_variance(motion)
        if own is not None:
            return (0.5 * own).exp()
        generator, progress = torch.Generator().manual_seed(0), progress or Progress()
        mean, squares = torch.zeros_like(motion.disp), torch.zeros_like(motion.disp)
        for n in range(SD_SAMPLES):
            progress.step(n / SD_SAMPLES, "Estimating the displacement's uncertainty")
            noise = torch.randn((1, *sigma.shape[1:]), generator=generator).to(sigma)
            disp = self.displacement(motion.velocity + sigma * noise, size)
            off = disp - mean
            mean += off / (n + 1)
            squares += off * (disp - mean)
        return (squares / (SD_SAMPLES - 1)).sqrt()

    def log_variance(self, moved: Tensor, fixed: Tensor) -> Tensor:
        """Log of the noise variance of fixed - moved, intensities in [0, 1]: (B, 1, *spatial)."""
        return self.variance_net(moved, fixed)

    def save(self, path: str | Path, *, half: bool = False) -> str:
        """Write weights, configuration and card to one file; half: as 16-bit floats. Returns the SHA-256."""
        state = {
            k: v.detach().cpu().half() if half else v.detach().cpu() for k, v in self.state_dict().items()
        }
        path = Path(path)
        write_weights(path, self.content() | {"state": state})
        return sha256(path)

    def content(self) -> dict[str, Any]:
        """What a weight file holds, with the weights as they are."""
        return {
            "format": FORMAT,
            "network": self.network.to_dict(),
            "grid": self.grid.to_dict(),
            "card": self.card,
            "state": self.state_dict(),
        }

    @classmethod
    @torch.inference_mode(False)  # weights made in that mode could not be used outside it
    def load(cls, name_or_path: str | Path) -> RegistrationModel:
        """A model that comes with HetReg, by its name, or a file written by `save`, without executing any
        code in it.

        Raises FileNotFoundError if there is none, ValueError if the name is unknown or the file is broken,
        foreign or of another architecture.
        """
        path = zoo.locate(name_or_path)
        content = read_weights(path)
        try:
            size = path.stat().st_size
            if sum(v.numel() for v in content["state"].values()) > size:
                raise ValueError("its weights repeat parts of it")
            network = NetworkConfig.from_dict(content["network"])
            with to_be_filled(network.architecture, size):
                model = cls(network, GridConfig.from_dict(content["grid"]), dict(content["card"]))
            UseConfig.from_card(model.card)
            model.load_state_dict({k: v.float() for k, v in content["state"].items()})
        except (KeyError, TypeError, AttributeError, RuntimeError, ValueError, ArithmeticError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".:")
            raise ValueError(f"{path.name} holds no model that can be used ({reason}).") from error
        if not all(bool(p.isfinite().all()) for p in model.parameters()):
            raise ValueError(f"{path.name} holds weights that are not finite numbers: it is damaged.")
        model.run, model.file = path.absolute().parent, "/".join(path.absolute().parts[-2:])
        model._loaded = sha256(path), model._crc()
        return model.eval()
