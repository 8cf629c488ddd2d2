"""Runs tasks in this process: docs/workers.md describes the protocol."""
