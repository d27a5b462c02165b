"""Runs llama.cpp's own server until it is stopped: MODEL PORT THREADS [no-flash-attention]."""

import signal
import sys

import xllamacpp

model, port, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
params = xllamacpp.CommonParams()
params.model.path = model
# Like Hostler's defaults: 8 sequences of up to 2,048 tokens.
params.n_parallel = 8
params.n_ctx = 8 * 2048
params.kv_unified = False
if "no-flash-attention" in sys.argv[4:]:
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
params.cpuparams.n_threads = threads
params.cpuparams_batch.n_threads = threads
params.port = port
params.verbosity = 0
server = xllamacpp.Server(params)
signal.pause()
