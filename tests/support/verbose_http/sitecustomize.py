"""Turns up all that talks about HTTP, in every process that finds this on its path."""

from __future__ import annotations

import http.client
import logging

import urllib3

http.client.HTTPConnection.debuglevel = 9
urllib3.add_stderr_logger()
for _name in ("urllib3", "requests", "redis", "kombu", "amqp", "celery"):
    logging.getLogger(_name).setLevel(logging.DEBUG)
