"""The operator on the test bed."""

from integration.fixtures import deployment, installed, scene, stage

__all__ = ["deployment", "installed", "scene", "stage"]
