"""The groups whose contenders are processes that stay up side by side, by name."""

from . import pingpong

GROUPS = {"pingpong": pingpong.cases}
