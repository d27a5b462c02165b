# Sourced: installs NVIDIA's toolkit and the environment for building with it. No GPU and no
# driver is needed. Sets $cuda, the toolkit's folder.
#
# The engines' libraries are found by the linker in $cuda/lib64, which holds cudart as a static
# library and lazy ones for everything else (lazy.py says why). The real libraries are in
# $cuda/lib, without the names that a linker looks for.

cuda="$PWD/.cache/cuda/nvidia/cu13"

lazy() { # NAME SONAME ERROR; the library's own code for "not initialised"
    python3 scripts/cuda/lazy.py --soname "$2" --error "$3" --output "$cuda/lib64/lib$1.a" --library "$cuda/lib/$2"
}

wanted="$(cat scripts/cuda/*)"
if [ "$wanted" != "$(cat .cache/cuda/.installed 2>/dev/null)" ]; then
    say "installing NVIDIA's toolkit (680 MB to fetch, 1.6 GB in .cache/cuda)"
    rm -rf .cache/cuda
    PIP_ROOT_USER_ACTION=ignore python3 -m pip install --quiet --disable-pip-version-check \
        --no-warn-conflicts --no-deps --target .cache/cuda --requirement scripts/cuda/requirements.txt
    mkdir "$cuda/lib64"
    ln -s ../lib/libcudart_static.a "$cuda/lib64/libcudart_static.a"
    ln -s ../lib/libcudart_static.a "$cuda/lib64/libcudart.a"
    ln -s ../lib/libcudadevrt.a "$cuda/lib64/libcudadevrt.a"
    # CUDA_ERROR_STUB_LIBRARY: no driver.
    python3 scripts/cuda/lazy.py --soname libcuda.so.1 --error 34 --output "$cuda/lib64/libcuda.a" \
        --header "$cuda/include/cuda.h"
    lazy cublas libcublas.so.13 1
    lazy cublasLt libcublasLt.so.13 1
    lazy curand libcurand.so.10 101
    lazy nvrtc libnvrtc.so.13 2
    # llama.cpp's build asks for the static libraries by these names.
    ln -s libcublas.a "$cuda/lib64/libcublas_static.a"
    ln -s libcublasLt.a "$cuda/lib64/libcublasLt_static.a"
    ar crs "$cuda/lib64/libculibos.a"
    printf '%s\n' "$wanted" >.cache/cuda/.installed
fi

export CUDA_HOME="$cuda" CUDA_PATH="$cuda" CUDA_ROOT="$cuda" CUDA_TOOLKIT_ROOT_DIR="$cuda" CUDAToolkit_ROOT="$cuda"
export PATH="$cuda/bin:$PATH" LIBRARY_PATH="$cuda/lib64${LIBRARY_PATH:+:$LIBRARY_PATH}"
