# The public names for type checkers and editors; `__init__.py` loads them on first use.
from . import evaluate as evaluate
from .config import EvaluateConfig as EvaluateConfig
from .config import GridConfig as GridConfig
from .config import NetworkConfig as NetworkConfig
from .config import RegisterConfig as RegisterConfig
from .config import TrainConfig as TrainConfig
from .datasets.base import PairSample as PairSample
from .evaluation.results import Evaluation as Evaluation
from .image import Image as Image
from .image import read_image as read_image
from .image import write_image as write_image
from .model import RegistrationModel as RegistrationModel
from .progress import Cancelled as Cancelled
from .progress import Control as Control
from .progress import Progress as Progress
from .register import register_pair as register_pair
from .reproduce import run as _run
from .reproduce.config import ReproduceConfig as ReproduceConfig
from .result import RegisterResult as RegisterResult
from .sequence import read_frames as read_frames
from .sequence import register_sequence as register_sequence
from .training.loop import train as train

__version__: str
evaluate_data = evaluate.evaluate
reproduce_paper = _run.reproduce

def prepare_torch() -> None: ...
