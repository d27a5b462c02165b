"""Chat templates of models, which are data from strangers."""

import os
from pathlib import Path

import pytest

from conftest import make_server


def test_a_template_that_cannot_be_compiled_is_an_error_with_its_line(engine: str, tmp_path: Path) -> None:
    if engine == "simulated":
        pytest.skip("the simulated engine has no template")
    model = Path(os.environ["HOSTLER_TEST_MODEL"]).read_bytes()
    tag = b"{% for message in messages %}"
    assert model.count(tag) == 1
    server = make_server(engine, tmp_path)
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(model.replace(tag, b"{% fur message in messages %}"))
    server.model = str(broken)
    with pytest.raises(RuntimeError, match=r"exited with 1:[\s\S]*chat template cannot be compiled: .*\(in chat:1\)"):
        server.start()
