"""Which version answers this user: sticky shares of the traffic, and a way back the moment a version misbehaves."""

from pytest_finetune.lifecycle.rollout.monitor import Standing
from pytest_finetune.lifecycle.rollout.router import ModelRouter
from pytest_finetune.lifecycle.rollout.routing import Route

__all__ = ["ModelRouter", "Route", "Standing"]
