from __future__ import annotations
from pathlib import Path
DEFAULT = "qwen2.5-coder-1.5b"
MODELS = {DEFAULT: "q15", "qwen2.5-coder-0.5b": "q05"}
def pull(name: str = DEFAULT, *, cache_dir: object = None) -> Path:
    return Path(f"/tmp/w/weights/{MODELS[name]}.gguf")  # stub while the real one is written
