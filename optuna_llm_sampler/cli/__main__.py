"""``python -m optuna_llm_sampler.cli``."""

from __future__ import annotations

import sys

from .main import main


sys.exit(main())
