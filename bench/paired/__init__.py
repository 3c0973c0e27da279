"""The groups whose contenders are processes that stay up side by side, by name."""

from . import callers, pingpong, web

GROUPS = {
    "cross_thread": callers.cross_thread_cases,
    "files": web.file_cases,
    "http": web.http_cases,
    "http_client": callers.http_client_cases,
    "pingpong": pingpong.cases,
}
