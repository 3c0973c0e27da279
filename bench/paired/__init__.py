"""The groups whose contenders are processes that stay up side by side, by name."""

from . import callers, growth, latency, pingpong, web

GROUPS = {
    "cross_thread": callers.cross_thread_cases,
    "files": web.file_cases,
    "growth": growth.cases,
    "http": web.http_cases,
    "http_client": callers.http_client_cases,
    "latency": latency.cases,
    "pingpong": pingpong.cases,
}
