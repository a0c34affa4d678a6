# The compiler's flags: warnings, hardening, and the sanitizer builds chosen by a preset.
set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(AILERON_WERROR "warnings are errors" ON)
option(AILERON_FUZZ "build the fuzz targets (clang)" OFF)
option(AILERON_BENCH "build the benchmarks" ON)
option(AILERON_COVERAGE "measure coverage" OFF)
set(AILERON_SANITIZE "" CACHE STRING "sanitizers for -fsanitize=, comma-separated")

add_compile_options(
  -Wall -Wextra -Wshadow -Wundef -Wvla -Walloca -Wformat=2 -Wstrict-prototypes -Wmissing-prototypes
  -Wold-style-definition -Wpointer-arith -Wwrite-strings -Wcast-qual -Wswitch-enum -Wimplicit-fallthrough
  -Wnull-dereference -Wconversion -Wdouble-promotion)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
  add_compile_options(
    -Wduplicated-cond -Wduplicated-branches -Wlogical-op -Wjump-misses-init -Walloc-zero -Wstringop-overflow=4
    -Wuse-after-free=3 -Wbidi-chars=any -Warith-conversion -ftrivial-auto-var-init=zero)
else()
  add_compile_options(-Wthread-safety -Wcomma -Wunreachable-code -Wassign-enum)
endif()
if(AILERON_WERROR)
  add_compile_options(-Werror)
endif()

add_compile_options(-fstack-protector-strong -fstack-clash-protection -fcf-protection=full -fno-common
  -fvisibility=hidden -ffunction-sections -fdata-sections)
add_compile_definitions(_GNU_SOURCE)
add_compile_options(-include ${CMAKE_SOURCE_DIR}/src/base/banned.h)
add_link_options(-pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--gc-sections)

if(AILERON_SANITIZE)
  add_compile_options(-fsanitize=${AILERON_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${AILERON_SANITIZE})
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
  add_compile_options(-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
# floor() is a call into it wherever the compiler does not optimise, as for coverage.
link_libraries(m)

if(AILERON_COVERAGE)
  add_compile_options(--coverage -O0 -g)
  add_link_options(--coverage)
endif()
