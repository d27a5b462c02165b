"""Makes models with random weights: Llama-shaped folders of safetensors, and GGUF files.

Random weights are as fast as trained ones, and need no download. The output layer is scaled up,
so that the most likely token is well ahead of the next one and rounding rarely changes a choice.
"""

import json
import shutil
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy

HERE = Path(__file__).parent
# Elements that are drawn at a time.
BLOCK = 1 << 24


@dataclass(frozen=True)
class Shape:
    """The dimensions of a model of Llama's architecture."""

    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    context: int = 8192

    @property
    def kv(self) -> int:
        return self.hidden // self.heads * self.kv_heads


SHAPES = {
    # Heads of 64, the least that PagedAttention's kernels support.
    "tiny": Shape(layers=4, hidden=256, intermediate=768, heads=4, kv_heads=2),
    "1b": Shape(layers=16, hidden=2048, intermediate=8192, heads=32, kv_heads=8),
    "8b": Shape(layers=32, hidden=4096, intermediate=14336, heads=32, kv_heads=8),
}


class Numbers:
    """Random numbers as bytes, from PyTorch on a GPU if there is one, else from numpy."""

    def __init__(self, device: str):
        self.torch = None
        if device.startswith("cuda"):
            import torch

            self.torch, self.generator = torch, torch.Generator("cuda").manual_seed(1)
        self.rng = numpy.random.default_rng(1)

    def normal(self, count: int, scale: float, dtype: str) -> Iterator[bytes]:
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            yield self.on_gpu(size, scale, dtype) if self.torch else self.on_cpu(size, scale, dtype)

    def on_gpu(self, size: int, scale: float, dtype: str) -> bytes:
        torch = self.torch
        drawn = torch.randn(size, device="cuda", generator=self.generator, dtype=torch.float32) * scale
        if dtype == "BF16":
            return drawn.to(torch.bfloat16).view(torch.int16).cpu().numpy().tobytes()
        return drawn.cpu().numpy().tobytes()

    def on_cpu(self, size: int, scale: float, dtype: str) -> bytes:
        return as_type(self.rng.standard_normal(size, dtype=numpy.float32) * numpy.float32(scale), dtype)


def as_type(numbers: numpy.ndarray, dtype: str) -> bytes:
    if dtype == "BF16":
        return (numbers.view(numpy.uint32) >> 16).astype(numpy.uint16).tobytes()
    return numbers.astype(numpy.float32).tobytes()


def tensors(shape: Shape, vocabulary: int) -> Iterator[tuple[str, str, tuple[int, ...], float]]:
    """The name in safetensors, the name in GGUF, the shape, and the standard deviation; 0 is a norm of ones."""
    hidden = shape.hidden
    inner = hidden**-0.5
    yield "model.embed_tokens.weight", "token_embd.weight", (vocabulary, hidden), 1.0
    for layer in range(shape.layers):
        here, block = f"model.layers.{layer}.", f"blk.{layer}."
        yield f"{here}input_layernorm.weight", f"{block}attn_norm.weight", (hidden,), 0
        yield f"{here}self_attn.q_proj.weight", f"{block}attn_q.weight", (hidden, hidden), inner
        yield f"{here}self_attn.k_proj.weight", f"{block}attn_k.weight", (shape.kv, hidden), inner
        yield f"{here}self_attn.v_proj.weight", f"{block}attn_v.weight", (shape.kv, hidden), inner
        yield f"{here}self_attn.o_proj.weight", f"{block}attn_output.weight", (hidden, hidden), inner
        yield f"{here}post_attention_layernorm.weight", f"{block}ffn_norm.weight", (hidden,), 0
        yield f"{here}mlp.gate_proj.weight", f"{block}ffn_gate.weight", (shape.intermediate, hidden), inner
        yield f"{here}mlp.up_proj.weight", f"{block}ffn_up.weight", (shape.intermediate, hidden), inner
        down = shape.intermediate**-0.5
        yield f"{here}mlp.down_proj.weight", f"{block}ffn_down.weight", (hidden, shape.intermediate), down
    yield "model.norm.weight", "output_norm.weight", (hidden,), 0
    yield "lm_head.weight", "output.weight", (vocabulary, hidden), 4 * inner


def vocabulary_size() -> int:
    return len(json.loads((HERE / "tokenizer.json").read_text())["model"]["vocab"])


def safetensors(folder: Path, shape: Shape, dtype: str, device: str) -> None:
    """Writes a folder as on the Hugging Face hub."""
    vocabulary = vocabulary_size()
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(HERE / name, folder)
    tokens = json.loads((HERE / "tokenizer_config.json").read_text())
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "hidden_size": shape.hidden, "intermediate_size": shape.intermediate, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads, "vocab_size": vocabulary,
        "max_position_embeddings": shape.context, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
        "tie_word_embeddings": False, "torch_dtype": {"BF16": "bfloat16", "F32": "float32"}[dtype],
        "bos_token_id": tokens["bos_token_id"], "eos_token_id": tokens["eos_token_id"],
    }
    (folder / "config.json").write_text(json.dumps(config))
    width = {"BF16": 2, "F32": 4}[dtype]
    header, at = {}, 0
    listed = list(tensors(shape, vocabulary))
    for name, _, dimensions, _ in listed:
        size = int(numpy.prod(dimensions)) * width
        header[name] = {"dtype": dtype, "shape": dimensions, "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header).encode()
    numbers = Numbers(device)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head)
        for _, _, dimensions, scale in listed:
            for block in drawn(numbers, dimensions, scale, dtype):
                file.write(block)


def drawn(numbers: Numbers, dimensions: tuple[int, ...], scale: float, dtype: str) -> Iterator[bytes]:
    count = int(numpy.prod(dimensions))
    if scale:
        yield from numbers.normal(count, scale, dtype)
    else:
        yield as_type(numpy.ones(count, numpy.float32), dtype)


def gguf(path: Path, shape: Shape, dtype: str, device: str) -> None:
    """Writes a GGUF file."""
    from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType, TokenType

    tokenizer = json.loads((HERE / "tokenizer.json").read_text())
    config = json.loads((HERE / "tokenizer_config.json").read_text())
    vocabulary = tokenizer["model"]["vocab"]
    special = {token["content"] for token in tokenizer["added_tokens"]}
    texts = sorted(vocabulary, key=vocabulary.get)
    writer = GGUFWriter(path, "llama")
    writer.add_name(path.stem)
    writer.add_file_type(LlamaFileType.MOSTLY_BF16 if dtype == "BF16" else LlamaFileType.ALL_F32)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.intermediate)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.hidden // shape.heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(texts))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(texts)
    writer.add_token_types([TokenType.CONTROL if text in special else TokenType.NORMAL for text in texts])
    merges = tokenizer["model"]["merges"]
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in merges])
    writer.add_bos_token_id(config["bos_token_id"])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(config["chat_template"])
    numbers = Numbers(device)
    kind = GGMLQuantizationType.BF16 if dtype == "BF16" else GGMLQuantizationType.F32
    for _, name, dimensions, scale in tensors(shape, len(texts)):
        # Norms are always 32-bit floats in a GGUF file.
        wanted = dtype if len(dimensions) == 2 else "F32"
        raw = b"".join(drawn(numbers, dimensions, scale, wanted))
        if wanted == "F32":
            writer.add_tensor(name, numpy.frombuffer(raw, numpy.float32).reshape(dimensions))
        else:
            rows = numpy.frombuffer(raw, numpy.uint8).reshape(*dimensions[:-1], dimensions[-1] * 2)
            writer.add_tensor(name, rows, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
