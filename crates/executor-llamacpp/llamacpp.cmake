# Included by CMake when cargo builds llama.cpp (see .cargo/config.toml).

# The kernels of FlashAttention take most of the time that a build for CUDA needs.
if("$ENV{LLAMACPP_FLASH_ATTENTION}" STREQUAL "off")
  set(GGML_CUDA_FA OFF)
endif()

# On x86 with AVX-512, GCC compiles llama.cpp's matrix product of quantised weights, on
# which a batch spends nearly all of its time, to code that spills registers. Compiled for
# AVX2 and VNNI, the same file is faster by a third: 360 instead of 265 tokens/s for 8
# sequences of the demo model in Q8_0 on 2 cores of an EPYC of 2024, with GCC 12. Only this
# file is compiled that way; for the others, AVX-512 makes no significant difference.
if(PROJECT_NAME STREQUAL "ggml"
   AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU"
   AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64"
   AND CMAKE_VERSION VERSION_GREATER_EQUAL 3.19)
  # Deferred, because the source files are known only after ggml's own lists were read.
  cmake_language(DEFER CALL set_source_files_properties
    "${PROJECT_SOURCE_DIR}/src/ggml-cpu/llamafile/sgemm.cpp"
    DIRECTORY "${PROJECT_SOURCE_DIR}/src"
    PROPERTIES COMPILE_OPTIONS "-mno-avx512f")
endif()
