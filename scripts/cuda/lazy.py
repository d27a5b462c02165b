"""Makes a static library that loads a shared library at the first call of one of its functions.

A program that links NVIDIA's libraries the usual way does not start on a machine without them:
the dynamic loader looks for libcuda.so.1, which only the driver has, before `main`. With
libraries from this script one binary starts everywhere, and a call of a function of a library
that is missing returns that library's own error code.

    lazy.py --soname libcuda.so.1 --error 34 --output libcuda.a --header cuda.h
    lazy.py --soname libcublas.so.13 --error 1 --output libcublas.a --library libcublas.so.13

The names come from a header (for a library that is not here) or from the library itself. Each
function jumps through a pointer, which first leads to code that finds the real function. Works
for any signature, because no argument is touched. x86-64 ELF only.
"""

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

# Saves every register that can hold an argument, finds the function, and jumps to it.
# r10 is the function's name, r11 the pointer through which it is called.
RESOLVE = """
    .text
resolve:
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %r8
    push %r9
    push %rax
    push %r11
    sub $136, %rsp
    movups %xmm0, (%rsp)
    movups %xmm1, 16(%rsp)
    movups %xmm2, 32(%rsp)
    movups %xmm3, 48(%rsp)
    movups %xmm4, 64(%rsp)
    movups %xmm5, 80(%rsp)
    movups %xmm6, 96(%rsp)
    movups %xmm7, 112(%rsp)
    mov %r10, %rdi
    call lazy_find
    movups (%rsp), %xmm0
    movups 16(%rsp), %xmm1
    movups 32(%rsp), %xmm2
    movups 48(%rsp), %xmm3
    movups 64(%rsp), %xmm4
    movups 80(%rsp), %xmm5
    movups 96(%rsp), %xmm6
    movups 112(%rsp), %xmm7
    add $136, %rsp
    pop %r11
    mov %rax, %r10
    mov %rax, (%r11)
    pop %rax
    pop %r9
    pop %r8
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    jmp *%r10
"""

FUNCTION = """
    .text
    .globl {name}
    .type {name}, @function
{name}:
    jmp *.Lpointer_{name}(%rip)
.Lfirst_{name}:
    lea .Lname_{name}(%rip), %r10
    lea .Lpointer_{name}(%rip), %r11
    jmp resolve
    .data
    .balign 8
.Lpointer_{name}: .quad .Lfirst_{name}
    .section .rodata
.Lname_{name}: .string "{name}"
"""


def names_in_header(header: Path) -> set[str]:
    """The functions that a header declares, and the names of their other versions in a driver."""
    text = header.read_text()
    declared = set(re.findall(r"CUDAAPI\s*\n?\s*(cu[A-Z]\w+)\s*\(", text))
    # The header renames functions by macros: `#define cuMemAlloc cuMemAlloc_v2`.
    renamed = set(re.findall(r"#\s*define\s+cu[A-Z]\w+\s+(cu[A-Z]\w+)", text))
    versions = {f"{name}{suffix}" for name in declared for suffix in ("_v2", "_v3", "_v4", "_ptsz", "_ptds", "_v2_ptsz")}
    return declared | renamed | versions


def names_in_library(library: Path) -> set[str]:
    """The functions that a shared library exports."""
    listed = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    symbols = [line.split() for line in listed.splitlines()]
    return {name.split("@")[0] for _, kind, name in symbols if kind in "TW" and not name.startswith("_")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--soname", required=True, help="the shared library that is loaded")
    parser.add_argument("--error", required=True, type=int, help="what a function returns if it is missing")
    parser.add_argument("--output", required=True, type=Path)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--header", type=Path)
    source.add_argument("--library", type=Path)
    options = parser.parse_args()

    names = names_in_header(options.header) if options.header else names_in_library(options.library)
    assembly = RESOLVE + "".join(FUNCTION.format(name=name) for name in sorted(names))
    assembly += '    .section .note.GNU-stack,"",@progbits\n'
    with tempfile.TemporaryDirectory() as folder:
        functions, finder, linked = Path(folder, "functions.s"), Path(folder, "finder.o"), Path(folder, "linked.o")
        functions.write_text(assembly)
        defines = [f'-DSONAME="{options.soname}"', f"-DMISSING={options.error}"]
        subprocess.run(["cc", "-O2", "-fPIC", "-c", *defines, Path(__file__).with_name("lazy.c"), "-o", finder], check=True)
        subprocess.run(["cc", "-c", functions, "-o", functions.with_suffix(".o")], check=True)
        # One object, in which `lazy_find` is local, so that several such libraries fit into one program.
        subprocess.run(["ld", "-r", finder, functions.with_suffix(".o"), "-o", linked], check=True)
        subprocess.run(["objcopy", "--localize-symbol=lazy_find", linked], check=True)
        options.output.unlink(missing_ok=True)
        subprocess.run(["ar", "crs", options.output, linked], check=True)
    print(f"{options.output.name}: {len(names)} functions of {options.soname}")


if __name__ == "__main__":
    main()
