"""The groups whose contenders are processes that stay up side by side, by name."""

from . import pingpong, web

GROUPS = {"pingpong": pingpong.cases, "http": web.http_cases, "files": web.file_cases}
