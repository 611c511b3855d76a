"""Tune the fine-tuning of a transformer on customer-service queries: the main job."""

from __future__ import annotations
