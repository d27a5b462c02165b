"""Writes the tokenizer of a GGUF file as tokenizer.json and tokenizer_config.json.

    tokenizer.py MODEL.gguf FOLDER
"""

import json
import sys
from pathlib import Path

from gguf import GGUFReader


def main(model: Path, folder: Path) -> None:
    fields = GGUFReader(model).fields

    def value(name: str) -> object:
        return fields[f"tokenizer.{name}"].contents()

    texts, types = value("ggml.tokens"), value("ggml.token_type")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    special = [
        {"id": id, "content": text, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        for id, (text, kind) in enumerate(zip(texts, types, strict=True)) if kind == 3
    ]
    tokenizer = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "vocab": {text: id for id, text in enumerate(texts)}, "merges": value("ggml.merges")},
    }
    end, begin = value("ggml.eos_token_id"), value("ggml.bos_token_id")
    config = {
        "bos_token": texts[begin], "bos_token_id": begin, "eos_token": texts[end], "eos_token_id": end,
        "chat_template": value("chat_template"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
