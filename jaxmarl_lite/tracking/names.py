"""The trackers that there are; light enough for `--help`."""

from typing import Literal

Name = Literal["tensorboard", "wandb", "mlflow"]

LIBRARIES = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}
"""the module that each needs, which the extra of the tracker's name brings"""
