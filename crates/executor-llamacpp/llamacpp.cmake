# Read by CMake while cargo builds llama.cpp (see .cargo/config.toml).
#
# On x86 with AVX-512, GCC turns llama.cpp's matrix product of quantised weights,
# which is all that a batch does, into code that spills its registers. Built for
# AVX2 and VNNI, the same file is faster by a third: 360 instead of 265 tokens/s
# for 8 sequences of the demo model in Q8_0 on 2 cores of an EPYC of 2024, by GCC 12.
# Only this file is built so; for the others AVX-512 makes no difference to speak of.
if(PROJECT_NAME STREQUAL "ggml"
   AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU"
   AND CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64"
   AND CMAKE_VERSION VERSION_GREATER_EQUAL 3.19)
  # Once ggml's own lists have been read: its source files are known then.
  cmake_language(DEFER CALL set_source_files_properties
    "${PROJECT_SOURCE_DIR}/src/ggml-cpu/llamafile/sgemm.cpp"
    DIRECTORY "${PROJECT_SOURCE_DIR}/src"
    PROPERTIES COMPILE_OPTIONS "-mno-avx512f")
endif()
