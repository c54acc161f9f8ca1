"""Canary rollout: sticky traffic shares per user, and automatic fallback when a version misbehaves."""

from pytest_finetune.lifecycle.rollout.monitor import VersionHealth
from pytest_finetune.lifecycle.rollout.router import ModelRouter
from pytest_finetune.lifecycle.rollout.routing import Route

__all__ = ["ModelRouter", "Route", "VersionHealth"]
