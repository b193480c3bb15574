"""`RegistrationModel`: the one forward path of training and of registration; saving and loading with its
configuration."""

from __future__ import annotations

import hashlib
import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .config import GridConfig, NetworkConfig
from .networks.variance import VarianceNet
from .registry import NETWORKS, resolve
from .spatial import integrate, resize, resize_disp, warp

FORMAT = 1


@dataclass(frozen=True, eq=False)
class Motion:
    """moved (B, 1, *spatial); disp (B, ndim, *spatial) in voxels; velocity (B, ndim, *spatial / stride),
    voxels."""

    moved: Tensor
    disp: Tensor
    velocity: Tensor


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
        self.displacement_net = resolve(NETWORKS, self.network.architecture).build(self.network, self.ndim)
        self.variance_net = VarianceNet(ndim=self.ndim, **sizes)
        self.checksum = ""

    @property
    def ndim(self) -> int:
        """Number of spatial dimensions."""
        return self.network.ndim

    @property
    def multiple(self) -> int:
        """Spatial sizes have to be a multiple of this."""
        return math.lcm(self.displacement_net.multiple, self.variance_net.unet.multiple)

    def velocity(self, moving: Tensor, fixed: Tensor, *, window: Tensor | None = None) -> Tensor:
        """Velocity (or, with 0 integration steps, displacement) in voxels of its own grid.

        moving, fixed: (B, 1, *spatial) in [0, 1]. window: (1, 1, *spatial), multiplies the field, so that it
        can vanish at the border. Returns (B, ndim, *spatial / velocity_stride).
        """
        velocity = self.displacement_net(moving, fixed)
        size = [n // self.network.velocity_stride for n in moving.shape[2:]]
        if tuple(velocity.shape[2:]) != tuple(size):  # the network counts in voxels of its own output
            velocity = resize_disp(velocity, size)
        return velocity if window is None else velocity * resize(window, size)

    def displacement(self, velocity: Tensor, size: torch.Size | tuple[int, ...]) -> Tensor:
        """exp(velocity) on the full grid: (B, ndim, *size), voxels."""
        return resize_disp(integrate(velocity, self.network.integration_steps), size)

    def move(
        self, moving: Tensor, fixed: Tensor, *, window: Tensor | None = None, velocity: Tensor | None = None
    ) -> Motion:
        """Register: network (unless a velocity is given), integration, warp. Images (B, 1, *spatial) in [0,
        1]."""
        if velocity is None:
            velocity = self.velocity(moving, fixed, window=window)
        disp = self.displacement(velocity, moving.shape[2:])
        return Motion(warp(moving, disp), disp, velocity)

    def log_variance(self, moved: Tensor, fixed: Tensor) -> Tensor:
        """Log of the noise variance of fixed - moved, intensities in [0, 1]: (B, 1, *spatial)."""
        return self.variance_net(moved, fixed)

    def save(self, path: str | Path, *, half: bool = False) -> str:
        """Write weights, configuration and card to one file; half: as 16-bit floats. Returns the SHA-256."""
        state = {
            k: v.detach().cpu().half() if half else v.detach().cpu() for k, v in self.state_dict().items()
        }
        content = {
            "format": FORMAT,
            "network": self.network.to_dict(),
            "grid": self.grid.to_dict(),
            "card": self.card,
            "state": state,
        }
        path = Path(path)
        partial = path.with_name(f".partial-{path.name}")
        try:
            torch.save(content, partial)
            partial.replace(path)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            raise OSError(
                f"{path} could not be written: is the disk full or the folder read-only?"
            ) from error
        return sha256(path)

    @classmethod
    def load(cls, path: str | Path) -> RegistrationModel:
        """Read a file written by `save`, without executing any code in it.

        Raises FileNotFoundError if there is none, ValueError if it is broken, foreign or of another
        architecture.
        """
        path = Path(path)
        content = _read_weights(path)
        try:
            model = cls(
                NetworkConfig.from_dict(content["network"]),
                GridConfig.from_dict(content["grid"]),
                dict(content["card"]),
            )
            model.load_state_dict({k: v.float() for k, v in content["state"].items()})
        except (KeyError, TypeError, AttributeError, RuntimeError, ValueError, ArithmeticError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".:")
            raise ValueError(f"{path.name} does not fit the network that it names ({reason}).") from error
        if not all(bool(p.isfinite().all()) for p in model.parameters()):
            raise ValueError(f"{path.name} holds weights that are not finite numbers: it is damaged.")
        model.checksum = sha256(path)
        return model.eval()


def _read_weights(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"There is no weight file {path}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path.name} is not a plain weight file: it is damaged or holds code, and nothing in "
            f"it was run. "
            "A file written by HetReg is accepted."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise ValueError(
            f"{path.name} is damaged or is not a weight file: one written by HetReg is accepted."
        ) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format", "none") if isinstance(content, dict) else type(content).__name__
        raise ValueError(
            f"{path.name} has format {found}: a weight file of HetReg, format {FORMAT}, is accepted."
        )
    return content


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
